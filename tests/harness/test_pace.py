"""Paced and sustained replays as a user asks for them, and what is left when one breaks off."""

import json
import os
import signal
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from harness.attempts import Effort
from harness.boards.local import LocalBoard
from harness.campaign import Pipe, run_case
from harness.cli import main as rppg_bench
from harness.datasets.registry import open_dataset
from harness.datasets.selection import Selection, select
from harness.pace import AT_ONCE, MinuteLog, Pace, unfinished
from harness.realtime import unfinished_runs
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError

RULES = """
accuracy: [{max_mae_bpm: 60.0}]
latency:
  - max_real_time_factor: 50.0
    max_missed_percent: %s
    max_dropped_percent: %s
"""
USAGE = pytest.ExitCode.USAGE_ERROR


@pytest.fixture
def realtime(project):
    """The project with the page on real time, and rules that any board meets, or none."""
    page = Path(__file__).parents[2] / "benchmarks" / "test_realtime.py"
    project.path.joinpath("test_realtime.py").write_text(page.read_text())
    project.path.joinpath("easy.yaml").write_text(RULES % (100.0, 100.0))
    project.path.joinpath("hard.yaml").write_text(RULES % (0.0, 0.0))
    return project


def bench(project, *more):
    usual = ("--dataset=tiny", "--recordings=subject1", "--detector=haar", "--results=out")
    return project.runpytest_subprocess(*usual, "--model=tscan-synthetic", *more)


def records(project):
    return [json.loads(path.read_text()) for path in project.path.glob("out/2*/*/*/*/*.json")]


@pytest.mark.board
def test_a_paced_run_is_judged_and_shown_and_can_be_shown_again(realtime, capsys):
    done = bench(
        realtime,
        "test_realtime.py",
        "--pace=realtime",
        "--thresholds=easy.yaml",
        "--junitxml=j.xml",
    )
    assert done.ret == 0, done.stdout.str()
    done.assert_outcomes(passed=1, deselected=1)
    text = done.stdout.str()
    assert "Real time: frames at their recorded times" in text
    assert "pass late <= 100" in text and "pass drop <= 100" in text
    named = {p.get("name") for p in ET.parse(realtime.path / "j.xml").iter("property")}
    assert {"missed_percent", "dropped_percent", "dropped_percent.threshold"} <= named
    (record,) = records(realtime)
    assert record["pace"] == "realtime"
    assert record["pacing"]["frames"] == 240
    assert rppg_bench(["report", str(next(realtime.path.glob("out/2*")))]) == 0
    assert "Real time: frames at their recorded times" in capsys.readouterr().out


@pytest.mark.board
def test_frames_that_come_too_fast_fail_the_gate(realtime):
    done = bench(realtime, "test_realtime.py", "--pace=20x", "--thresholds=hard.yaml")
    assert done.ret == 1
    text = done.stdout.str()
    assert "real time does not hold" in text
    assert "frames dropped" in text and "must be <= 0 %" in text
    assert "FAIL drop <= 0" in text


def test_what_was_not_asked_for_does_not_pass_unseen(realtime):
    done = bench(realtime, "test_realtime.py")
    assert done.ret == USAGE
    done.stderr.fnmatch_lines(["ERROR: *test_no_frame_is_late* needs --pace realtime*"])


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--pace=slow", "unknown pace 'slow'; there are fast, realtime, and 2x*"),
        ("--pace=realtime", "virtual counts instructions and keeps no time, so --pace realtime*"),
    ],
)
def test_a_pace_that_cannot_be_is_one_line_before_anything_runs(realtime, option, says):
    realtime.path.joinpath("boards.yaml").write_text("virtual: {kind: virtual}\n")
    done = bench(realtime, option, "--board=virtual", "--thresholds=easy.yaml")
    assert done.ret == USAGE
    done.stderr.fnmatch_lines([f"ERROR: {says}"])
    assert "Traceback" not in done.stderr.str()
    assert not list(realtime.path.joinpath("out").rglob("*"))


@pytest.mark.board
def test_a_fraction_of_a_minute_on_two_boards(realtime):
    boards = ("--board=local,loopback", "--thresholds=easy.yaml", "--minutes=0.05")
    done = bench(realtime, "test_realtime.py", *boards)
    assert done.ret == 0, done.stdout.str()
    done.assert_outcomes(passed=2, deselected=2)
    text = done.stdout.str()
    assert "Minute by minute" in text
    assert "Who keeps up: real-time factor in minute 1 and minute 1" in text
    found = records(realtime)
    assert len(found) == 2
    for record in found:
        (row,) = record["sustained"]["minutes"]
        assert row["end_s"] == pytest.approx(3.0, abs=1.5)
        assert row["frames"] >= 240, "at least the whole recording"
        assert record["health"]["start_uptime_s"] < row["ended_uptime_s"]


# --- what is left ---------------------------------------------------------------------------------


class Observer:
    """Does something when a share of the time is through."""

    def __init__(self, after, act):
        self.after, self.act, self.lines = after, act, []

    def start(self, case, recordings):
        pass

    def advance(self, case, recording, share):
        if share >= self.after and self.act:
            act, self.act = self.act, None
            act()

    def done(self, case, recording, outcome):
        self.lines.append(outcome)

    def say(self, line):
        self.lines.append(line)


@pytest.fixture
def dataset(tmp_path, clips):
    (tmp_path / "datasets.yaml").write_text(
        f"tiny: {{kind: synthetic, clips: 2, seconds: 8, size: [320, 240], root: '{clips}'}}\n"
    )
    found = open_dataset("tiny", tmp_path / "datasets.yaml")
    found.prepare(lambda *_: None)
    return select(found, Selection(("subject1",)))


def sustained(board, dataset, model, folder, observer, pace):
    pipe = Pipe("tscan", model, "haar", {}, pace=pace)
    with board:
        return run_case(
            board,
            dataset,
            Case(board.name, "tiny", "float32"),
            pipe,
            folder,
            observer,
            Effort(timeout_s=60.0, timed=False, board_retries=0),
        )


@pytest.mark.board
def test_minutes_before_a_crash_are_on_disk_and_in_the_report(
    dataset, tscan_file, tmp_path, monkeypatch, capsys
):
    """Rows of a second, and the board's process killed after three of eight."""
    monkeypatch.setattr(Pace, "in_job", {"minutes": 8 / 60, "period_s": 1.0})

    def kill():
        below = [os.getpid()]
        while below:
            pid = below.pop()
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"rppg_core.replay" in words and b"timeout" not in words[0]:
                os.kill(pid, signal.SIGKILL)
                return
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            below += map(int, children)

    board, minutes = LocalBoard(workdir=tmp_path / "work"), Pace(minutes=8 / 60)
    observer = Observer(0.6, kill)
    done = sustained(board, dataset, tscan_file, tmp_path / "out", observer, minutes)
    assert "killed" in done.failures["subject1"]
    assert not list((tmp_path / "out").rglob("*.json"))
    (found,) = unfinished_runs(tmp_path / "out")
    (run,) = found.runs
    assert 2 <= len(run.minutes) <= 7
    assert all(one.real_time_factor > 0 for one in run.minutes)
    assert f"{len(run.minutes)} of 0.133333 minutes came back" in run.unfinished
    assert rppg_bench(["report", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "Minute by minute" in text
    assert "unfinished" in text
    assert "no person was measured" in text


def test_a_log_is_whole_up_to_a_line_that_was_cut(tmp_path):
    about = {"asked_minutes": 3.0, "recording": "a"}
    log = MinuteLog(tmp_path / "local", "a", about)
    log.begin()
    log.note({"event": "minute", "minute": 1})
    log.begin()
    log.note({"event": "progress", "frames": 3})
    log.note({"event": "minute", "minute": 1})
    log.note({"event": "health", "at_s": 3.0})
    with log.path.open("a") as stream:
        stream.write('{"event": "minu')
    (events,) = unfinished(tmp_path)
    assert [one["event"] for one in events] == ["begin", "minute", "health"]
    log.path.with_name(log.path.name.replace(".minutes.jsonl", ".json")).write_text("{}")
    assert list(unfinished(tmp_path)) == []
    assert list(unfinished(tmp_path / "none")) == []


def test_a_pace_in_a_job():
    assert AT_ONCE.in_job == {}
    assert Pace("realtime").in_job == {"pace": "realtime"}
    assert Pace(minutes=0.5).in_job == {"minutes": 0.5}
    assert "so --minutes says nothing there" in Pace(minutes=0.5).why_not_on("instructions")
    assert Pace(minutes=0.5).why_not_on("ns") is None
    assert AT_ONCE.why_not_on("instructions") is None
    for wrong in (("slow", None), ("fast", -1.0), ("fast", float("nan"))):
        with pytest.raises(UserError):
            Pace(*wrong)
