"""The plugin as a user meets it: a whole pytest run over real replays."""

import json
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from harness.cli import main as rppg_bench
from harness.run_file import RUN_FILE, read_run
from rppg_core.model_card import attach_card, read_card

USAGE = pytest.ExitCode.USAGE_ERROR
FAILED = pytest.ExitCode.TESTS_FAILED
OK = pytest.ExitCode.OK


def bench(project, *more):
    return project.runpytest_subprocess(
        "--dataset=tiny", "--detector=haar", "--thresholds=lenient.yaml", "--results=out", *more
    )


def records(project):
    found = project.path.joinpath("out").rglob("*.json")
    return sorted(path for path in found if path.name != RUN_FILE)


@pytest.mark.board
def test_a_run_prints_both_tables_and_leaves_records(project):
    done = bench(project, "--junitxml=junit.xml", "--benchmark-json=times.json")
    assert done.ret == OK
    text = done.stdout.str()
    assert "Accuracy: heart rate in bpm" in text
    assert "Time: ms per call" in text
    assert "rendered clips with a known pulse; no person was measured" in text
    assert "2/2 subject2" in done.stderr.str(), "progress is shown though pytest captures output"
    assert len(records(project)) == 2

    one = json.loads(records(project)[0].read_text())
    assert one["schema"] == "rppg-record/1"
    assert one["campaign"]["labels"] == "ppg-fft"
    assert one["campaign"]["synthetic"] is True
    frames = one["result"]["frames"]
    assert {len(row) for row in one["result"]["timings_ns"].values()} == {frames}

    run = read_run(next(project.path.glob("out/2*")))
    assert run.finished and run.boards["local"]["machine"]
    assert "--dataset=tiny" in run.command
    (gates,) = run.gates.values()
    assert {"mae_bpm", "real_time_factor", "derivative_correlation"} <= {
        gate.gate for gate in gates
    }

    names = {p.get("name") for p in ET.parse(project.path / "junit.xml").iter("property")}
    assert {"mae_bpm", "mae_bpm.threshold", "real_time_factor", "n.all"} <= names

    times = json.loads((project.path / "times.json").read_text())
    assert times["machine_info"]["boards"]["local"]["machine"]
    by_stage = {b["extra_info"]["stage"]: b for b in times["benchmarks"]}
    both = [json.loads(path.read_text())["result"] for path in records(project)]
    for stage, benchmark in by_stage.items():
        mean_s = sorted(sum(r["timings_ns"][stage]) / r["frames"] / 1e9 for r in both)
        assert sorted(benchmark["stats"]["data"]) == pytest.approx(mean_s, rel=1e-6), stage
        assert benchmark["stats"]["rounds"] == 2


@pytest.mark.board
def test_the_tables_can_be_made_again_from_the_records(project, capsys):
    assert bench(project).ret == OK
    run = next(project.path.glob("out/2*"))
    assert rppg_bench(["report", str(run)]) == 0
    again = capsys.readouterr().out
    assert "Accuracy: heart rate in bpm" in again
    assert "subject" not in again.split("Time:")[0]
    assert "postprocess" in again


@pytest.mark.board
def test_a_miss_is_a_failure_that_explains_itself(project):
    done = bench(project, "--thresholds=strict.yaml")
    assert done.ret == FAILED
    text = done.stdout.str()
    assert "must be <= 1e-05" in text
    assert "Worst of 2 recordings" in text
    assert "Look first at predict" in text
    assert "Traceback" not in text


@pytest.mark.board
def test_a_recording_that_fails_fails_the_gate_and_no_other(project, real_clip):
    own = project.path / "own"
    own.mkdir()
    shutil.copy(real_clip, own / "good.mp4")
    (own / "cut.mp4").write_bytes(real_clip.read_bytes()[:400_000])
    (own / "empty.avi").touch()
    (own / "labels.csv").write_text(
        "file,bpm\ngood.mp4,53\ncut.mp4,60\nempty.avi,70\ngone.avi,80\n"
    )
    done = bench(project, "--dataset=own")
    text = done.stdout.str()
    # A file that the list names and the folder lacks is the user's mistake, said before a replay.
    assert done.ret == FAILED
    assert "gone.avi" in text
    (own / "labels.csv").write_text("file,bpm\ngood.mp4,53\ncut.mp4,60\nempty.avi,70\n")
    done = bench(project, "--dataset=own")
    text = done.stdout.str()
    assert done.ret == FAILED
    assert "3/3 good.mp4: 53." in done.stderr.str() or "3/3 good.mp4: 52." in done.stderr.str()
    assert "failed replays" in text
    assert "the file is empty" in text


@pytest.mark.board
def test_loopback_gives_the_same_heart_rates_and_then_sends_nothing(project):
    first = bench(project, "--board=local,loopback")
    assert first.ret == OK
    rates = {}
    for path in records(project):
        one = json.loads(path.read_text())
        key = one["campaign"]["recording"]
        rates.setdefault(key, []).append(one["result"]["bpm"])
    assert len(rates) == 2
    assert all(len(found) == 2 and np.ptp(found) < 1e-6 for found in rates.values()), rates
    assert "loopback 0 bytes" in bench(project, "--board=loopback").stdout.str()


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--board=moon", "no board 'moon'; there are: local, loopback"),
        ("--dataset=moon", "no dataset 'moon' in *; it has: own, tiny"),
        ("--variant=moon", "unknown variant 'moon'; there are *float32*"),
        ("--model=moon", "unknown model 'moon'; there are *tscan-afrl*"),
        ("--model=moon.tflite", "moon.tflite: no such model file"),
        ("--detector=moon", "unknown detector 'moon'; there are auto, resnet10-ssd*"),
        ("--boards=moon.yaml", "*moon.yaml: cannot be read*"),
        ("--datasets=moon.yaml", "*moon.yaml: no such datasets file"),
        ("--thresholds=moon.yaml", "*moon.yaml: cannot be read*"),
        ("--thresholds=broken.yaml", "*broken.yaml: *max_mae: unknown key*"),
        ("--recordings=moon", "*no recording *moon*"),
        ("--condition=moon=full", "*moon*"),
        ("--timing-retries=-1", "--timing-retries -1: 0 or more"),
        ("--replay-timeout=0", "--replay-timeout 0: more than 0 seconds"),
        ("--results=/proc/moon", "/proc/moon: cannot be written to (*)"),
    ],
)
def test_a_wrong_name_is_one_line_before_anything_runs(project, option, says):
    done = bench(project, option)
    assert done.ret == USAGE
    done.stderr.fnmatch_lines([f"ERROR: {says}"])
    assert "Traceback" not in done.stderr.str()
    assert not records(project)


@pytest.mark.board
def test_where_runs_are_is_no_run_to_go_on_with(project):
    assert bench(project, "test_accuracy.py").ret == OK
    done = bench(project, "--resume=out")
    assert done.ret == USAGE
    done.stderr.fnmatch_lines(["ERROR: out: has runs in it; name one, as out/2*"])


@pytest.mark.board
def test_an_interrupted_run_says_how_to_go_on(project):
    arguments = [sys.executable, "-m", "pytest", "--dataset=tiny", "--detector=haar"]
    arguments += ["--thresholds=lenient.yaml", "--results=out", "--pace=realtime"]
    process = project.popen(arguments, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    end = time.monotonic() + 120
    while not list(project.path.glob("out/*/run.json")):
        assert time.monotonic() < end, "it never came to replay"
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    [folder] = project.path.glob("out/2*")
    assert f"go on with --resume out/{folder.name}" in said.decode()


def test_other_peoples_tests_are_left_alone(pytester):
    pytester.makepyfile("def test_one(tmp_path): assert True")
    done = pytester.runpytest_subprocess("--board=moon")
    assert done.ret == OK
    assert "heart rate from video" not in done.stdout.str()


@pytest.mark.board
def test_a_board_that_does_not_answer_is_one_line(project):
    project.path.joinpath("boards.yaml").write_text("shut: {kind: ssh, host: 127.0.0.1, port: 1}\n")
    done = bench(project, "--board=shut")
    assert done.ret == FAILED
    run = json.loads(next(project.path.glob("out/*/run.json")).read_text())
    [gate] = run["cases"][0]["gates"]
    assert (gate["gate"], gate["outcome"]) == ("completed", "fail")
    assert "Connection refused" in gate["message"]
    text = done.stdout.str()
    assert "shut: 127.0.0.1:1 cannot be reached (Connection refused)" in text
    assert "Traceback" not in text
    assert "During handling" not in text
    assert "direct cause" not in text


@pytest.mark.board
def test_the_default_model_can_be_held_against_float32(project):
    done = bench(project, "--variant=float32,float16", "-k", "like_float32")
    assert done.ret == OK, done.stdout.str()


@pytest.mark.board
def test_forms_are_shown_beside_float32_and_again_from_the_records(project, capsys):
    done = bench(project, "--variant=float32,float16", "--model=tscan-afrl")
    assert done.ret == OK, done.stdout.str()
    text = done.stdout.str()
    assert "Likeness to float32" in text and "Variants on local, tiny (synthetic)" in text
    run = next(project.path.glob("out/2*"))
    assert rppg_bench(["report", str(run)]) == 0
    again = capsys.readouterr().out
    for table in ("Likeness to float32", "Variants on local, tiny (synthetic)"):
        first = figures(text.split(table)[1].splitlines()[3:5])
        assert first and first == figures(again.split(table)[1].splitlines()[3:5])


def figures(lines):
    """What of a table's lines does not come from the gates."""
    return [line.split("pass")[0].split()[:8] for line in lines]


def test_a_model_calibrated_with_what_it_is_judged_by_is_refused_at_once(project, tscan_file):
    about = {"dataset": "tiny", "subjects": ["subject2"], "recordings": {}}
    whole = tscan_file.read_bytes()
    card = {**read_card(tscan_file), "calibration": about}
    seen = project.path / "seen.tflite"
    seen.write_bytes(attach_card(whole[: whole.rindex(b"PK\x03\x04")], card))
    done = bench(project, f"--model={seen}")
    assert done.ret == USAGE
    done.stderr.fnmatch_lines(["ERROR: subject2 of dataset tiny is of subject subject2, whom *"])
    assert not records(project)
    done = bench(project, f"--model={seen}", "--recordings=subject1", "--collect-only")
    assert done.ret == OK
