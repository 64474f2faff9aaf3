"""What a replay does to the host and the board, alike on this machine and over SSH."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from harness.boards.errors import BoardError
from harness.boards.wire import AGENT_SOURCE, agent_arguments, encode

pytestmark = pytest.mark.board
LIMIT_S = 20.0


def jobs_left(tmp_path):
    return [path for path in tmp_path.glob("*/jobs/*") if path.is_dir()]


def test_records_come_back_in_order_and_the_job_folder_goes(board, job, tmp_path):
    events = []
    result = board.replay(job("ok", "failed", "ok"), events.append, LIMIT_S)
    assert result.exit_status == 1
    assert [record["recording"] for record in result.records] == ["s0 ok", "s1 failed", "s2 ok"]
    assert [event["event"] for event in events] == ["progress", "record"] * 3
    assert jobs_left(tmp_path) == []


def test_all_ok_is_status_0(board, job):
    assert board.replay(job("ok"), lambda event: None, LIMIT_S).exit_status == 0


def test_events_come_while_the_replay_runs(board, job):
    at = []
    board.replay(job("slow"), lambda event: at.append(time.monotonic()), LIMIT_S)
    assert at[-1] - at[0] > 0.7


def test_unusable_job_is_a_result_with_its_reason(board, job):
    result = board.replay(job("unusable"), lambda event: None, LIMIT_S)
    assert (result.exit_status, result.records) == (2, [])
    assert "the model is not one" in result.stderr_tail


def test_other_output_is_kept_as_diagnostics_and_bounded(board, job):
    result = board.replay(job("chatty"), lambda event: None, LIMIT_S)
    assert len(result.records) == 1
    assert 1000 < len(result.stderr_tail) <= 4000


@pytest.mark.parametrize(
    ("act", "says", "retryable"),
    [
        ("silent", "without all of its records", False),
        ("crash", "RuntimeError: boom", False),
        ("garbled", "not a JSON object", False),
        ("unwritten", "cannot be fetched", True),
        ("escape", "not in the job's folder", False),
        ("killed", "killed (signal 9) while replaying; is the board out of memory?", True),
    ],
)
def test_incomplete_replay_is_an_error_of_one_line(board, job, act, says, retryable):
    with pytest.raises(BoardError) as caught:
        board.replay(job("ok", act), lambda event: None, LIMIT_S)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.board == board.name
    assert caught.value.retryable is retryable


@pytest.mark.parametrize(
    ("act", "kind", "says"),
    [
        ("segfault", "crashed", "crashed (signal 11, SIGSEGV"),
        ("killed", "crashed", "killed (signal 9)"),
        ("full", "out of disk", "No space left on device"),
        ("hib", "edge tpu", "switch the board off and on"),
        ("robbed", "lease", "the lease is at generation 2, not 1"),
    ],
)
def test_failures_of_a_board_are_told_apart(local_board, job, act, kind, says):
    with pytest.raises(BoardError) as caught:
        local_board.replay(job(act), lambda event: None, LIMIT_S)
    assert caught.value.kind == kind
    assert says in str(caught.value)


def test_memory_that_ran_out_is_told_from_a_kill(local_board, job, monkeypatch):
    """The kernel counts whom it killed for want of memory; here it is made to seem so."""
    counted = b'.get("oom_kill", 0)'
    text = AGENT_SOURCE.replace(counted, counted + b" + time.monotonic_ns()")
    assert text != AGENT_SOURCE
    monkeypatch.setattr("harness.boards.wire.AGENT_SOURCE", text)
    with pytest.raises(BoardError, match="the board ran out of memory") as caught:
        local_board.replay(job("killed"), lambda event: None, LIMIT_S)
    assert caught.value.kind == "out of memory"


def test_what_was_recorded_before_a_crash_is_kept(board, job):
    with pytest.raises(BoardError) as caught:
        board.replay(job("ok", "killed", "ok"), lambda event: None, LIMIT_S)
    assert [record["recording"] for record in caught.value.records] == ["s0 ok"]


@pytest.fixture
def quick(monkeypatch):
    """Let stubborn processes live for 1 s instead of 5."""
    changed = AGENT_SOURCE.replace(b"KILL_GRACE_S = 5.0", b"KILL_GRACE_S = 1.0")
    assert changed != AGENT_SOURCE
    monkeypatch.setattr("harness.boards.wire.AGENT_SOURCE", changed)
    return 1.0


@pytest.mark.parametrize("act", ["hang", "stubborn"])
def test_replay_that_times_out_is_gone_from_the_board(board, job, act, gone, tmp_path, quick):
    pids = []
    start = time.monotonic()
    with pytest.raises(BoardError, match="did not end within 1 s and was stopped") as caught:
        board.replay(job("ok", act), lambda event: pids.extend(event.get("pids", [])), 1.0)
    assert time.monotonic() - start < 1.0 + quick + 3.0
    assert pids
    assert gone(pids, within_s=0.5)
    assert [record["recording"] for record in caught.value.records] == ["s0 ok"]
    assert jobs_left(tmp_path) == []


def test_what_a_replay_leaves_running_is_ended_with_it(board, job, gone):
    pids = []
    result = board.replay(job("litter"), lambda e: pids.extend(e.get("pids", [])), LIMIT_S)
    assert result.exit_status == 0
    assert pids
    assert gone(pids, within_s=0.5)


def test_interrupted_replay_is_gone_from_the_board(board, job, gone):
    pids = []

    def interrupt(event):
        pids.extend(event.get("pids", []))
        if pids:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        board.replay(job("hang"), interrupt, LIMIT_S)
    assert gone(pids, within_s=0.5)
    assert board.replay(job("ok"), lambda event: None, LIMIT_S).exit_status == 0


HOST = """
    import json, sys
    from pathlib import Path
    from harness.boards.local import LocalBoard
    from harness.boards.ssh import SshBoard
    from harness.boards.ssh_link import SshTarget
    kind, package, workdir, port, user, key, known_hosts = sys.argv[1:]
    common = {"package_root": Path(package), "python": sys.executable}
    if kind == "local":
        board = LocalBoard("x", workdir=Path(workdir), **common)
    else:
        target = SshTarget("127.0.0.1", user, int(port), Path(key), Path(known_hosts))
        board = SshBoard("x", target, workdir=workdir, **common)
    job = {"recordings": [{"id": "a", "path": "hang"}], "model": {}}
    with board:
        board.replay(job, lambda event: print(json.dumps(event), flush=True), 60.0)
"""


@pytest.mark.parametrize("kind", ["local", "ssh"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_replay_does_not_outlive_its_host(kind, number, package, tmp_path, sshd, gone):
    arguments = [kind, package, tmp_path / "w", sshd.port, sshd.user, sshd.user_key]
    host = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOST), *map(str, arguments), sshd.known_hosts],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with host:
        lines = iter(host.stdout.readline, "")
        found = next(line for line in lines if "pids" in line)
        pids = [int(word) for word in found.partition("[")[2].partition("]")[0].split(",")]
        os.kill(host.pid, number)
        assert gone(pids)


def with_silence_limit(limit):
    text = AGENT_SOURCE.decode()
    changed = text.replace("HOST_SILENCE_S = 60.0", f"HOST_SILENCE_S = {limit}")
    assert changed != text
    return changed.encode()


def test_silent_host_is_taken_for_a_dead_one(local_board, job, gone, monkeypatch):
    """A link that is cut without a word leaves the agent with nothing but silence."""
    monkeypatch.setattr("harness.boards.wire.AGENT_SOURCE", with_silence_limit(1.0))
    pids = []
    with pytest.raises(BoardError, match="the host fell silent"):
        local_board.replay(job("hang"), lambda e: pids.extend(e.get("pids", [])), LIMIT_S)
    assert gone(pids, within_s=0.5)


def test_host_that_only_waits_is_not_silent(local_board, job, monkeypatch):
    monkeypatch.setattr("harness.boards.wire.AGENT_SOURCE", with_silence_limit(1.0))
    monkeypatch.setattr("harness.boards.wire.BEAT_S", 0.2)
    with pytest.raises(BoardError, match="did not end within 2 s"):
        local_board.replay(job("hang"), lambda event: None, 2.0)


def test_agent_killed_outright_leaves_the_replay_to_the_boards_timeout(
    local_board, job, gone, quick
):
    """The one end that the agent cannot see to itself."""
    pids = []

    def kill_the_agent(event):
        pids.extend(event.get("pids", []))
        if event["event"] == "pids":
            watchdog = parent(event["pids"][0])
            assert Path(f"/proc/{watchdog}/comm").read_text() == "timeout\n"
            os.kill(parent(watchdog), signal.SIGKILL)

    with pytest.raises(BoardError, match="agent ended with status 137"):
        local_board.replay(job("hang"), kill_the_agent, 0.5)
    assert gone(pids, within_s=0.5 + 3 * quick)


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_files_where_a_login_lands_do_not_stand_in_for_libraries(tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit('hijacked')")
    request = {"op": "facts"}
    done = subprocess.run(
        [sys.executable, *agent_arguments(request)],
        input=AGENT_SOURCE + encode(request),
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b'"machine"' in done.stdout


def test_board_that_stands_still_is_noticed(local_board, job, monkeypatch):
    monkeypatch.setattr("harness.boards.wire.Wire.silence_s", 2.0)
    monkeypatch.setattr("harness.boards.wire.BEAT_S", 0.2)
    changed = AGENT_SOURCE.replace(b"\\nBEAT_S = 5.0", b"\\nBEAT_S = 0.5")
    assert changed != AGENT_SOURCE
    monkeypatch.setattr("harness.boards.wire.AGENT_SOURCE", changed)
    stopped = []

    def freeze(event):
        if event["event"] == "pids":
            stopped.extend([time.monotonic(), *event["pids"]])
            os.kill(parent(parent(event["pids"][0])), signal.SIGSTOP)

    with pytest.raises(BoardError, match="it said nothing for 2 s") as caught:
        local_board.replay(job("hang"), freeze, LIMIT_S)
    assert (caught.value.kind, caught.value.retryable) == ("unreachable", True)
    for pid in stopped[1:]:
        os.kill(pid, signal.SIGKILL)
