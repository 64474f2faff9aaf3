"""This machine as a board: the replay program in a process of its own, files used in place."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.boards.base import PACKAGE_ROOT, Board, EventHandler, PutReport, ReplayResult
from harness.boards.digests import user_cache
from harness.boards.replaying import ANSWER_S, run_replay
from harness.boards.wire import AgentCall, Deadline, Wire, agent_arguments
from rppg_core.errors import UserError

READ_BYTES = 1 << 16


class LocalBoard(Board):
    """The host itself; nothing is copied.

    ``package_root`` is the pipeline's package (its ``replay`` module is run), ``workdir`` holds
    jobs under way.
    """

    kind = "local"

    def __init__(
        self,
        name: str = "local",
        *,
        python: str | None = None,
        threads: int = 1,
        runtime: str = "auto",
        package_root: Path = PACKAGE_ROOT,
        workdir: Path | None = None,
    ) -> None:
        super().__init__(name, threads=threads, runtime=runtime, package_root=package_root)
        self._python = str(Path(python).expanduser()) if python else sys.executable
        self._workdir = workdir or user_cache() / "local"

    def connect(self) -> None:
        """Nothing to reach: the board is this machine."""

    def facts(self) -> dict[str, Any]:
        """Return what identifies this machine."""
        request = {"op": "facts"}
        call = AgentCall(self._open_wire(request), board=self.name, doing="asking for its facts")
        try:
            call.send(request, Deadline(ANSWER_S))
            return call.answer("done", Deadline(ANSWER_S))["facts"]  # type: ignore[no-any-return]
        finally:
            call.close()

    def deploy(self) -> PutReport:
        """Return where the pipeline is; it runs from there."""
        return PutReport({self.package_root: str(self.package_root.parent)})

    def put(self, paths: Iterable[Path]) -> PutReport:
        """Return the paths themselves, once they are known to exist."""
        places = {}
        for path in paths:
            if not path.exists():
                raise UserError(f"{path}: cannot be read (No such file or directory)")
            places[path] = str(path.resolve())
        return PutReport(places, files=len(places))

    def replay(
        self, job: Mapping[str, Any], on_event: EventHandler, timeout_s: float
    ) -> ReplayResult:
        """Run a job in its own process; see ``Board.replay``."""
        request = {
            "op": "replay",
            "root": str(self._workdir),
            "job": dict(job),
            "python_path": str(self.package_root.parent),
            "module": f"{self.package_root.name}.replay",
            "timeout_s": timeout_s,
        }
        return run_replay(
            self._open_wire, lambda path: Path(path).read_bytes(), request, on_event, self.name
        )

    def close(self) -> None:
        """Nothing is held between calls."""

    def _open_wire(self, request: dict[str, Any]) -> Wire:
        try:
            return LocalWire([self._python, *agent_arguments(request)])
        except OSError as error:
            raise UserError(
                f"{self.name}: {self._python} cannot be started ({error.strerror}); "
                "set 'python' of this board to one that exists"
            ) from error


class LocalWire(Wire):
    """A child process, in a session of its own so that a Ctrl-C reaches the host alone."""

    def __init__(self, command: list[str]) -> None:
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
        assert self._child.stdin and self._child.stdout and self._child.stderr
        self._stdin = self._child.stdin
        self._outputs = selectors.DefaultSelector()
        self._outputs.register(self._child.stdout, selectors.EVENT_READ, 0)
        self._outputs.register(self._child.stderr, selectors.EVENT_READ, 1)

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Write to the child."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._stdin.fileno(), view) :]
        except BrokenPipeError:
            pass  # it ended; what it said on the way is read next

    def receive(self, wait_s: float) -> tuple[bytes, bytes] | None:
        """Read what the child wrote."""
        if not self._outputs.get_map():
            return None
        parts = [b"", b""]
        for key, _ in self._outputs.select(wait_s):
            data = os.read(key.fd, READ_BYTES)
            parts[key.data] = data
            if not data:
                self._outputs.unregister(key.fileobj)
        return parts[0], parts[1]

    def status(self, deadline: Deadline) -> int | None:
        """Wait for the child; a signal counts as 128 + its number, as in a shell."""
        try:
            status = self._child.wait(deadline.left_s)
        except subprocess.TimeoutExpired:
            return None
        return status if status >= 0 else 128 - status

    def close(self, wait_s: float) -> None:
        """Close the child's input and make sure that it is gone."""
        self._stdin.close()
        try:
            self._child.wait(wait_s)
        except subprocess.TimeoutExpired:
            self._child.send_signal(signal.SIGKILL)
            self._child.wait()
        finally:
            self._outputs.close()
            for stream in (self._child.stdout, self._child.stderr):
                if stream:
                    stream.close()
