"""What every board can do, whatever it is reached by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import rppg_core
from harness.boards.settings import BoardSettings
from harness.boards.wire import always
from rppg_core.records import NANOSECONDS

PACKAGE_ROOT = Path(rppg_core.__file__).parent
"""The folder whose ``replay`` module a board runs."""

EventHandler = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class PutReport:
    """What a transfer did: where each path lies on the board, and what had to be sent for it."""

    board_paths: Mapping[Path, str] = field(default_factory=dict)
    files: int = 0
    sent_files: int = 0
    sent_bytes: int = 0


@dataclass(frozen=True)
class ReplayResult:
    """A replay that ran to its end: 0 all recordings ok, 1 some failed, 2 the job is unusable.

    With status 0 and 1 there is one record for every recording of the job, in the job's order;
    with 2 there may be fewer, and ``stderr_tail`` ends with the reason.
    """

    exit_status: int
    records: list[dict[str, Any]]
    stderr_tail: str


class Board(ABC):
    """A hardware target. Not thread-safe: one caller at a time.

    Methods raise ``UserError`` for what a person must mend in ``boards.yaml`` or on the host and
    ``BoardError`` for what the board did; after either the board can be closed and used again.
    """

    kind: str
    settings: BoardSettings = BoardSettings()
    timings_unit: str = NANOSECONDS
    """What its records' stage times count."""

    def __init__(
        self,
        name: str,
        *,
        threads: int = 1,
        runtime: str = "auto",
        package_root: Path = PACKAGE_ROOT,
    ) -> None:
        self.name = name
        self.package_root = package_root
        self.threads = threads
        self.runtime = runtime
        self.instructions_per_ms: dict[str, float] = {}

    @property
    def whereabouts(self) -> tuple[object, ...]:
        """What two entries for one and the same board have in common; empty if that cannot be."""
        return ()

    @abstractmethod
    def connect(self) -> None:
        """Make the board ready for the other methods; a second call does nothing."""

    def acquire(
        self, wait_s: float, on_wait: Callable[[str], None], wanted: Callable[[], bool] = always
    ) -> None:
        """Wait, at most ``wait_s``, until the board is ours alone; ``close`` gives it back.

        ``on_wait`` gets a line when the place in the queue changes. Raises ``BoardError`` of kind
        "busy" when it takes longer, or is no longer ``wanted``. A board that nobody else can use
        needs none of this; where it is needed, it connects too as far as it must.
        """
        return

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Machine, kernel, Python, processor and memory of the board (see ``agent.facts``)."""

    @abstractmethod
    def deploy(self) -> PutReport:
        """Put the pipeline on the board, as far as it is not there already."""

    @abstractmethod
    def put(self, paths: Iterable[Path]) -> PutReport:
        """Make files, or folders of images, readable on the board; send only what it lacks."""

    def place(self, paths: Iterable[Path]) -> PutReport:
        """Do as ``put``, but do not look again at what was seen to be there on this connection.

        For a replay, which itself refuses what was changed since.
        """
        return self.put(paths)

    def expect(self, paths: Iterable[Path]) -> None:
        """See at once which of the files that will be placed are there already."""
        return

    def send_ahead(self, paths: Iterable[Path]) -> None:
        """Begin to send what the next ``put`` will ask for, while a replay runs.

        It takes the board's time and disk, so never while that replay's times matter. What the
        replay uses stays; where there is no room for both, nothing is sent.
        """
        return

    def settle(self) -> int:
        """Wait for what is sent ahead; return its bytes (at least 1 if that is not known)."""
        return 0

    @abstractmethod
    def replay(
        self, job: Mapping[str, Any], on_event: EventHandler, timeout_s: float
    ) -> ReplayResult:
        """Run a job whose paths are the board's, passing on its events as they come.

        The board chooses ``out_dir``. ``on_event`` must return within seconds: the board takes a
        silent host for a dead one. When this returns or raises, the replay no longer runs; a
        ``BoardError`` raised here carries the records that had arrived.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the board; safe to call twice, and on a board that never connected."""

    def check(self) -> None:
        """Raise ``BoardError`` unless the board answers on this connection, and is still ours."""
        self.facts()

    def hang_up(self) -> None:
        """Let go of a board that failed and is to be connected again; what is on it stays."""
        self.close()

    def __enter__(self) -> Board:
        self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
