"""A whole campaign at a place, and what the commands say of it."""

import json
import subprocess
import sys
import time

import pytest

from harness.cli import main as rppg_bench

pytestmark = pytest.mark.board
US, OTHER = "ci/runner", "desk/eve"
SECONDS_S, EXIT_S = 10.0, 20.0
"""To notice and to end the replay; for pytest to write its reports and end."""


def campaign(boards, *more):
    return [
        "test_accuracy.py",
        "--board=pi",
        f"--boards={boards}",
        "--dataset=tiny",
        "--detector=haar",
        "--model=tscan-synthetic",
        "--thresholds=lenient.yaml",
        "--results=out",
        *more,
    ]


def bench(project, *more):
    return project.runpytest_subprocess(*campaign(*more))


def test_campaign_completes_and_leaves_the_place_free(farm, place, entry, project):
    done = bench(project, entry(place))
    assert done.ret == pytest.ExitCode.OK
    assert "Accuracy: heart rate in bpm" in done.stdout.str()
    records = [json.loads(one.read_text()) for one in project.path.glob("out/*/pi/**/*.json")]
    assert len(records) == 2
    assert {one["status"] for one in records} == {"ok"}
    assert farm.holder(place) is None


def test_campaign_at_a_busy_place_ends_with_one_line(farm, place, entry, project):
    farm.do(place, "acquire")
    done = bench(project, entry(place), "--lease-wait=2")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    assert f"pi: held by {OTHER}; waiting up to 2 s" in done.stderr.str()
    assert f"still busy after 2 s (place {place} is held by {OTHER})" in done.stdout.str()
    assert "Traceback" not in done.stdout.str() + done.stderr.str()


def test_kicked_campaign_stops_within_seconds_with_one_line(farm, place, entry, project, tmp_path):
    arguments = campaign(entry(place), "--pace=realtime")
    process = project.popen(
        [sys.executable, "-m", "pytest", *arguments],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    end = time.monotonic() + 120.0
    while not list(tmp_path.glob("w/jobs/*")):
        assert time.monotonic() < end, "it never came to replay"
        time.sleep(0.1)
    assert farm.holder(place) == US
    farm.do(place, "release", "--kick")
    farm.do(place, "acquire")
    said, _ = process.communicate(timeout=SECONDS_S + EXIT_S)
    text = said.decode()
    assert process.returncode == pytest.ExitCode.TESTS_FAILED
    # "kicked" where it is seen before the other has it
    assert f"pi: the place {place} was released from this run (" in text
    assert f"(now held by {OTHER})" in text or "(kicked, " in text
    assert "Traceback" not in text
    assert "2/2 subject2" not in text
    assert farm.holder(place) == OTHER


def test_lease_shows_holder_and_line_and_takes_the_place_away(farm, place, entry, capsys):
    boards = str(entry(place))
    farm.do(place, "acquire")
    farm.client("reserve", f"name={place}", who="desk/bob")
    assert rppg_bench(["lease", "pi", "--boards", boards]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(f"pi: held by {OTHER} for ")
    assert shown[1].startswith("  1. desk/bob, waiting for ")
    assert farm.holder(place) == OTHER, "a look changes nothing"
    assert rppg_bench(["lease", "pi", "--break", "--boards", boards]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "pi: free"
    assert farm.holder(place) is None


def test_lease_says_in_one_line_what_is_wrong(place, entry, capsys):
    boards = entry(place, coordinator="127.0.0.1:1")
    assert rppg_bench(["lease", "pi", "--boards", str(boards)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("rppg-bench: pi: no labgrid coordinator answers at 127.0.0.1:1")


def test_doctor_leaves_a_busy_place_alone_and_gives_a_free_one_back(
    farm, place, entry, capsys, models_folder
):
    boards = str(entry(place))
    farm.do(place, "acquire")
    assert rppg_bench(["doctor", "pi", "--boards", boards]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("warn  lease        still busy after 0 s (place")
    assert f"held by {OTHER}" in line
    farm.do(place, "release")
    assert rppg_bench(["doctor", "pi", "--boards", boards]) == 0
    shown = capsys.readouterr().out
    assert "ok    connect" in shown
    assert "ok    self-test" in shown
    assert farm.holder(place) is None


def test_boards_names_the_kind(place, entry, capsys):
    assert rppg_bench(["boards", "--boards", str(entry(place))]) == 0
    assert capsys.readouterr().out.split() == ["pi", "labgrid"]
