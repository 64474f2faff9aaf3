"""Faults of a board, each made for real: what `board_faults.py` does to a board in use.

`pi` is this machine behind a private SSH server and a cable that can be pulled; `virtual` is the
emulated board, with its reset button, plug, cable and processor.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.boards.loopback import PrivateSshd, _find_sshd
from harness.boards.virtual.board import VirtualBoard

DISK = "300m"
STORE = "/home/bench/.cache/rppg-bench/store"
REPLAY = "[r]ppg_core.replay"
HOG = """
import os
def kills():
    return next(int(l.split()[1]) for l in open('/proc/vmstat') if l.startswith('oom_kill '))
open('/proc/self/oom_score_adj', 'w').write('-1000')
held, before = [], kills()
while kills() == before:
    held.append(bytearray(b'x') * (16 << 20))
"""


class Cable:
    """A network cable between 127.0.0.1:``port`` and a server; nothing passes while it is out."""

    def __init__(self, server: int) -> None:
        self._server = ("127.0.0.1", server)
        self._plugged = threading.Event()
        self._plugged.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def pull(self) -> None:
        """Let nothing through, not even that an end has closed."""
        self._plugged.clear()

    def plug(self) -> None:
        """Let all through again, also what was held."""
        self._plugged.set()

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        self._plugged.wait()
        with contextlib.suppress(OSError), near, socket.create_connection(self._server) as far:
            other = {near: far, far: near}
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    self._plugged.wait()
                    data = ready.recv(1 << 16)
                    if not data:
                        return
                    other[ready].sendall(data)


@dataclass
class Stage:
    """A board in use: what a fault can reach of it. ``pi`` has no ``virtual`` and vice versa."""

    folder: Path
    sshd: PrivateSshd | None = None
    cable: Cable | None = None
    virtual: VirtualBoard | None = None
    restarted: subprocess.Popen[bytes] | None = None
    later: list[threading.Timer] = field(default_factory=list)

    @property
    def work(self) -> Path:
        """The work folder of ``pi``."""
        return self.folder / "work"

    def after(self, seconds: float, act: Callable[[], Any]) -> None:
        """Do something later, also once the campaign has ended."""
        timer = threading.Timer(seconds, act)
        self.later.append(timer)
        timer.start()

    def as_root(self, command: str) -> str:
        """Run a command on ``virtual``."""
        assert self.virtual is not None
        return self.virtual.run_as_root(command)

    def below_sshd(self) -> list[int]:
        """The SSH server of ``pi`` and all that was started through it."""
        assert self.sshd is not None and self.sshd._keeper is not None
        again = below(self.restarted.pid) if self.restarted else []
        return below(self.sshd._keeper.pid)[1:] + again

    def send(self, number: int, pids: list[int]) -> None:
        """Send a signal to processes that may have gone."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def below(pid: int) -> list[int]:
    """A process and its descendants, parents first."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(one for child in children for one in below(int(child)))]


def command_of(pid: int) -> bytes:
    """A process's command line; empty once it has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _replays(stage: Stage) -> list[int]:
    """What replays on ``pi``, without the `timeout` that watches over it."""
    return [
        pid
        for pid in stage.below_sshd()
        if b"rppg_core.replay" in (words := command_of(pid).split(b"\0"))
        and not words[0].endswith(b"timeout")
    ]


def kill_replay(stage: Stage) -> None:
    stage.send(signal.SIGKILL, _replays(stage))


def kill_session(stage: Stage) -> None:
    """End the SSH server's part that serves this connection; a new one can be made."""
    servers = [pid for pid in stage.below_sshd() if b"sshd" in command_of(pid)]
    stage.send(signal.SIGKILL, servers[1:])


def kill_sshd(stage: Stage) -> None:
    """End the whole SSH server and start it again 5 s later, as a service manager would."""
    assert stage.sshd is not None
    folder = stage.sshd.folder
    kept = folder.with_name(folder.name + "-kept")
    folder.rename(kept)  # its keeper would clear up after it
    stage.send(signal.SIGKILL, [pid for pid in stage.below_sshd() if b"sshd" in command_of(pid)])

    def again() -> None:
        kept.rename(folder)
        command = [_find_sshd(), "-D", "-f", str(folder / "sshd_config")]
        stage.restarted = subprocess.Popen(command, start_new_session=True)

    stage.after(5.0, again)


def pull(seconds: float | None) -> Callable[[Stage], None]:
    """Pull the cable, for so many seconds or for good."""

    def fault(stage: Stage) -> None:
        if stage.cable is not None:
            stage.cable.pull()
            plug: Callable[[], Any] = stage.cable.plug
        else:
            assert stage.virtual is not None
            panel = stage.virtual.qmp
            panel.link(False)

            def plug() -> None:
                panel.link(True)

        if seconds is not None:
            stage.after(seconds, plug)

    return fault


def freeze(seconds: float) -> Callable[[Stage], None]:
    """Stop every process of the board, or its processor."""

    def fault(stage: Stage) -> None:
        if stage.virtual is not None:
            panel = stage.virtual.qmp
            panel.pause()
            stage.after(seconds, panel.resume)
            return
        frozen = stage.below_sshd()
        stage.send(signal.SIGSTOP, frozen)
        stage.after(seconds, lambda: stage.send(signal.SIGCONT, frozen))

    return fault


def _overwrite(path: Path) -> None:
    """Change 4 kB in the middle, as a stray program or a failing disk would."""
    path.chmod(0o600)
    with path.open("r+b") as target:
        target.seek(path.stat().st_size // 2)
        target.write(b"\xff" * 4096)


def corrupt(suffix: str) -> Callable[[Stage], None]:
    """Damage every file in the store that ends so."""

    def fault(stage: Stage) -> None:
        if stage.virtual is not None:
            stage.as_root(
                f"cd {STORE} && for f in *{suffix}; do dd if=/dev/urandom of=$f bs=4096 seek=1 "
                "count=1 conv=notrunc 2>/dev/null; done"
            )
            return
        for path in (stage.work / "store").glob(f"*{suffix}"):
            _overwrite(path)

    return fault


def corrupt_program(stage: Stage) -> None:
    """Damage the pipeline itself, and end the replay that has loaded it already."""
    corrupt(".py")(stage)
    kill_replay(stage)


def fill_disk(stage: Stage) -> None:
    """Leave no room at all; on `pi` only where it has a disk of its own."""
    if stage.virtual is not None:
        stage.as_root(
            "fallocate -l $(($(stat -f -c '%f*%S' /home)/100*99)) /home/filler; "
            "dd if=/dev/zero of=/home/filler2 bs=64k 2>/dev/null; sync; true"
        )
        return
    if not stage.work.is_mount():
        raise RuntimeError("needs root, to mount a small disk")
    with contextlib.suppress(OSError), (stage.work / "filler").open("wb", buffering=0) as out:
        disk = os.statvfs(stage.work)
        os.posix_fallocate(out.fileno(), 0, disk.f_bavail * disk.f_frsize)  # at once
        out.seek(0, os.SEEK_END)
        while True:
            out.write(bytes(4096))


def kill_replay_there(stage: Stage) -> None:
    stage.as_root(f"pkill -KILL -f 'python.*{REPLAY}'")


def kill_session_there(stage: Stage) -> None:
    stage.as_root("pkill -KILL -u bench sshd")


def exhaust_memory(stage: Stage) -> None:
    """Take all memory, the replay being what the kernel is told to end first."""
    stage.as_root(
        f"for p in $(pgrep -f 'python.*{REPLAY}'); do echo 1000 > /proc/$p/oom_score_adj; done; "
        f'python3 -c "{HOG}"'
    )


def reset(stage: Stage) -> None:
    assert stage.virtual is not None
    stage.virtual.qmp.reset()


def switch_off_and_on(stage: Stage) -> None:
    assert stage.virtual is not None
    stage.virtual.power_off()
    time.sleep(2)
    stage.virtual.power_on()


def jump_clock(stage: Stage) -> None:
    stage.as_root("date -s '+1 hour'")


Make = Callable[[Stage], None]


@dataclass(frozen=True)
class Fault:
    """One fault; ``status`` is the exit status a campaign must have, ``deadline_s`` to notice."""

    board: str
    make: Make
    status: int = 0
    deadline_s: float = 30.0
    says: str = ""
    """What the user is told; nothing where the campaign does not mind."""


VIRTUAL_S = 90.0
"""`silence_s` of the emulated board here: it needs a minute for a few of its own seconds."""
FAULTS = {
    "replay-killed": Fault("pi", kill_replay, says="killed (signal 9)"),
    "session-killed": Fault("pi", kill_session, says="connection was lost"),
    "sshd-killed": Fault("pi", kill_sshd, says="connection was lost"),
    "link-2s": Fault("pi", pull(2)),
    "link-20s": Fault("pi", pull(20)),
    "link-60s": Fault("pi", pull(60), deadline_s=30.0, says="said nothing for 25 s"),
    "link-gone": Fault("pi", pull(None), 1, 30.0, "said nothing for 25 s"),
    "frozen-40s": Fault("pi", freeze(40), deadline_s=30.0, says="said nothing for 25 s"),
    "video-corrupt": Fault("pi", corrupt(".avi"), says="was changed there"),
    "model-corrupt": Fault("pi", corrupt(".tflite"), says="was changed there"),
    "disk-full": Fault("pi", fill_disk, 1, says="make room there"),
    "program-corrupt": Fault("pi", corrupt_program, says="trying again"),
    "virtual-replay-killed": Fault("virtual", kill_replay_there, says="killed (signal 9)"),
    "virtual-session-killed": Fault("virtual", kill_session_there, says="connection was lost"),
    "virtual-memory": Fault("virtual", exhaust_memory, says="ran out of memory", deadline_s=60.0),
    "virtual-disk-full": Fault("virtual", fill_disk, 1, 120.0, "make room there"),
    "virtual-video-corrupt": Fault("virtual", corrupt(".avi"), 0, 120.0, "was changed there"),
    "virtual-reset": Fault("virtual", reset, 0, VIRTUAL_S + 10, "trying again"),
    "virtual-power": Fault("virtual", switch_off_and_on, says="connection was lost"),
    "virtual-link-2s": Fault("virtual", pull(2)),
    "virtual-link-60s": Fault("virtual", pull(60), 0, VIRTUAL_S + 10),
    "virtual-link-gone": Fault("virtual", pull(None), 1, VIRTUAL_S + 10, "said nothing for"),
    "virtual-frozen": Fault("virtual", freeze(120), 0, VIRTUAL_S + 10, "said nothing for"),
    "virtual-clock": Fault("virtual", jump_clock),
}


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own that can be filled; only root can have one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, check=False).returncode == 0
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def staged(board: str, folder: Path) -> Iterator[Stage]:
    """A board for one campaign, with the boards file that names it."""
    if board == "virtual":
        (folder / "boards.yaml").write_text("virtual: {kind: virtual}\n")
        yield Stage(folder)
        return
    with PrivateSshd() as sshd, _small_disk(folder / "work"):
        cable = Cable(sshd.port)
        key = sshd.known_hosts.read_text().split(" ", 1)[1]
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{cable.port} {key}")
        (folder / "user_key").write_bytes(sshd.user_key.read_bytes())
        (folder / "user_key").chmod(0o600)
        (folder / "boards.yaml").write_text(
            f"pi: {{kind: ssh, host: 127.0.0.1, port: {cable.port}, user: {sshd.user}, "
            f"key: '{folder}/user_key', known_hosts: '{folder}/known_hosts', "
            f"python: '{sys.executable}', workdir: '{folder}/work'}}\n"
        )
        stage = Stage(folder, sshd, cable)
        try:
            yield stage
        finally:
            if stage.restarted is not None:
                stage.restarted.kill()
                stage.restarted.wait()
