"""Several boards share a campaign; what a lost one had begun, the others do."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.attempts import Effort
from harness.boards import recovery
from harness.boards.errors import BoardError
from harness.boards.inventory import find_boards, load_boards
from harness.boards.local import LocalBoard
from harness.boards.loopback import LoopbackBoard, PrivateSshd
from harness.boards.ssh import SshBoard
from harness.boards.ssh_link import SshTarget
from harness.by_board import board_of, case_id
from harness.campaign import Pipe, run_case
from harness.datasets.registry import open_dataset
from harness.pool import Pool, Sharing, work_together
from harness.reports.progress import CampaignProgress
from harness.run_file import read_run
from harness.verdicts.thresholds import Case
from rppg_core import models
from rppg_core.errors import UserError

OK = pytest.ExitCode.OK


class Named:
    """All that sharing asks of a board."""

    def __init__(self, name):
        self.name = name


def pool_of(*names, ready=lambda board, wanted: {"machine": "m"}):
    return Pool("pool", [Named(name) for name in names], ready)


@settings(max_examples=30)
@given(
    count=st.integers(0, 40),
    hands=st.integers(1, 5),
    dies_after=st.lists(st.integers(0, 6), max_size=4),
)
def test_all_work_is_done_once_while_one_board_is_left(count, hands, dies_after):
    lives = {str(n): dies_after[n] if n < len(dies_after) else 999 for n in range(hands)}
    lives["last"] = 999
    done, said = [], []

    def start(board):
        def do(piece, following):
            lives[board.name] -= 1
            if lives[board.name] < 0:
                raise BoardError("gone", board=board.name, doing="x", retryable=False)
            done.append(piece)

        return do

    pool = pool_of(*lives)
    work_together(pool, list(range(count)), start, said.append)
    assert sorted(done) == list(range(count))
    assert len(pool.lost) == len(said)


def test_with_no_board_left_the_last_error_is_raised():
    def start(board):
        raise UserError(f"{board.name} is wrong")

    pool, said = pool_of("a", "b"), []
    with pytest.raises(UserError, match=r"[ab] is wrong"):
        work_together(pool, [1], start, said.append)
    assert set(pool.lost) == {"a", "b"} and len(said) == 2
    assert sum("take over" in line for line in said) == 1


def test_a_mistake_of_the_harness_stops_all_and_is_raised():
    def start(board):
        def do(piece, following):
            raise ZeroDivisionError

        return do

    with pytest.raises(ZeroDivisionError):
        work_together(pool_of("a", "b"), range(10), start, print)


def test_a_board_waits_for_what_another_may_give_back():
    sharing, found = Sharing([1]), []
    assert sharing.take() == 1
    waiting = threading.Thread(target=lambda: found.append(sharing.take()))
    waiting.start()
    time.sleep(0.05)
    assert waiting.is_alive()
    sharing.give_back(1)
    waiting.join(5)
    assert found == [1]
    sharing.done()
    assert sharing.take() is None and sharing.left == 0


@pytest.mark.board
def test_a_board_in_use_is_not_waited_for_once_all_is_done(tmp_path):
    """It is not lost either: the next case may have it."""
    busy = LoopbackBoard("busy", workdir=str(tmp_path / "w"))
    said, waits, in_line = [], [], threading.Event()

    def ready(board, wanted):
        if board is busy:
            board.acquire(60.0, lambda line: (waits.append(line), in_line.set()), wanted)
        return {}

    pool = Pool("pair", [busy, Named("free")], ready)
    done = []

    def start(board):
        def do(piece, following):
            assert in_line.wait(20)
            done.append((board.name, piece))

        return do

    with LoopbackBoard("other", workdir=str(tmp_path / "w")) as other, busy:
        other.acquire(1.0, pytest.fail)
        began = time.monotonic()
        work_together(pool, [1, 2], start, said.append)
        assert time.monotonic() - began < 15.0
        assert (done, said, pool.lost) == ([("free", 1), ("free", 2)], [], {})
        assert len(waits) == 1
        other.close()
        busy.acquire(5.0, pytest.fail)


def test_nobody_takes_over_where_nothing_is_left():
    late = threading.Event()

    def ready(board, wanted):
        if board.name == "late":
            late.wait(5)
            raise BoardError("gone", board="late", doing="x", retryable=False)
        return {}

    pool, said = pool_of("late", "b", ready=ready), []

    def start(board):
        return lambda piece, following: None

    sharing_over = threading.Timer(0.3, late.set)
    sharing_over.start()
    work_together(pool, [1], start, said.append)
    assert said == ["late: gone while x"]


def test_boards_that_differ_are_said():
    kinds = iter(["cortex-a53", "cortex-a72"])
    pool, said = pool_of("a", "b", ready=lambda board, wanted: {"cpu_model": next(kinds)}), []
    barrier = threading.Barrier(2, timeout=5)
    work_together(pool, [1, 2], lambda board: lambda piece, following: barrier.wait(), said.append)
    assert "cortex-a53 and cortex-a72" in said[0]


def test_targets_are_found_by_name_sum_and_label(tmp_path):
    file = tmp_path / "boards.yaml"
    file.write_text(
        "a: {kind: local, labels: [x]}\nb: {kind: local, labels: [x, y]}\nc: {kind: local}\n"
    )
    boards = load_boards(file)
    assert find_boards(boards, "c") == ("c", ("c",))
    assert find_boards(boards, "c+a") == ("c+a", ("c", "a"))
    assert find_boards(boards, "label:x") == ("label=x", ("a", "b"))
    with pytest.raises(UserError, match=r"^no board with the label 'z'; labels are: x, y$"):
        find_boards(boards, "label:z")
    with pytest.raises(UserError, match="no board 'q'"):
        find_boards(boards, "a+q")


def unplug(sshd):
    """End a server and every session of it."""
    children = {}
    for line in subprocess.check_output(["ps", "-e", "-o", "pid=,ppid="], text=True).splitlines():
        pid, parent = map(int, line.split())
        children.setdefault(parent, []).append(pid)
    below = [sshd._keeper.pid]
    for pid in below:
        below += children.get(pid, [])
    sshd.close()
    for pid in below:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.board
@pytest.mark.lightening
def test_what_a_lost_board_had_begun_is_taken_over(tmp_path, clips, monkeypatch):
    monkeypatch.setattr(recovery, "RECOVER_S", 2.0)
    (tmp_path / "datasets.yaml").write_text(
        "tiny: {kind: synthetic, clips: 4, seconds: 45, size: [320, 240], "
        f"root: '{tmp_path}/clips'}}\n"
    )
    dataset = open_dataset("tiny", tmp_path / "datasets.yaml")
    dataset.prepare(lambda ready, of, clip: None)
    name, model = models.tflite_file(models.BUNDLED_MODEL, "float32")
    sshd = PrivateSshd()
    keys = {"key": sshd.user_key, "known_hosts": sshd.known_hosts}
    remote = SshBoard(
        "remote",
        SshTarget(host="127.0.0.1", port=sshd.port, user=sshd.user, **keys),
        python=sys.executable,
        workdir=str(tmp_path / "board"),
    )
    here = LocalBoard("here", workdir=tmp_path / "local")

    class Cut(CampaignProgress):
        """Pulls the remote board's plug once it is at work."""

        cut = threading.Event()

        def advance(self, case, recording, share):
            if threading.current_thread().name == "remote" and not self.cut.is_set():
                unplug(sshd)
                self.cut.set()

    lines = []
    monkeypatch.setattr(CampaignProgress, "say", lambda self, line: lines.append(line))

    def ready(board, wanted):
        board.connect()
        assert board is remote or Cut.cut.wait(120), "the remote board never came to work"
        return board.facts()

    pool = Pool("pair", [remote, here], ready)
    try:
        run = run_case(
            pool,
            dataset,
            Case("pair", "tiny", "float32"),
            Pipe(name, model, "haar", {}),
            tmp_path / "out",
            Cut(),
            Effort(timeout_s=120, board_retries=0),
        )
    finally:
        remote.close()
        here.close()
    assert not run.failures and len(run.replays) == 4
    assert set(pool.lost) == {"remote"}
    assert any("here take over" in line for line in lines)
    assert {one.campaign["replayed_on"] for one in run.replays} == {"here"}
    assert [one.recording for one in run.replays] == [f"subject{n}" for n in (1, 2, 3, 4)]


@pytest.fixture
def two(project):
    project.path.joinpath("boards.yaml").write_text(
        "one: {kind: loopback, labels: [pair], workdir: one}\n"
        "two: {kind: loopback, labels: [pair, all], workdir: two}\n"
        "gone: {kind: ssh, host: 127.0.0.1, port: 1, labels: [all]}\n"
    )
    options = ("--dataset=tiny", "--detector=haar", "--thresholds=lenient.yaml", "--results=out")
    return lambda *more: project.runpytest_subprocess(*options, *more)


def records(project):
    found = sorted(project.path.glob("out/*/*/**/*.json"))
    return [json.loads(path.read_text())["campaign"] for path in found]


@pytest.mark.board
def test_a_label_is_one_case_over_its_boards(two, project):
    done = two("--board=label:all", "test_accuracy.py")
    assert done.ret == OK
    text = done.stdout.str() + done.stderr.str()
    assert "gone:" in text and "two take over" in text
    assert len(records(project)) == 2
    assert {one["board"] for one in records(project)} == {"label=all"}
    assert {one["replayed_on"] for one in records(project)} == {"two"}


def test_a_test_is_of_the_board_in_its_name():
    cases = [Case("a", "d", "f"), Case("a-d", "f", "int8"), Case("a", "d", "f-int8")]
    boards = {case_id(case): case.board for case in cases}
    assert board_of("x.py::test_it[a-d-f]", boards) == "a"
    assert board_of("x.py::test_it[a-d-f-decode]", boards) == "a"
    assert board_of("x.py::test_it[b-d-f]", boards) == "x.py::test_it[b-d-f]"
    assert board_of("x.py::test_it", boards) == "x.py::test_it"
    assert board_of("x.py::test_it[label=x-d-f]", {"label=x-d-f": "label=x"}) == "label=x"


@pytest.mark.board
def test_boards_beside_each_other_by_xdist(two, project):
    tests = ("test_accuracy.py", "test_latency.py::test_keeps_up")
    done = two("--board=one,two", "-n2", "--junitxml=junit.xml", *tests)
    assert done.ret == OK
    done.assert_outcomes(passed=4)
    said = done.stdout.str() + done.stderr.str()
    assert said.count("tiny / float32: 2 to do") == 2, (
        "each board is replayed on once, by one worker"
    )
    assert "waiting" not in said
    assert len(list(project.path.glob("out/2*"))) == 1, "one run, one folder"
    assert sorted(one["board"] for one in records(project)) == ["one", "one", "two", "two"]
    run = read_run(next(project.path.glob("out/2*")))
    assert run.finished and "-n2" in run.command, "as the user wrote it"
    assert sorted(case.board for case, gates in run.gates.items() if gates) == ["one", "two"]
    assert set(run.boards) == {"one", "two"}, "each worker added its own"
    assert "Accuracy: heart rate in bpm" in done.stdout.str()
