"""Report and plots from records alone: complete, readable, and for records of any age."""

import json
import shutil
import xml.etree.ElementTree as ET

import cv2
import matplotlib.figure
import numpy as np
import pytest
from made_records import make_record, without_new_fields, write_records

from harness.cli import main as rppg_bench
from harness.examine import study
from harness.replays import load_cases
from harness.reports.accuracy_tables import accuracy_tables
from harness.reports.intervals import written
from harness.reports.plots import SIDE_BY_SIDE
from harness.reports.plots.style import file_stem, short
from harness.reports.terminal import render
from harness.verdicts.intervals import Interval
from rppg_core.errors import UserError

RATES = (52.0, 60.0, 66.0, 72.0, 79.0, 83.0, 88.0, 95.0, 110.0, 128.0)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Ten subjects in two lights, three variants, one recording without a face."""
    records = [
        make_record(
            f"clip{at}",
            bpm,
            variant=variant,
            light=0.1 if at % 2 else 0.5,
            speed=0.05 if at % 3 else 0.004,
            conditions={"lighting": "dark" if at % 2 else "normal", "motion": "still"},
            noise=2.0 if at % 2 else 0.3,
            fails=at == 9,
        )
        for variant in ("float32", "dynamic", "int8")
        for at, bpm in enumerate(RATES)
    ]
    return write_records(tmp_path_factory.mktemp("results"), *records)


def tables(folder, width=80) -> str:
    return render(accuracy_tables([study(run) for run in load_cases(folder)]), width)


def row(text: str, name: str) -> list[str]:
    return next(line for line in text.splitlines() if line.strip().startswith(name)).split()


def test_the_report_has_windows_conditions_and_intervals(results):
    text = tables(results)
    assert "…" not in text and "nan" not in text.split()
    assert max(map(len, text.splitlines())) <= 80
    whole, short_windows = row(text, "whole"), row(text, "10 s")
    assert whole[1] == "9" and short_windows[2] == "27"
    after = text.splitlines()[
        text.splitlines().index(
            next(line for line in text.splitlines() if line.startswith("whole"))
        )
        + 1
    ]
    low, high = map(float, after.split()[2].split("-"))
    assert low < float(whole[2]) < high
    assert "1 none" in text
    assert "27 of 27 windows of 10 s against the truth there" in text
    assert "measured light" in text and "dark, moving" in text
    assert "correlation with the true one" in text


def test_records_from_before_are_reported_without_what_they_lack(tmp_path, capsys):
    old = [without_new_fields(make_record(f"c{at}", bpm)) for at, bpm in enumerate(RATES)]
    write_records(tmp_path, *old)
    text = tables(tmp_path)
    assert row(text, "whole")[1] == "10"
    assert "0 of 30 windows of 10 s against the truth there" in text
    assert "30 against that of the whole recording" in " ".join(text.split())
    assert "nothing: records of before" in text
    assert rppg_bench(["report", str(tmp_path)]) == 0
    assert "Accuracy: heart rate in bpm" in capsys.readouterr().out
    assert rppg_bench(["plots", str(tmp_path), "--out", str(tmp_path / "p")]) == 0
    names = {path.stem for path in (tmp_path / "p").glob("*.png")}
    assert not any("light-and-motion" in name for name in names)
    assert len(names) == len(SIDE_BY_SIDE)  # less that one, and one of the worst


def test_few_subjects_have_no_interval(tmp_path):
    write_records(tmp_path, *[make_record(f"c{at}", 60.0 + at, subject="one") for at in range(9)])
    lines = tables(tmp_path).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("whole"))
    assert lines[at + 1].startswith("10 s"), "no line of intervals below the figures"
    assert any(line.split() == ["subjects", "1"] for line in lines)


def test_every_plot_is_written_twice_and_can_be_read(results, tmp_path, capsys):
    assert rppg_bench(["plots", str(results), "--out", str(tmp_path)]) == 0
    files = [line for line in capsys.readouterr().out.splitlines() if line]
    assert len(files) == 2 * (len(SIDE_BY_SIDE) + 3)
    for path in tmp_path.glob("*.png"):
        picture = cv2.imread(str(path))
        assert min(picture.shape[:2]) > 300
        assert picture.std() > 5, f"{path.name} is blank"
    words = {path.stem: path.read_text() for path in tmp_path.glob("*.svg")}
    for text in words.values():
        assert ET.fromstring(text) is not None


@pytest.mark.parametrize(
    "records",
    [
        [make_record("only", 71.0)],
        [make_record("only", 71.0, fails=True), make_record("other", 100.0)],
        [make_record("n" * 300 + " $x^{$ 心 \n", 71.0, dataset="$d_{$" + "d" * 200, noise=9.0)],
        [make_record(f"c{at}", 71.0, noise=0.0) for at in range(3)],
        [make_record("a", 71.0, variant=f"variant-number-{at}" * 3) for at in range(4)],
        [make_record("a", 71.0, dataset="../../up"), make_record("a", 71.0, dataset="..//up")],
    ],
    ids=["one", "one-failed", "names", "no-error", "many-variants", "paths"],
)
@pytest.mark.filterwarnings("ignore:Glyph")  # the plots' font has no Chinese
def test_awkward_records_are_plotted_all_the_same(records, tmp_path):
    write_records(tmp_path / "in", *records)
    assert rppg_bench(["plots", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 0
    datasets = {one["campaign"]["dataset"] for one in records}
    written_to = {path.parent for path in tmp_path.rglob("*.png")}
    assert written_to == {tmp_path / "out"}
    groups = [path for path in tmp_path.rglob("*.png") if path.stem.count("mae-by-group")]
    assert len(groups) == len(datasets) or any(len(name) > 50 for name in datasets)


def test_nothing_to_plot_is_one_line(tmp_path, capsys):
    write_records(tmp_path / "in", make_record("only", 71.0, fails=True))
    assert rppg_bench(["plots", str(tmp_path / "in")]) == 2
    assert "nothing to plot" in capsys.readouterr().err
    assert rppg_bench(["plots", str(tmp_path / "empty")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_one_line(results, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert rppg_bench(["plots", str(results), "--out", str(tmp_path / "file" / "in")]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    "broken",
    [
        ("surroundings", "luminance", "x"),
        ("settings", "pulse", {"wrong": 1}),
        ("result", "pulse", {}),
    ],
)
def test_a_broken_record_is_named(tmp_path, broken):
    record = json.loads(json.dumps(make_record("clip7", 71.0)))
    part, key, value = broken
    record[part][key] = value
    write_records(tmp_path, record)
    with pytest.raises(UserError, match="clip7"):
        [study(run) for run in load_cases(tmp_path)]


def drawn_text(figure: matplotlib.figure.Figure) -> str:
    return "\n".join(one.get_text() for one in figure.findobj(matplotlib.text.Text))


@pytest.mark.parametrize("name", SIDE_BY_SIDE)
def test_each_plot_says_whose_data_it_is(name, results):
    text = drawn_text(SIDE_BY_SIDE[name]([study(run) for run in load_cases(results)]))
    for part in ("made, on local", "SYNTHETIC", "ppg-fft", "float32", "int8"):
        assert part in text
    assert "Without a heart rate and in no figure: " in text
    assert "nan" not in text.split()


def test_real_people_are_not_called_synthetic_and_their_faces_not_shown(tmp_path, capsys):
    video = tmp_path / "set" / "clip.mp4"
    video.parent.mkdir()
    frame = np.full((60, 80, 3), 200, np.uint8)
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"mp4v"), 30, (80, 60))
    for _ in range(5):
        writer.write(frame)
    writer.release()
    (tmp_path / "set" / "labels.csv").write_text("file,bpm\nclip.mp4,71\n")
    (tmp_path / "sets.yaml").write_text("mine: {kind: folder, root: set}\n")
    write_records(tmp_path / "in", make_record("clip.mp4", 71.0, dataset="mine", synthetic=False))
    command = ["plots", str(tmp_path / "in"), "--datasets", str(tmp_path / "sets.yaml"), "--out"]
    assert rppg_bench([*command, str(tmp_path / "plain")]) == 0
    assert rppg_bench([*command, str(tmp_path / "faces"), "--thumbnails"]) == 0
    plain, faces = (
        next((tmp_path / name).glob("*worst*.svg")).read_text() for name in ("plain", "faces")
    )
    assert "<image" in faces and "<image" not in plain
    shutil.rmtree(video.parent)
    assert rppg_bench([*command, str(tmp_path / "gone"), "--thumbnails"]) == 0


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (None, ""),
        (Interval(0.041, 0.2), "0.04-0.20"),
        (Interval(9.994, 104.2), "9.99-104"),
        (Interval(-2.31, 3.0), "-2.31..3.00"),
        (Interval(-0.001, 0.001), "0.00-0.00"),
    ],
)
def test_intervals_are_written_short(interval, text):
    assert written(interval) == text


def test_names_are_cut_in_the_middle_and_files_stay_apart():
    assert short("a" * 30 + "b" * 30, 11) == "aaaaa…bbbbb"
    assert short(" a\nb ") == "a b"
    assert file_stem("set", "board", "mae") == "set--board--mae"
    assert file_stem("a/b", "c") != file_stem("a_b", "c")
    assert len(file_stem("x" * 500, "y")) <= 80
    assert "/" not in file_stem("../..", "/etc")
