"""A board over SSH: deploys by content, and leaves nothing running."""

from __future__ import annotations

import os
import posixpath
import shlex
import uuid
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from harness.boards.base import PACKAGE_ROOT, Board, EventHandler, PutReport, ReplayResult
from harness.boards.deploy import Store
from harness.boards.digests import Digests
from harness.boards.errors import BoardError
from harness.boards.lease import Lease, OnWait, whoami
from harness.boards.provision import MINIMUM, provide
from harness.boards.replaying import ANSWER_S, run_replay
from harness.boards.ssh_link import SshLink, SshTarget
from harness.boards.wire import BOARD_SILENCE_S, AgentCall, Deadline, Wire, agent_arguments, always
from rppg_core.errors import UserError
from rppg_core.runtime import RUNTIMES

if TYPE_CHECKING:
    from typing_extensions import Unpack

DEFAULT_WORKDIR = "~/.cache/rppg-bench"
ANY_BYTES = 1
"""How much was sent is not known, but something may have been."""
VERIFY_S = 3600.0
"""Time the board has to hash what it was sent: 1.5 GB takes some 30 s on a Cortex-A53."""


class RemoteSetup(TypedDict, total=False):
    """How a board's pipeline is to be run; RemoteBoard has the defaults."""

    python: str
    workdir: str
    threads: int
    runtime: str
    package_root: Path


class RemoteBoard(Board):
    """What all boards reached over SSH share; ``python`` and ``workdir`` may begin with ~/.

    ``look_s`` is how often the agent looks after lease and health beside a replay, None for its
    own choice; where instructions are counted, each look counts too.
    """

    look_s: float | None = None
    silence_s: float = BOARD_SILENCE_S
    """How long it may say nothing before it counts as gone."""

    def __init__(
        self,
        name: str,
        *,
        python: str = "python3",
        workdir: str = DEFAULT_WORKDIR,
        threads: int = 1,
        runtime: str = "auto",
        package_root: Path = PACKAGE_ROOT,
    ) -> None:
        super().__init__(name, threads=threads, runtime=runtime, package_root=package_root)
        self._python = python
        self._workdir = workdir
        self._python_path: str | None = None
        self._open: SshLink | None = None
        self._lease: Lease | None = None
        self._ahead: Future[PutReport] | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"send to {name}")
        self._me = uuid.uuid4().hex
        self._store = Store(
            board=name,
            workdir=workdir,
            ask=self._ask,
            send=self._send,
            digests=Digests(),
        )

    @abstractmethod
    def _find(self) -> SshTarget:
        """Return where the board answers, having brought it up if that is this board's way."""

    @property
    def _link(self) -> SshLink:
        if self._open is None:
            raise BoardError("not connected", board=self.name, doing="calling it", retryable=True)
        return self._open

    def connect(self) -> None:
        """Open the connection, checking both sides' keys."""
        if self._open is not None and self._open.is_open:
            return
        self.hang_up()
        self._store.forget()
        try:
            link = SshLink(self.name, self._find())
            link.open()
        except BaseException:
            self.hang_up()
            raise
        self._open = link

    def acquire(self, wait_s: float, on_wait: OnWait, wanted: Callable[[], bool] = always) -> None:
        """Wait for the board's lease and hold it until the board is closed."""
        if self._lease is None:
            self.connect()
            self._lease = Lease.acquire(
                self._open_wire,
                board=self.name,
                workdir=self._workdir,
                me=self._me,
                wait_s=wait_s,
                on_wait=on_wait,
                wanted=wanted,
            )

    def lease_state(self, take_away: bool = False) -> dict[str, Any]:
        """Return who holds the lease and who waits for it; see ``onboard.lease``."""
        self.connect()
        request = {
            "op": "lease",
            "root": self._workdir,
            "who": whoami(),
            "take_away": take_away,
        }
        return self._ask(request, "asking for its lease")["lease"]  # type: ignore[no-any-return]

    def facts(self) -> dict[str, Any]:
        """Return what identifies the board."""
        answer = self._ask({"op": "facts"}, "asking for its facts")
        return answer["facts"]  # type: ignore[no-any-return]

    def check(self) -> None:
        """Raise unless the board answers, under the lease where there is one."""
        self._ask({"op": "present", "root": self._workdir, "files": []}, "asking whether it is up")

    def deploy(self) -> PutReport:
        """Put the pipeline's package on the board."""
        self.settle()
        self._store.budget_bytes = self.settings.disk_budget_bytes or 0
        report = self._store.put_package(self.package_root)
        folders = [report.board_paths[self.package_root]]
        sent: list[PutReport] = []
        provided = provide(
            self._ask,
            lambda wheels: sent.append(self._store.put(wheels)),
            board=self.name,
            workdir=self._workdir,
            runtime=self.runtime,
            budget_bytes=self._store.budget_bytes,
            keep=self._store.kept,
        )
        self._store.environment = posixpath.basename(provided or "")
        self._python_path = os.pathsep.join([*folders, provided] if provided else folders)
        return replace(
            report,
            sent_files=report.sent_files + sum(one.sent_files for one in sent),
            sent_bytes=report.sent_bytes + sum(one.sent_bytes for one in sent),
        )

    def checks(self) -> dict[str, Any]:
        """Return how the board is, at rest; see ``onboard.checks`` and ``onboard.packages``."""
        doing = "looking at it"
        names = [*MINIMUM, *RUNTIMES]
        return {
            **self._ask({"op": "checks", "root": self._workdir}, doing),
            **self._ask({"op": "packages", "names": names}, doing),
        }

    def shell_command(self) -> list[str]:
        """Return the ``ssh`` command that gives a person a shell there."""
        return self._link.shell_command()

    def put(self, paths: Iterable[Path]) -> PutReport:
        """Put files and folders of images on the board."""
        self._store.forget()
        return self.place(paths)

    def place(self, paths: Iterable[Path]) -> PutReport:
        """Put what was not seen to be there yet; see ``Board.place``."""
        self.settle()
        self._store.budget_bytes = self.settings.disk_budget_bytes or 0
        return self._store.put(paths)

    def expect(self, paths: Iterable[Path]) -> None:
        """See which files are there already; see ``Board.expect``."""
        self.settle()
        self._store.expect(paths)

    def send_ahead(self, paths: Iterable[Path]) -> None:
        """Begin to send, while other methods go on, what the next ``put`` will ask for."""
        self.settle()
        self._ahead = self._worker.submit(self._store.put, list(paths), ahead=True)

    def settle(self) -> int:
        """Wait for what is sent ahead; see ``Board.settle``."""
        if self._ahead is None:
            return 0
        ahead, self._ahead = self._ahead, None
        try:
            return ahead.result().sent_bytes
        except (BoardError, UserError):
            return ANY_BYTES  # the put that follows meets the same, and says it

    def replay(
        self, job: Mapping[str, Any], on_event: EventHandler, timeout_s: float
    ) -> ReplayResult:
        """Run a job on the board; see ``Board.replay``. Deploys first if that was not done."""
        if self._python_path is None:
            self.deploy()
        request = {
            "op": "replay",
            "root": self._workdir,
            "job": dict(job),
            "python_path": self._python_path,
            "module": f"{self.package_root.name}.replay",
            "timeout_s": timeout_s,
            "look_s": self.look_s,
            **self._under_lease(),
        }
        try:
            return run_replay(self._open_wire, self._link.fetch, request, on_event, self.name)
        except BaseException:
            self._store.forget()
            raise

    def close(self) -> None:
        """Give back the lease and close the connection."""
        if self._lease is not None:
            self._lease.release()
            self._lease = None
        if self._open is not None:
            self._open.close()  # which also ends what is sent ahead
            self._open = None
        self.settle()

    def _under_lease(self) -> dict[str, Any]:
        """Return what a request carries for the board to see that the lease is still ours."""
        if self._lease is None:
            return {}
        self._lease.check()
        return {"lease": self._lease.token}

    def _ask(self, request: dict[str, Any], doing: str) -> dict[str, Any]:
        if "root" in request:  # else it changes nothing on the board
            request = {**request, **self._under_lease()}
        call = AgentCall(self._open_wire(request, doing), board=self.name, doing=doing)
        try:
            call.send(request, Deadline(ANSWER_S))
            limit_s = VERIFY_S if request["op"] == "sync" else ANSWER_S
            return call.answer("done", Deadline(limit_s))
        finally:
            call.close()

    def _send(self, path: Path, board_path: str, offset: int = 0) -> int:
        return self._link.send(path, board_path, offset)

    def _open_wire(self, request: dict[str, Any], doing: str = "replaying") -> Wire:
        python = shlex.quote(self._python)
        if self._python.startswith("~/"):
            python = '"$HOME"' + shlex.quote(self._python[1:])
        arguments = " ".join(map(shlex.quote, agent_arguments(request)))
        wire = self._link.start(f"{python} {arguments}", doing)
        wire.silence_s = self.silence_s
        return wire


class SshBoard(RemoteBoard):
    """A board that is there, at an address."""

    kind = "ssh"

    def __init__(self, name: str, target: SshTarget, **setup: Unpack[RemoteSetup]) -> None:
        super().__init__(name, **setup)
        self._target = target

    @property
    def whereabouts(self) -> tuple[object, ...]:
        """Address, user and work folder, in which the lease lies."""
        target = self._target
        return (self.kind, target.host, target.port, target.user, self._workdir)

    def _find(self) -> SshTarget:
        return self._target
