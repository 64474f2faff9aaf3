"""Approved figures as a user meets them: stored, compared with, refused; and JUnit of it."""

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import yaml

from harness.baselines import check_baselines, load_baseline, write_baseline
from harness.boards.inventory import load_boards
from harness.datasets.fingerprint import fingerprint
from harness.selftest_files import save_selftest
from harness.verdicts.selftest_findings import Finding, SelfTest
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError
from rppg_core.model_card import attach_card, read_card

FAILED, OK, USAGE = pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.OK, pytest.ExitCode.USAGE_ERROR
CASE = Case("local", "nine", "float32")
FILE = Path("base", "local", "nine", "float32.yaml")


@pytest.fixture(scope="module")
def approved(tmp_path_factory):
    """A run of nine clips and the baseline it stored, made once."""
    return tmp_path_factory.mktemp("approved")


@pytest.fixture
def bench(project, clips, approved):
    """`bench(*options)` in a project with a baseline; the first to ask makes it for all."""
    with project.path.joinpath("datasets.yaml").open("a") as stream:
        stream.write(
            f"nine: {{kind: synthetic, clips: 9, seconds: 6, size: [320, 240], root: '{clips}'}}\n"
        )
    project.path.joinpath("test_quantization.py").unlink()

    def run(*more):
        return project.runpytest_inprocess(
            "--dataset=nine",
            "--model=tscan-afrl",
            "--detector=haar",
            "--thresholds=lenient.yaml",
            "--results=out",
            "--baselines=base",
            "--benchmark-disable",
            *more,
        )

    if not any(approved.iterdir()):
        done = run("--update-baseline")
        assert done.ret == OK, done.stdout.str()
        assert "heart rates: new, 9 recordings, mean error" in done.stdout.str()
        (made,) = project.path.glob("out/2*")
        shutil.copytree(made, approved / "run")
        shutil.copytree(project.path / "base", approved / "base")
    shutil.rmtree(project.path / "base", ignore_errors=True)
    shutil.copytree(approved / "run", project.path / "run")
    shutil.copytree(approved / "base", project.path / "base")
    return run


@pytest.fixture
def edit(project):
    """`edit(change)` lets `change` at the content of the baseline's file."""

    def change(how):
        path = project.path / FILE
        content = yaml.safe_load(path.read_text())
        how(content)
        path.write_text(yaml.safe_dump(content))

    return change


def said(project, test):
    for case in ET.parse(project.path / "junit.xml").iter("testcase"):
        if case.get("name").startswith(test):
            return case
    raise AssertionError(test)


@pytest.mark.board
def test_the_same_again_passes_and_the_file_stays_to_the_byte(bench, project):
    before = (project.path / FILE).read_bytes()
    done = bench("--resume=run", "--require-baseline")
    assert done.ret == OK, done.stdout.str()
    text = done.stdout.str()
    assert "Since the baseline" in text and "MAE all" in text and "time predict" in text
    assert bench("--resume=run", "--update-baseline").ret == OK
    assert (project.path / FILE).read_bytes() == before


@pytest.mark.board
def test_a_worse_model_is_a_failure_with_figure_baseline_interval_and_verdict(
    bench, project, edit, tscan_file, shuffled
):
    def was_right(content):
        for one in content["error"]["recordings"].values():
            one["estimate_bpm"] = one["reference_bpm"] + 0.1

    edit(was_right)
    wrong = project.path / "wrong.tflite"
    wrong.write_bytes(shuffled(tscan_file))
    done = bench(f"--model={wrong}", "--junitxml=junit.xml", "-k", "heart_rate")
    assert done.ret == FAILED
    case = said(project, "test_heart_rate_error")
    message = case.find("failure").text
    figures = {one.get("name"): one.get("value") for one in case.iter("property")}
    assert figures["mae_increase_bpm.verdict"] == "fail"
    low, high = map(float, figures["mae_increase_bpm.interval"].split())
    baseline, change = (float(figures[f"mae_increase_bpm{of}"]) for of in (".baseline", ""))
    assert low < change < high
    assert (
        f"FAIL  mean absolute error against the baseline, all recordings: "
        f"{baseline + change:.2f} bpm, was {baseline:.2f}: {change:+.2f} bpm "
        f"(99 %: {low:+.2f} to {high:+.2f}), 9 subjects; worse" in message
    )
    assert "Further from the truth than in the baseline" in message
    assert "model_sha256:" in message


@pytest.mark.board
def test_too_little_data_is_seen_as_skipped_by_that_word(bench, project, edit):
    def nearly_right(content):
        for one in list(content["error"]["recordings"].values())[:5]:
            one["estimate_bpm"] = one["reference_bpm"]

    edit(nearly_right)
    done = bench("--resume=run", "--junitxml=junit.xml", "-k", "heart_rate")
    assert done.ret == OK, done.stdout.str()
    message = said(project, "test_heart_rate_error").find("skipped").get("message")
    assert "inconclusive" in message and "would tell" in message
    assert "1 inconclusive" in done.stdout.str()


@pytest.mark.board
def test_a_slow_down_is_a_failure_that_names_the_stage(bench, project, edit):
    def was_faster(content):
        for one in content["time"]["recordings"].values():
            one["stages"]["predict"] = [0.5 * ms for ms in one["stages"]["predict"]]

    edit(was_faster)
    assert bench("--resume=run", "--junitxml=junit.xml").ret == FAILED
    message = said(project, "test_keeps_up").find("failure").text
    assert "predict" in message and "+100.00 %" in message and "Look first at predict" in message


@pytest.mark.board
def test_another_origin_is_refused_with_what_changed(bench, project, edit):
    edit(lambda content: content["time"]["measured_with"].update(kernel="4.14.98-imx"))
    done = bench("--resume=run", "--junitxml=junit.xml")
    assert done.ret == FAILED
    done.assert_outcomes(passed=6, failed=1)
    message = said(project, "test_keeps_up").find("failure").text
    assert "time cannot be compared" in message and "kernel: 4.14.98-imx -> " in message


@pytest.mark.board
def test_a_renamed_recording_fails_and_one_not_asked_for_does_not(bench, project, edit):
    done = bench("--resume=run", "--recordings=subject1,subject2", "--require-baseline")
    assert "missing" not in done.stdout.str() and done.ret == OK

    def rename(content):
        recordings = content["time"]["recordings"]
        recordings["subject0"] = recordings.pop("subject3")

    edit(rename)
    done = bench("--resume=run")
    assert done.ret == FAILED
    text = " ".join(done.stdout.str().split())
    assert "missing or renamed since the baseline: subject0" in text
    assert "not in the baseline: subject3 (approve it with --update-baseline)" in text


@pytest.mark.board
def test_spoilt_times_and_failed_replays_move_no_baseline(bench, project):
    before = load_baseline(project.path / "base", CASE)
    (record, *_) = sorted(project.path.joinpath("run").rglob("*.json"))
    content = json.loads(record.read_text())
    content["timing"] = {"valid": False, "reasons": ["the board throttled"], "spoilt_before": []}
    record.write_text(json.dumps(content))
    done = bench("--resume=run", "--update-baseline")
    assert done.ret == FAILED
    text = done.stdout.str()
    assert "times NOT stored: invalid:" in text and "the board throttled" in text
    assert load_baseline(project.path / "base", CASE) == before

    content["status"], content["error"] = "failed", {"kind": "X", "message": "no face"}
    record.write_text(json.dumps(content))
    done = bench("--resume=run", "--update-baseline")
    assert done.ret == FAILED
    assert "NOT stored: replays failed:" in done.stdout.str()
    assert load_baseline(project.path / "base", CASE) == before

    done = bench("--resume=run", "--update-baseline", "--recordings=subject1")
    assert "NOT stored: this run is of a part of its recordings" in done.stdout.str()
    assert done.ret == FAILED


@pytest.mark.board
def test_without_a_baseline_there_is_a_note_or_a_failure(bench, project):
    shutil.rmtree(project.path / "base")
    done = bench("--resume=run")
    assert done.ret == OK
    assert "none of error and time; --update-baseline" in " ".join(done.stdout.str().split())
    done = bench("--resume=run", "--require-baseline")
    assert done.ret == FAILED
    done.assert_outcomes(passed=5, failed=2)


@pytest.mark.board
def test_an_unusable_baseline_is_one_line_before_anything_runs(bench, project):
    path = project.path / FILE
    whole = path.read_text()
    path.write_text(whole.replace("kernel:", "kernal:", 1))
    done = bench()
    assert done.ret == USAGE
    done.stderr.fnmatch_lines(["ERROR: *float32.yaml: line *kernel: Field required*"])
    path.write_text(whole)
    path.parents[1].rename(project.path / "base" / "coral9")
    done = bench()
    assert done.ret == USAGE
    done.stderr.fnmatch_lines(["ERROR: *there is no board 'coral9' any more*"])


def test_a_margin_below_what_the_board_can_tell_is_refused_before_anything_runs(bench, project):
    where = load_baseline(project.path / "base", CASE).time.measured_with
    seen = Finding(unit="%", margin=5, comparisons=9, false_alarms=0, undecided=0, detectable=900.0)
    found = SelfTest(
        board="local",
        processor=where.processor,
        delegate=where.delegate,
        threads=where.threads,
        dataset="nine",
        variant="float32",
        recordings=9,
        sessions=12,
        baseline=3,
        session_sd_percent=60.0,
        gates={"slowdown_percent": seen},
    )
    save_selftest(project.path / "base", found)
    done = bench()
    assert done.ret == USAGE
    done.stderr.fnmatch_lines(
        ["*max_slowdown_percent * is less than can be told there (900 % by *"]
    )
    other = found.model_copy(update={"processor": "another"})
    save_selftest(project.path / "base", other)
    assert bench("--resume=run").ret == OK, "what another board can tell is no matter here"


def test_names_are_looked_for_where_boards_and_datasets_are(tmp_path):
    (tmp_path / "boards.yaml").write_text("a: {kind: local, labels: [x]}\nb: {kind: local}\n")
    boards = load_boards(tmp_path / "boards.yaml")
    folder = tmp_path / "base"

    def check(board, dataset="d", variant="int8"):
        path = folder / board / dataset / f"{variant}.yaml"
        path.parent.mkdir(parents=True)
        path.touch()
        try:
            check_baselines(folder, boards, {"d"}, ())
        finally:
            path.unlink()

    check("a", "d:test")
    check("a+b")
    check("label=x")
    for wrong in (("c",), ("a+c",), ("label=y",), ("b", "e"), ("b", "d", "int7")):
        with pytest.raises(UserError, match="any more"):
            check(*wrong)


@pytest.mark.board
def test_what_is_written_is_read_back(bench, project):
    one = load_baseline(project.path / "base", CASE)
    text = (project.path / FILE).read_text()
    assert write_baseline(project.path / "base", one) == project.path / FILE
    assert (project.path / FILE).read_text() == text
    assert max(map(len, text.splitlines())) <= 110


def test_another_files_boards_and_sets_are_not_those_of_the_baselines(tmp_path):
    path = tmp_path / "b" / "d" / "int8.yaml"
    path.parent.mkdir(parents=True)
    path.touch()
    check_baselines(tmp_path, None, None, ())
    with pytest.raises(UserError, match="no dataset 'd' any more"):
        check_baselines(tmp_path, None, {"e"}, ())


@pytest.mark.board
def test_each_pace_has_a_baseline_of_its_own(bench, project):
    before = (project.path / FILE).read_bytes()
    paced = ("--pace=8x", "-k", "heart_rate")
    assert load_baseline(project.path / "base", CASE, "8x") is None
    done = bench(*paced)
    assert done.ret == OK, "that of another pace is none of its"
    one = load_baseline(project.path / "base", CASE)
    kept = write_baseline(project.path / "base", one, "realtime 30 min")
    assert kept.name == "float32@realtime-30-min.yaml"
    assert load_baseline(project.path / "base", CASE, "realtime 30 min") == one
    assert (project.path / FILE).read_bytes() == before
    assert bench("--resume=run", "-k", "heart_rate").ret == OK


def test_a_fingerprint_tells_videos_apart(tmp_path):
    one, other = tmp_path / "a.avi", tmp_path / "b.avi"
    one.write_bytes(bytes(5_000_000))
    other.write_bytes(bytes(4_999_999) + b"x")
    assert fingerprint(one) != fingerprint(other)
    other.write_bytes(one.read_bytes())
    assert fingerprint(one) == fingerprint(other)
    other.write_bytes(one.read_bytes()[:-1])
    assert fingerprint(one) != fingerprint(other)
    folder = tmp_path / "images"
    folder.mkdir()
    empty = fingerprint(folder)
    (folder / "1.png").write_bytes(b"1")
    assert fingerprint(folder) != empty


@pytest.fixture
def shuffled():
    """Make a model whose larger kernels have their weights in random order."""
    from ai_edge_litert import schema_py_generated as schema

    def make(path):
        whole, card = bytearray(path.read_bytes()), read_card(path)
        del whole[whole.rindex(b"PK\x03\x04") :]
        model, rng, kernels = schema.Model.GetRootAs(whole), np.random.default_rng(0), 0
        graph = model.Subgraphs(0)
        for tensor in map(graph.Tensors, range(graph.TensorsLength())):
            stored = model.Buffers(tensor.Buffer())
            if tensor.ShapeLength() == 4 and stored.DataLength() >= 2000:
                weights = stored.DataAsNumpy().view(np.float32)  # where it lies in `whole`
                weights[:] = rng.permutation(weights)
                kernels += 1
        assert kernels > 4
        return attach_card(bytes(whole), card)

    return make
