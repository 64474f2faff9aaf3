"""`rppg-bench labels` and `rppg-bench datasets` over label files, without videos."""

import shutil

import cv2
import numpy as np
import pytest

from harness.campaign import Pipe, _all_labels, _campaign, run_case
from harness.case_verdicts import label_note
from harness.cli import main
from harness.datasets import checking
from harness.datasets.registry import open_dataset
from harness.datasets.ubfc2 import GroundTruth, write_ground_truth
from harness.replays import CaseRun, Replayed
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError


def subject(root, name, row_bpm=None, rate_hz=30.0, flat=False, bpm=72.0):
    times_s = np.arange(900) / rate_hz
    ppg = np.sin(2 * np.pi * bpm / 60 * times_s + len(name)) + 0.01 * times_s
    if flat:
        ppg[300:600] = 0
    row = np.full(900, bpm) + (np.arange(900) // 100) % 2 if row_bpm is None else row_bpm
    (root / name).mkdir(parents=True)
    write_ground_truth(root / name / "ground_truth.txt", GroundTruth(ppg, row, times_s))


@pytest.fixture
def project(tmp_path, monkeypatch):
    root = tmp_path / "set"
    subject(root, "subject1")
    wrapped = np.where(np.arange(900) < 450, 127.0, 1.0)
    subject(root, "subject11", wrapped, bpm=128.0)
    subject(root, "subject25", rate_hz=23.3, bpm=95.0)
    (tmp_path / "datasets.yaml").write_text(
        "fft: {kind: ubfc-rppg-2, root: set}\n"
        "row: {kind: ubfc-rppg-2, root: set, labels: hr-row}\n"
        "mended: {kind: ubfc-rppg-2, root: set, labels: hr-row-repaired}\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "status", "state"),
    [("fft", 0, "harmless"), ("row", 1, "unrepaired"), ("mended", 0, "repaired")],
)
def test_the_check_under_each_convention(project, capsys, name, status, state):
    assert main(["labels", name]) == status
    out = capsys.readouterr().out
    assert f"subject11 {state:10} hr-wrap        450 of 900 readings over 127 bpm wrapped" in out
    assert "subject25 repaired   rate           23.3 fps by timestamps, nominal 30" in out
    assert "subject1 " not in out, "a clean recording has no line"
    assert max(map(len, out.splitlines())) <= 80
    counts = {line.split()[0]: line.split()[1:5] for line in out.splitlines() if line[:3] == "hr-"}
    assert counts == {"hr-row": ["2", "0", "1", "0"], "hr-row-repaired": ["1", "0", "2", "0"]}
    assert "unwrapped              450           1" in out


def test_side_by_side_and_filters(project, capsys):
    assert main(["labels", "row", "--bpm", "--recordings", "subject2*,subject1"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["bpm", "ppg-fft", "hr-row", "hr-row-repaired"] in rows
    assert ["subject25", "95.0", "95.4", "95.4"] in rows
    assert main(["labels", "row", "--condition", "light=dark"]) == 2
    assert "no condition 'light'; it has none at all" in capsys.readouterr().err


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder of one's own: one real video, one that nothing opens, alike heart rates."""
    folder = tmp_path / "own"
    folder.mkdir()
    writer = cv2.VideoWriter(str(folder / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
    for _ in range(30):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    for name in ("b.mp4", "c.mp4"):
        (folder / name).write_bytes(b"")
    rows = "file,bpm,subject\na.avi,70,s1\nb.mp4,70,s1\nc.mp4,70,s1\n"
    (folder / "labels.csv").write_text(rows)
    (tmp_path / "datasets.yaml").write_text("own: {kind: folder, root: own}\n")
    monkeypatch.chdir(tmp_path)
    return folder


def test_heart_rates_that_are_listed_are_the_truth_and_no_copies(own, capsys):
    assert main(["labels", "own", "--bpm"]) == 0
    out = capsys.readouterr().out
    assert "3 recordings by listed: no defect" in out
    rows = [line.split() for line in out.splitlines()]
    assert ["a.avi", "70.0"] in rows and ["b.mp4", "70.0"] in rows
    assert ["listed", "3", "0", "0", "0"] in rows, "by group, none without a heart rate"
    assert main(["datasets", "own"]) == 0
    assert capsys.readouterr().out.count("70.0 bpm by listed\n") == 3
    dataset = open_dataset("own", own.parent / "datasets.yaml")
    labels, _ = _all_labels(dataset, dataset.recordings(), ())
    assert [one.defects for one in labels.values()] == [(), (), ()]


def test_names_that_would_steer_a_terminal_are_written_out(project, capsys):
    odd, shown = "subject9\n\x1b[31m", "subject9\\n\\x1b[31m"
    subject(project / "set", odd)
    shutil.copy(project / "set/subject1/ground_truth.txt", project / "set" / odd)
    for command in (["labels", "fft", "--bpm"], ["datasets", "fft"]):
        main(command)
        out = capsys.readouterr().out
        assert "\x1b" not in out and f"{shown} " in out
        lines = [line for line in out.splitlines() if line.startswith("subject")]
        assert all(line[len(shown)] == " " for line in lines), "one column"
        assert ("same labels as " + shown in out) == (command[0] == "labels")


def test_a_listed_video_that_is_not_there_is_one_line(own, capsys):
    (own / "b.mp4").unlink()
    assert main(["labels", "own"]) == 2
    assert "line 3: 'b.mp4' is not a file" in capsys.readouterr().err


def test_unreadable_and_flat_labels_are_unrepaired_and_stop_nothing(project, capsys):
    subject(project / "set", "subject3", flat=True)
    (project / "set" / "subject4").mkdir()
    (project / "set" / "subject4" / "ground_truth.txt").write_text("1 2 3\n")
    assert main(["labels", "fft"]) == 1
    out = capsys.readouterr().out
    assert "subject3  unrepaired ppg-flat" in out
    assert "subject4  unrepaired unreadable" in out
    assert "1 rows instead of 3" in out
    assert "5 recordings by ppg-fft: 2 unrepaired, 1 repaired, 1 harmless" in out
    assert main(["labels", "nothing"]) == 2


def test_what_there_is_of_a_dataset(project, capsys):
    assert main(["datasets", "fft"]) == 0
    out = capsys.readouterr().out
    assert "128.0 bpm by ppg-fft (no video here) hr-wrap:harmless" in out
    assert "absent  subject1: no vid.avi" in out
    assert "absent  subject49: not here" in out


def test_two_processes_find_what_one_does(project, capsys, monkeypatch):
    assert main(["labels", "row"]) == 1
    alone = capsys.readouterr().out
    monkeypatch.setattr(checking, "WORTH_A_HELPER", 2)
    assert main(["labels", "row"]) == 1
    assert capsys.readouterr().out == alone


def test_a_campaign_without_any_video_ends_before_a_board_is_asked(project):
    dataset = open_dataset("fft", project / "datasets.yaml")
    case = Case("no-board", "fft", "float32")
    with pytest.raises(UserError, match=r"no video is here of 3 recordings \(subject1, \.\.\.\)"):
        run_case(None, dataset, case, None, project, None)


def test_what_a_benchmark_says_of_its_labels(project):
    """Records carry the codes of unrepaired defects; the summary counts them."""
    dataset = open_dataset("row", project / "datasets.yaml")
    labels, failures = _all_labels(dataset, dataset.recordings(), ())
    assert failures == {}
    assert {name: one.defects for name, one in labels.items()} == {
        "subject1": (),
        "subject11": ("hr-wrap",),
        "subject25": (),
    }
    model = project / "model.tflite"
    model.write_bytes(b"0123")
    pipe = Pipe("m", model, "haar", {})
    campaigns = [
        _campaign(Case("b", "row", "float32"), dataset, one, labels[one.id], pipe, {})
        for one in dataset.recordings()
    ]
    assert campaigns[0]["model_bytes"] == 4
    assert campaigns[1]["label_defects"] == ["hr-wrap"]
    assert campaigns[1]["references"]["hr-row-repaired"] == pytest.approx(128.0)
    replays = tuple(
        Replayed(c["recording"], c["subject"], 72.0, c["labels"], None, tuple(c["label_defects"]))
        for c in campaigns
    )
    run = CaseRun(Case("b", "row", "float32"), False, replays, {}, 0)
    said = "hr-row; 1 recording with unrepaired defects: rppg-bench labels row"
    assert label_note(run) == said
