"""QEMU's machine protocol (QMP): power, network cable and clock of an emulated board."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

ANSWER_S = 60.0
"""Saving a gigabyte of memory is the longest of what is asked."""


class QmpError(Exception):
    """The emulator refused a command, or is gone."""


class Qmp:
    """One connection to an emulator's socket; it takes no second one. Threads may share it.

    Raises ``QmpError`` for what the emulator refuses and when it is gone.
    """

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(ANSWER_S)
        self._lock = threading.Lock()
        try:
            self._socket.connect(str(path))
            self._stream = self._socket.makefile("rwb")
            self._read()  # the greeting
            self.execute("qmp_capabilities")
        except (OSError, QmpError) as error:
            self._socket.close()
            raise QmpError(f"{path}: no emulator answers ({error})") from error

    def execute(self, command: str, **arguments: Any) -> Any:
        """Run a command and return its answer; events that come first are passed over."""
        request = {"execute": command, "arguments": arguments}
        try:
            with self._lock:
                self._stream.write(json.dumps(request).encode() + b"\n")
                self._stream.flush()
                answer = self._read()
                while not {"return", "error"} & set(answer):
                    answer = self._read()
        except (OSError, ValueError) as error:
            raise QmpError(f"{command}: the emulator is gone ({error})") from error
        if "error" in answer:
            raise QmpError(f"{command}: {answer['error'].get('desc')}")
        return answer["return"]

    def monitor(self, line: str) -> str:
        """Run a line of the human monitor and return what it prints."""
        return str(self.execute("human-monitor-command", **{"command-line": line}))

    def reset(self) -> None:
        """Press the reset button: the board starts again at once, memory lost, disk kept."""
        self.execute("system_reset")

    def power_off(self) -> None:
        """Pull the plug; the emulator ends and this connection with it."""
        with contextlib.suppress(QmpError):  # it may end before it answers
            self.execute("quit")

    def link(self, up: bool) -> None:
        """Plug the network cable in, or pull it."""
        self.execute("set_link", name="nic", up=up)

    def pause(self) -> None:
        """Stop the processor."""
        self.execute("stop")

    def resume(self) -> None:
        """Let the processor go on."""
        self.execute("cont")

    def close(self) -> None:
        """Hang up; the emulator goes on."""
        self._socket.close()

    def __enter__(self) -> Qmp:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self) -> dict[str, Any]:
        line = self._stream.readline()
        if not line:
            raise QmpError("the emulator is gone")
        answer: dict[str, Any] = json.loads(line)
        return answer
