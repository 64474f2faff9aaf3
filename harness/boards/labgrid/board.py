"""A board of a labgrid farm: an SSH board that is ours while we hold its place."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.boards.base import EventHandler, ReplayResult
from harness.boards.errors import BoardError
from harness.boards.labgrid.client import LabgridClient
from harness.boards.labgrid.hold import Hold
from harness.boards.labgrid.place import Place, Service
from harness.boards.lease import OnWait
from harness.boards.ssh import RemoteBoard, RemoteSetup
from harness.boards.ssh_link import SshTarget
from harness.boards.wire import always
from rppg_core.errors import UserError

if TYPE_CHECKING:
    from typing_extensions import Unpack


class LabgridBoard(RemoteBoard):
    """The board of a place; the place stands for the lease that other boards have.

    ``target`` makes of the place's network service whom to connect to. The board is not touched
    while the place is not held: ``connect`` acquires a free one, ``acquire`` waits for it.
    """

    kind = "labgrid"

    def __init__(
        self,
        name: str,
        client: LabgridClient,
        target: Callable[[Service], SshTarget],
        *,
        service: str | None = None,
        **setup: Unpack[RemoteSetup],
    ) -> None:
        super().__init__(name, **setup)
        self._client = client
        self._target = target
        self._service = service
        self._hold: Hold | None = None

    @property
    def whereabouts(self) -> tuple[object, ...]:
        """The place."""
        return (self.kind, self._client.given_coordinator, self._client.place)

    def connect(self) -> None:
        """Open the connection; acquires the place first where it is free."""
        fresh = self._hold is None
        try:
            self.acquire(0.0, _to_stderr)
            super().connect()
        except BaseException:
            if fresh:
                self.close()
            raise

    def acquire(self, wait_s: float, on_wait: OnWait, wanted: Callable[[], bool] = always) -> None:
        """Wait for the place and hold it until the board is closed; see ``Hold.take``."""
        if self._hold is None:
            self._hold = Hold.take(self._client, wait_s, on_wait, wanted)
            self._hold.on_lost(self._cut)
        self._hold.check()

    def lease_state(self, take_away: bool = False) -> dict[str, Any]:
        """Return who holds the place and who has reserved it; touches only the coordinator."""
        place = self._client.show()
        if take_away and place.holder:
            self._client.kick()
            place = self._client.show()
        holder = {"who": place.holder, "age_s": place.age_s} if place.holder else None
        waiting = self._client.waiting(place.name)
        return {
            "holder": holder,
            "queue": [{"who": one.owner, "age_s": one.age_s} for one in waiting],
        }

    def facts(self) -> dict[str, Any]:
        """Return what identifies the board, and its place."""
        return {**super().facts(), "place": self._held.place.name}

    def replay(
        self, job: Mapping[str, Any], on_event: EventHandler, timeout_s: float
    ) -> ReplayResult:
        """Run a job on the board; see ``Board.replay``."""
        with self._while_held():
            return super().replay(job, on_event, timeout_s)

    def hang_up(self) -> None:
        """Close the connection alone: the place stays ours."""
        super().close()

    def close(self) -> None:
        """Close the connection and give the place back."""
        super().close()
        if self._hold is not None:
            self._hold.release()
            self._hold = None

    @property
    def _held(self) -> Hold:
        if self._hold is None:
            raise BoardError("not connected", board=self.name, doing="calling it", retryable=True)
        return self._hold

    def _find(self) -> SshTarget:
        service = _pick(self.name, self._held.place, self._service)
        target = self._target(service)
        if service.proxy and target.proxy_command is None:
            raise UserError(
                f"{self.name}: {service.address} is reached through {service.proxy} only; add to "
                f"~/.ssh/config: Host {service.address}, ProxyJump {service.proxy}"
            )
        return target

    def _cut(self) -> None:
        """Break off what goes on: the board ends a replay whose host is gone."""
        if self._open is not None:
            self._open.cut()

    def _under_lease(self) -> dict[str, Any]:
        self._held.check()
        return {}

    def _ask(self, request: dict[str, Any], doing: str) -> dict[str, Any]:
        with self._while_held():
            return super()._ask(request, doing)

    def _send(self, path: Path, board_path: str, offset: int = 0) -> int:
        with self._while_held():
            return super()._send(path, board_path, offset)

    @contextlib.contextmanager
    def _while_held(self) -> Iterator[None]:
        """Say of what fails because the place was lost that it was; records in hand are kept."""
        try:
            self._held.check()
            yield
        except BoardError as error:
            lost = self._hold.failure if self._hold else None
            if lost is None or error is lost:
                raise
            lost.records = error.records
            raise lost from error


def _pick(board: str, place: Place, wanted: str | None) -> Service:
    """Return the service to connect to; raises ``UserError`` if it is not clear which."""
    found = [one for one in place.services if wanted in (None, one.name)]
    names = ", ".join(one.name for one in place.services)
    if not found:
        has = f"it has: {names}" if names else "its exporter has to export one that it matches"
        raise UserError(
            f"{board}: place {place.name} has no {wanted or 'NetworkService'}, so no address; {has}"
        )
    if len(found) > 1:
        raise UserError(f"{board}: place {place.name} has several: name one by 'service': {names}")
    if not found[0].address:
        raise UserError(
            f"{board}: the {found[0].name} of place {place.name} has no address; is its device on?"
        )
    return found[0]


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
