"""The emulator's process: started on a free port, gone with the harness whatever ends that."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from harness.boards.errors import BoardError
from harness.boards.virtual import recipe
from harness.boards.virtual.qmp import Qmp, QmpError
from harness.boards.wire import Deadline, last_line

ADDRESS = "127.0.0.1"
DOING = "starting its emulator"
SSH_PORT = 22
SOCKET_S = 20.0
"""The emulator's socket is there in 0.2 s."""
REFUSAL_S = 2.0
"""An emulator that said something and has no socket after so long has given up."""
RESUME_S = 60.0
"""A saved memory is read back in 1 s."""
STOP_S = 10.0
POLL_S = 0.05

# The emulator must not outlive the harness: this shell waits for its input to close, which also
# happens when the harness is killed, and clears up. A line before that says: keep the folder.
KEEPER = """
folder=$1; shift
"$@" </dev/null & emulator=$!
keep=
{ while read -r word; do keep=$word; done; kill -KILL "$emulator"; } 2>/dev/null
wait "$emulator"
[ -n "$keep" ] || rm -rf -- "$folder"
"""


@dataclass(frozen=True)
class Hardware:
    """What a board starts from: kernel and ramdisk, and the disk that it writes to.

    With ``memory``, which a running board's was saved as, it goes on from there.
    """

    kernel: Path
    initrd: Path
    disk: Path
    disk_format: str
    memory: Path | None = None


class Emulator:
    """One emulated board that is switched on. ``qmp`` is its front panel.

    ``folder`` holds its socket and logs, and goes with it unless ``close(keep=True)``.
    """

    def __init__(self, name: str, hardware: Hardware, folder: Path, port: int = 0) -> None:
        """Switch it on, its SSH server at ``port`` of this machine; 0 is any that is free."""
        self._name = name
        self._socket = folder / "qmp"
        self._socket.unlink(missing_ok=True)
        self._log = folder / "emulator.log"
        self.serial_log = folder / "serial.log"
        with self._log.open("wb") as log:
            self._keeper = subprocess.Popen(
                ["/bin/sh", "-c", KEEPER, "keeper", str(folder), *self._command(hardware, port)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self.qmp = self._connect()
            self._wait_until_running()
            self.port = port or self._forwarded_port()
        except BaseException:
            self.close()
            raise

    @property
    def is_on(self) -> bool:
        """Say whether the board has power; whether it still works is another question."""
        try:
            self.qmp.execute("query-status")
        except QmpError:
            return False
        return True

    def save_memory(self, path: Path) -> None:
        """Write the board's memory to a file and switch it off."""
        self.qmp.execute("migrate", uri=f"exec:cat > {shlex.quote(str(path))}")
        deadline = Deadline(RESUME_S)
        while deadline.left_s:
            state = self.qmp.execute("query-migrate").get("status")
            if state == "completed":
                self.qmp.power_off()
                return
            if state == "failed":
                break
            time.sleep(POLL_S)
        raise self._failed("its memory could not be saved")

    def close(self, *, keep: bool = False) -> None:
        """Switch it off at once, as pulling the plug would; safe to call twice."""
        if self._keeper.stdin is not None and not self._keeper.stdin.closed:
            with contextlib.suppress(OSError):
                self._keeper.stdin.write(b"keep\n" if keep else b"")
                self._keeper.stdin.close()
        self._keeper.wait(STOP_S)
        if hasattr(self, "qmp"):
            self.qmp.close()

    def _command(self, hardware: Hardware, port: int) -> list[str]:
        disk = f"if=none,id=disk,file={_escaped(hardware.disk)},format={hardware.disk_format}"
        network = f"user,id=net,restrict=on,hostfwd=tcp:{ADDRESS}:{port}-:{SSH_PORT}"
        command = [recipe.tool("qemu-system-aarch64"), *recipe.MACHINE]
        command += ["-kernel", str(hardware.kernel), "-initrd", str(hardware.initrd)]
        command += ["-append", recipe.KERNEL_LINE]
        command += ["-drive", f"{disk},cache=unsafe", "-device", "virtio-blk-device,drive=disk"]
        command += ["-netdev", network, "-device", "virtio-net-device,netdev=net,id=nic"]
        command += ["-device", "virtio-rng-device", "-display", "none", "-monitor", "none"]
        command += ["-serial", f"file:{_escaped(self.serial_log)}"]
        command += ["-qmp", f"unix:{_escaped(self._socket)},server=on,wait=off"]
        if hardware.memory is not None:
            command += ["-incoming", f"exec:cat {shlex.quote(str(hardware.memory))}"]
        return command

    def _connect(self) -> Qmp:
        deadline = Deadline(SOCKET_S)
        while deadline.left_s:
            with contextlib.suppress(QmpError):
                return Qmp(self._socket)
            if deadline.left_s < SOCKET_S - REFUSAL_S and self._log.stat().st_size:
                break
            time.sleep(POLL_S)
        raise self._failed(
            f"it does not start ({last_line(self._log.read_text(errors='replace'))})"
        )

    def _wait_until_running(self) -> None:
        deadline = Deadline(RESUME_S)
        while deadline.left_s:
            try:
                if self.qmp.execute("query-status")["running"]:
                    return
            except QmpError:
                break
            time.sleep(POLL_S)
        said = last_line(self._log.read_text(errors="replace"))
        raise self._failed(f"its saved memory cannot be read back ({said})")

    def _forwarded_port(self) -> int:
        """Ask which port was free; the table has a line ``TCP[HOST_FORWARD] fd host port ...``."""
        found = re.search(r"HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)", self.qmp.monitor("info usernet"))
        if found is None:
            raise self._failed("it does not say at which port it answers")
        return int(found[1])

    def _failed(self, message: str) -> BoardError:
        return BoardError(message, board=self._name, doing=DOING, retryable=True)


def _escaped(path: Path) -> str:
    """Return a path as an option's value, in which a comma is written twice."""
    return str(path).replace(",", ",,")
