"""A campaign goes on: past failures of the board, spoilt times, and the death of its own host."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.attempts import Effort
from harness.boards.base import PACKAGE_ROOT
from harness.boards.deploy import LEFT_OUT
from harness.boards.errors import BoardError
from harness.boards.local import LocalBoard
from harness.boards.loopback import LoopbackBoard
from harness.boards.settings import BoardSettings, HealthLimits
from harness.campaign import Pipe, run_case
from harness.datasets.registry import open_dataset
from harness.datasets.selection import Selection, select
from harness.pool import Pool
from harness.verdicts.thresholds import Case

pytestmark = pytest.mark.board


class Observer:
    """Does something at the first progress of a replay."""

    def __init__(self, at_progress=lambda: None, times=1):
        self.at_progress, self.times, self.lines = at_progress, times, []

    def start(self, case, recordings):
        self.lines.append(f"start {recordings}")

    def advance(self, case, recording, share):
        if self.times:
            self.times -= 1
            self.at_progress()

    def done(self, case, recording, outcome):
        self.lines.append(f"{recording} {outcome}")

    def say(self, line):
        self.lines.append(line)


@pytest.fixture
def dataset(tmp_path, clips):
    (tmp_path / "datasets.yaml").write_text(
        f"tiny: {{kind: synthetic, clips: 2, seconds: 20, size: [320, 240], root: '{clips}'}}\n"
    )
    found = open_dataset("tiny", tmp_path / "datasets.yaml")
    found.prepare(lambda *_: None)
    return found


@pytest.fixture
def run(dataset, tscan_file, tmp_path):
    def start(board, observer, only=(), resume=False, timed=False, pool=None, **effort):
        pipe = Pipe("tscan", tscan_file, "haar", {})
        case = Case(board.name, "tiny", "float32")
        with board:
            return run_case(
                pool or board,
                select(dataset, Selection(tuple(only))),
                case,
                pipe,
                tmp_path / "out",
                observer,
                Effort(timeout_s=120.0, timed=timed, **effort),
                resume,
            )

    return start


def replay_of(keeper):
    """The process that replays, below another."""
    below = [keeper]
    while below:
        pid = below.pop()
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"rppg_core.replay" in words and b"timeout" not in words[0]:
            return pid
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        below += map(int, found)
    raise AssertionError("no replay runs")


def test_killed_replay_is_done_again_and_the_record_says_so(run, tmp_path):
    board = LocalBoard(workdir=tmp_path / "work")
    observer = Observer(lambda: os.kill(replay_of(os.getpid()), signal.SIGKILL))
    done = run(board, observer, ["subject1"])
    (one,) = done.replays
    assert one.record.ok
    assert len(one.record.raw["board_failures"]) == 1
    assert "killed (signal 9)" in one.record.raw["board_failures"][0]
    assert any("trying again" in line for line in observer.lines)


def test_recording_that_kills_every_replay_fails_alone(run, tmp_path):
    board = LocalBoard(workdir=tmp_path / "work")
    observer = Observer(lambda: os.kill(replay_of(os.getpid()), signal.SIGKILL), times=2)
    done = run(board, observer, board_retries=1)
    assert list(done.failures) == ["subject1"]
    assert [one.recording for one in done.replays] == ["subject2"]


def test_cut_connection_is_made_again(run, tmp_path):
    board = LoopbackBoard(workdir=str(tmp_path / "work"))

    def cut():
        board._link._connection.transport.sock.shutdown(socket.SHUT_RDWR)

    observer = Observer(cut)
    done = run(board, observer, ["subject1"])
    assert done.replays[0].record.ok
    assert "lost" in done.replays[0].record.raw["board_failures"][0]


@pytest.mark.parametrize("pooled", [False, True])
def test_cut_while_the_board_is_made_ready_is_got_over(run, tmp_path, pooled):
    board = LoopbackBoard(workdir=str(tmp_path / "work"))
    put = board.put

    def cut_then_put(paths):
        if board.__dict__.pop("put", None):  # the first of all
            board._link.cut()
        return put(paths)

    board.put = cut_then_put
    pool = Pool("one", [board], lambda one, wanted: one.facts()) if pooled else None
    done = run(board, observer := Observer(), ["subject1"], pool=pool)
    assert done.replays[0].record.ok
    assert done.replays[0].record.raw["board_failures"] == []
    assert sum("trying again" in line for line in observer.lines) == 1


def test_board_that_is_never_ready_is_given_up(run, tmp_path):
    board = LoopbackBoard(workdir=str(tmp_path / "work"))

    def cut(paths):
        board._link.cut()
        board._link.fetch("x")

    board.put = cut
    with pytest.raises(BoardError, match=r"not connected|was lost"):
        run(board, observer := Observer(), ["subject1"], board_retries=1)
    assert sum("trying again" in line for line in observer.lines) == 1


def test_board_that_stays_away_ends_the_case_and_keeps_what_was_done(run, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.boards.recovery.RECOVER_S", 1.0)
    board = LoopbackBoard(workdir=str(tmp_path / "work"))

    def leave():
        board._find = lambda: unreachable
        board._link._connection.transport.sock.shutdown(socket.SHUT_RDWR)

    from harness.boards.ssh_link import SshTarget

    unreachable = SshTarget("127.0.0.1", "x", 1)
    observer = Observer(leave)
    first = run(LoopbackBoard(workdir=str(tmp_path / "work")), Observer(), ["subject2"])
    with pytest.raises(BoardError) as caught:
        run(board, observer, resume=True)
    assert caught.value.kind == "unreachable"
    assert "did not come back in" in str(caught.value)
    observer = Observer()
    again = run(LoopbackBoard(workdir=str(tmp_path / "work")), observer, resume=True)
    assert observer.lines[1].startswith("subject2 kept: "), "what is there is said first"
    assert "kept" not in observer.lines[2]
    assert again.replays[1].record.bpm == first.replays[0].record.bpm


def test_records_of_another_pipeline_are_not_kept(run, tmp_path):
    """What a board runs need not be the pipeline that this harness came with."""
    package = tmp_path / "older" / PACKAGE_ROOT.name
    shutil.copytree(PACKAGE_ROOT, package, ignore=shutil.ignore_patterns(*LEFT_OUT))

    def again():
        board = LocalBoard(workdir=tmp_path / "work", package_root=package)
        run(board, observer := Observer(), ["subject1"], resume=True)
        return "subject1 kept: " in observer.lines[1]

    assert not again()
    assert again()
    with (package / "replay.py").open("a") as source:
        source.write("# another version\n")
    assert not again()
    (package / "data.json").write_text("{}")
    assert not again()


def test_run_with_nothing_missing_is_resumed_without_the_board(run, tmp_path):
    first = run(LocalBoard(workdir=tmp_path / "work"), Observer())
    board = LocalBoard(workdir=tmp_path / "none", python=str(tmp_path / "no python"))
    again = run(board, observer := Observer(), resume=True)
    assert [line.split()[1] for line in observer.lines[1:]] == ["kept:", "kept:"]
    assert [one.record.bpm for one in again.replays] == [one.record.bpm for one in first.replays]


def test_file_that_changes_while_it_is_read_is_sent_again(run, tmp_path):
    work = tmp_path / "work"
    whole = run(LoopbackBoard(workdir=str(work)), Observer(), ["subject1"])

    def damage():
        for video in (work / "store").glob("*.avi"):
            video.chmod(0o600)
            with video.open("r+b") as target:
                target.seek(video.stat().st_size // 2)
                target.write(bytes(4096))

    done = run(LoopbackBoard(workdir=str(work)), Observer(damage), ["subject1"])
    assert "was changed there meanwhile" in done.replays[0].record.raw["board_failures"][0]
    assert done.replays[0].record.bpm == whole.replays[0].record.bpm


def test_damaged_pipeline_is_mended(run, tmp_path):
    work = tmp_path / "work"
    board = LoopbackBoard(workdir=str(work))
    put = board.put

    def put_then_damage(paths):
        placed = put(paths)
        if board.__dict__.pop("put", None):  # the first of all
            for source in (work / "store").glob("*.py"):
                source.chmod(0o600)
                source.write_text("(")
        return placed

    board.put = put_then_damage
    done = run(board, Observer(), ["subject1"])
    assert done.replays[0].record.ok
    assert "the pipeline was damaged" in done.replays[0].record.raw["board_failures"][0]


def test_foreign_load_spoils_times_but_no_gate(run, tmp_path):
    board = LocalBoard(workdir=tmp_path / "work")
    board.settings = BoardSettings(health=HealthLimits(max_load=0.05))
    hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        observer = Observer()
        done = run(board, observer, ["subject1"], timed=True, timing_retries=1)
    finally:
        hog.kill()
        hog.wait()
    assert done.times == ()
    assert "foreign load of" in done.invalid["subject1"]
    timing = done.replays[0].record.raw["timing"]
    assert not timing["valid"]
    assert len(timing["spoilt_before"]) == 1, "it was tried once more"
    assert done.scored, "accuracy does not mind"


PROGRESS = "1/2 subject1"


def records(folder):
    found = {}
    for path in folder.glob("**/float32/*.json"):
        content = json.loads(path.read_text())
        found[content["campaign"]["recording"]] = content
    return found


def accuracy(content):
    result = dict(content["result"])
    for key in ("timings_ns", "real_time_factor"):
        result.pop(key)
    return result


def test_host_killed_in_a_campaign_goes_on_where_it_was(project):
    common = ["--dataset=tiny", "--detector=haar", "--thresholds=lenient.yaml"]
    command = [sys.executable, "-m", "pytest", "test_accuracy.py", "--board=loopback", *common]
    host = subprocess.Popen(
        [*command, "--results=cut"], cwd=project.path, stderr=subprocess.PIPE, text=True
    )
    with host:
        for line in host.stderr:
            if PROGRESS in line:
                os.kill(host.pid, signal.SIGKILL)
    (folder,) = project.path.glob("cut/2*")
    before = records(folder)
    assert len(before) == 1
    again = project.runpytest_subprocess(
        "test_accuracy.py", "--board=loopback", *common, f"--resume={folder}"
    )
    assert again.ret == 0
    again.stderr.fnmatch_lines(["*1/2 subject1: kept: *", "*2/2 subject2: *"])
    after = records(folder)
    assert after["subject1"] == before["subject1"], "what was there is not touched"
    boards = project.path / "boards.yaml"
    boards.write_text(boards.read_text() + "shut: {kind: ssh, host: 127.0.0.1, port: 1}\n")
    whole = project.runpytest_subprocess(
        "test_accuracy.py", "--board=loopback,shut", *common, "--results=whole"
    )
    whole.stdout.fnmatch_lines(["*shut: 127.0.0.1:1 cannot be reached*"])
    assert whole.ret == 1, "a board that is not there fails the run, and no other board"
    undisturbed = records(project.path / "whole")
    assert set(undisturbed) == set(after) == {"subject1", "subject2"}
    for name, content in after.items():
        assert accuracy(content) == accuracy(undisturbed[name])


def test_resuming_a_run_that_is_not_there_is_one_line(project):
    done = project.runpytest_subprocess("--dataset=tiny", "--detector=haar", "--resume=nowhere")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["ERROR: nowhere: no such folder; name the folder of a run"])
