"""The board that the harness brings up by itself, and what is left when it is gone."""

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harness.boards.local import LocalBoard
from harness.boards.loopback import LoopbackBoard, PrivateSshd, _is_locked
from rppg_core.errors import UserError

pytestmark = pytest.mark.board


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def everything_below(pid):
    return [pid, *(deeper for child in children(pid) for deeper in everything_below(child))]


def refuses(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_comes_up_and_goes_without_a_trace(gone, package, tmp_path):
    board = LoopbackBoard(package_root=package, workdir=str(tmp_path))
    for _ in range(2):  # it can be used again
        board.connect()
        server = board._server
        pids = everything_below(server._keeper.pid)
        assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
        assert not refuses(server.port)
        assert board.facts()["python"] == ".".join(map(str, sys.version_info[:3]))
        board.close()
        board.close()
        assert gone(pids)
        assert not server.folder.exists()
        assert refuses(server.port)


def test_listens_on_loopback_alone(sshd):
    listening = [
        line.split()[1]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    ]
    at_port = [address for address in listening if address.endswith(f":{sshd.port:04X}")]
    assert at_port == [f"0100007F:{sshd.port:04X}"]


def test_second_board_sends_nothing_after_the_first(package, tmp_path):
    for sent_files in (2, 0):
        with LoopbackBoard(package_root=package, workdir=str(tmp_path)) as board:
            assert board.deploy().sent_files == sent_files


def test_same_replay_as_on_this_machine(package, tmp_path, job):
    boards = [
        LoopbackBoard(package_root=package, workdir=str(tmp_path / "a")),
        LocalBoard(package_root=package, workdir=tmp_path / "b"),
    ]
    results = []
    for board in boards:
        with board:
            result = board.replay(job("ok", "failed"), lambda event: None, 20.0)
            results.append((result.exit_status, [r["recording"] for r in result.records]))
    assert results[0] == results[1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, None])
def test_server_does_not_outlive_the_harness(number, gone):
    script = """
        import sys
        from harness.boards.loopback import PrivateSshd
        server = PrivateSshd()
        print(server._keeper.pid, server.folder, flush=True)
        sys.stdin.readline()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as host:
        pid, folder = host.stdout.readline().split()
        pids = everything_below(int(pid))
        assert len(pids) > 1
        if number is None:
            host.communicate("\n")  # the ordinary end of an interpreter
        else:
            os.kill(host.pid, number)
        assert gone(pids)
    assert not Path(folder).exists()


def test_error_while_connecting_leaves_nothing(monkeypatch, gone):
    seen = []

    def fail(_link):
        seen.append(everything_below(board._server._keeper.pid))
        raise RuntimeError("planted")

    monkeypatch.setattr("harness.boards.ssh_link.SshLink.open", fail)
    board = LoopbackBoard()
    with pytest.raises(RuntimeError, match="planted"):
        board.connect()
    assert gone(seen[0])
    assert board._server is None


def test_taken_port_is_no_obstacle(monkeypatch):
    """Between finding a free port and using it, another program may take it."""
    from harness.boards import loopback

    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = iter([other.getsockname()[1], loopback._free_port()])
        monkeypatch.setattr(loopback, "_free_port", lambda: next(ports))
        with PrivateSshd() as server:
            assert server.port != other.getsockname()[1]
            assert not refuses(server.port)


def test_without_a_server_program_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("harness.boards.loopback.ADMIN_FOLDERS", ())
    with pytest.raises(UserError, match=r"sudo apt-get install openssh-server$"):
        PrivateSshd()


@pytest.mark.parametrize("path", ["~/no/python", "/no/python"])
def test_local_python_that_is_not_there(path):
    with pytest.raises(UserError, match=r"local: .*/no/python cannot be started"):
        LocalBoard(python=path).facts()


def test_local_board_uses_files_in_place(tmp_path):
    path = tmp_path / "clip.avi"
    path.touch()
    board = LocalBoard()
    report = board.put([path])
    assert report.board_paths == {path: str(path)}
    assert (report.files, report.sent_files, report.sent_bytes) == (1, 0, 0)
    assert board.deploy().sent_bytes == 0
    with pytest.raises(UserError, match=r"no\.avi: cannot be read"):
        board.put([tmp_path / "no.avi"])


def test_unknown_user_is_not_locked():
    assert not _is_locked("no-such-user")
