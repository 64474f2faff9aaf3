"""The emulated board itself: what it is, whom it lets in, and that nothing of it stays behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.boards.errors import BoardError
from harness.boards.ssh_link import SshLink
from harness.boards.virtual.board import VirtualBoard
from harness.boards.virtual.qmp import QmpError
from rppg_core.errors import UserError

pytestmark = pytest.mark.virtual

GONE_S = 30.0
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)
    print("reached")
except OSError as refused:
    print("refused")
"""
HOLDER = """
import sys, time
from harness.boards.virtual.board import VirtualBoard
board = VirtualBoard()
board.connect()
print(board.serial_log, flush=True)
time.sleep(600)
"""


def emulators(folder: Path) -> list[int]:
    """Processes whose command line names the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in command:
            found.append(int(entry.name))
    return found


def wait_until_gone(folder: Path) -> bool:
    end = time.monotonic() + GONE_S
    while time.monotonic() < end:
        if not emulators(folder) and not folder.exists():
            return True
        time.sleep(0.1)
    return False


def test_it_is_another_machine_and_says_what_its_clock_counts(board):
    facts = board.facts()
    assert facts["machine"] == "aarch64"
    assert facts["cpu_count"] == 1
    assert 0.9e9 < facts["memory_bytes"] < 1.1e9
    assert facts["clock"] == board.timings_unit == "instructions"
    assert facts["python"].startswith("3.11")
    assert "QEMU" in facts["emulator"]


def test_it_lets_no_one_in_whose_idea_of_its_key_is_wrong(board, tmp_path):
    other = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    known = tmp_path / "known_hosts"
    key = Path(f"{other}.pub").read_text()
    known.write_text(f"[127.0.0.1]:{board.root.port} {key}")
    with pytest.raises(UserError, match="another host key"):
        SshLink("virtual", replace(board.root, known_hosts=known)).open()
    with pytest.raises(UserError, match="refuses"):
        SshLink("virtual", replace(board.root, key=other)).open()


def test_it_reaches_neither_this_machine_nor_any_other(board):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = f"python3 -c '{CONNECT}' 10.0.2.2 {port}"
        assert board.run_as_root(command).strip() == "refused"


def test_its_clock_is_right(board):
    there = float(board.run_as_root("date +%s"))
    # It stands still while the host is busy with others, and is set again on every connection.
    assert abs(time.time() - there) < 600


def test_a_failing_command_is_the_boards_failure(board):
    with pytest.raises(BoardError, match=r"status 3 \(no such thing\)"):
        board.run_as_root("echo no such thing >&2; exit 3")


def test_power_off_and_on_keeps_the_disk_and_loses_the_memory(emulation):
    with VirtualBoard() as board:
        folder = board.serial_log.parent
        board.run_as_root("echo kept > /home/bench/kept; echo lost > /dev/shm/lost; sync")
        before = board.run_as_root("cat /proc/sys/kernel/random/boot_id")
        board.power_off()
        with pytest.raises(BoardError, match="switched off"):
            board.run_as_root("true")
        board.power_on()
        board.connect()
        assert board.run_as_root("cat /home/bench/kept; ls /dev/shm") == "kept\n"
        assert board.run_as_root("cat /proc/sys/kernel/random/boot_id") != before
    assert wait_until_gone(folder)


def test_a_killed_host_leaves_no_emulator_and_no_disk(emulation):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    folder = Path(holder.stdout.readline().strip()).parent
    assert folder.is_dir()
    assert emulators(folder)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert wait_until_gone(folder)


def test_a_closed_board_is_off_and_can_be_used_again(board):
    other = VirtualBoard("other")
    other.connect()
    panel, folder = other.qmp, other.serial_log.parent
    other.close()
    other.close()
    with pytest.raises(QmpError):
        panel.reset()
    assert wait_until_gone(folder)
    with pytest.raises(BoardError, match="switched off"):
        _ = other.qmp
    other.connect()
    assert other.run_as_root("uname -m") == "aarch64\n"
    other.close()
