"""The emulated board: an SSH board whose address is made by starting the emulator."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.boards.base import PACKAGE_ROOT
from harness.boards.errors import BoardError
from harness.boards.ssh import RemoteBoard
from harness.boards.ssh_link import SshTarget
from harness.boards.virtual import recipe
from harness.boards.virtual.emulator import Emulator
from harness.boards.virtual.image import BOOT_S, Image, Say, connect, ensure_image, run_as_root
from harness.boards.virtual.qmp import Qmp
from rppg_core.records import INSTRUCTIONS


class VirtualBoard(RemoteBoard):
    """A Cortex-A53 with 1 GB and Debian, emulated on this machine; its clock counts instructions.

    What it is sent is gone once it is closed: every session starts from the same memory and disk.
    ``instructions_per_ms`` maps names of real boards to what their users measured;
    ``start_limit_s`` is how long a board that is on may take to let one in.
    """

    kind = "virtual"
    timings_unit = INSTRUCTIONS
    # Of its own seconds, in which it does 1,000 million instructions; ours are several times fewer.
    look_s = 10.0
    silence_s = 300.0

    def __init__(
        self,
        name: str = "virtual",
        *,
        runtime: str = "auto",
        package_root: Path = PACKAGE_ROOT,
        instructions_per_ms: Mapping[str, float] | None = None,
        say: Say | None = None,
        start_limit_s: float = BOOT_S,
    ) -> None:
        super().__init__(name, runtime=runtime, package_root=package_root)
        self.instructions_per_ms = dict(instructions_per_ms or {})
        self._say = say or _to_stderr
        self._start_limit_s = start_limit_s
        self._image: Image | None = None
        self._folder: Path | None = None
        self._emulator: Emulator | None = None
        self._port = 0

    @property
    def qmp(self) -> Qmp:
        """Its front panel: reset, power, network cable, processor. BoardError while it is off."""
        return self._running.qmp

    @property
    def serial_log(self) -> Path:
        """What its kernel says; the file goes when the board is closed."""
        return self._running.serial_log

    @property
    def root(self) -> SshTarget:
        """Where it lets root in, for faults that an ordinary user cannot make."""
        return self._target("root")

    def facts(self) -> dict[str, Any]:
        """Return what identifies the board, that it is emulated, and what its clock counts."""
        image = self._image
        return {
            **super().facts(),
            "clock": self.timings_unit,
            "emulator": recipe.emulator_version(),
            "image": image.id if image else None,
        }

    def power_off(self) -> None:
        """Pull the plug: memory is lost, what had been written to the disk is not."""
        self._running.close(keep=True)
        self._emulator = None

    def power_on(self) -> None:
        """Switch it on again where it is off, at the same port; it takes a while to start."""
        if self._emulator is not None and not self._emulator.is_on:
            self.power_off()
        if self._emulator is None:
            self._start(resume=False)

    def run_as_root(self, command: str) -> str:
        """Run one command of its shell as root, over a connection of its own; return its output."""
        link = connect(self.name, self.root, self._running, self._start_limit_s)
        try:
            return run_as_root(link, command)
        finally:
            link.close()

    def close(self) -> None:
        """Close the connection, stop the emulator and forget its disk."""
        super().close()
        if self._emulator is not None:
            self._emulator.close()
            self._emulator = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        self._port = 0
        self._python_path = None  # what was deployed went with the disk

    def hang_up(self) -> None:
        """Close the connection alone: the board stays as it is, with all that it was sent."""
        super().close()

    def connect(self) -> None:
        """Start the board where it is off, and open the connection."""
        if self._open is not None and self._open.is_open:
            return
        self.hang_up()
        first, new = self._emulator is None, self._folder is None
        try:
            if first:
                self._start(resume=new)
            self._open = connect(
                self.name, self._target(recipe.USER), self._running, self._start_limit_s
            )
            if first:
                self._set_clock()
        except BaseException:
            if new:
                self.close()
            raise

    def _find(self) -> SshTarget:
        return self._target(recipe.USER)

    @property
    def _running(self) -> Emulator:
        if self._emulator is None:
            raise BoardError(
                "it is switched off", board=self.name, doing="calling it", retryable=True
            )
        return self._emulator

    def _start(self, *, resume: bool) -> None:
        if self._image is None:
            self._image = ensure_image(self._say)
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="rppg-virtual-"))
            self._image.new_disk(self._folder / "disk")
        hardware = self._image.hardware(self._folder / "disk", resume=resume)
        self._emulator = Emulator(self.name, hardware, self._folder, self._port)
        self._port = self._emulator.port

    def _target(self, user: str) -> SshTarget:
        port = self._running.port
        assert self._image and self._folder
        return self._image.target(port, self._folder / "known_hosts", user)

    def _set_clock(self) -> None:
        """A board that goes on from a saved memory believes that no time went by since."""
        self.run_as_root(f"date -s @{time.time():.0f}")


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
