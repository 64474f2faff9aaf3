"""Standing in line for a place, with a limit."""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.boards.errors import BoardError
from harness.boards.labgrid.client import LabgridClient
from harness.boards.labgrid.keeper import Keeper, RunLock
from harness.boards.labgrid.place import Place
from harness.boards.wire import Deadline

OnWait = Callable[[str], None]
LOOK_S = 15.0
"""How often to look who holds the place that we wait for."""
LOCK_POLL_S = 0.5


class Line:
    """The wait for one place; ``deadline`` is all the time there is."""

    def __init__(
        self, client: LabgridClient, lock: RunLock, deadline: Deadline, say: OnWait
    ) -> None:
        self._client = client
        self._lock = lock
        self._deadline = deadline
        self._say = say
        self._told = ""

    def take_lock(self) -> None:
        """Wait for other runs of this user on this machine, which labgrid takes for us."""
        while not self._lock.try_to_take():
            holder = f"process {self._lock.holder()}, a run of yours on this machine"
            if not self._deadline.left_s:
                raise self._busy(f"held, or waited for, by {holder}")
            self._tell(f"held, or waited for, by {holder}")
            time.sleep(min(LOCK_POLL_S, self._deadline.left_s))

    def acquire(self, place: Place) -> Keeper:
        """Acquire a place that is not ours; raises ``BoardError`` of kind "busy" in the end.

        Others who made a reservation are not overtaken, nor are we.
        """
        keeper = self._try()
        if keeper is not None:
            return keeper
        token = ""
        try:
            while self._deadline.left_s:
                token = token or self._client.reserve(place.name)
                self._tell(_held(self._client.show()))
                if self._client.wait(token, min(LOOK_S, self._deadline.left_s)):
                    keeper = self._try()
                    if keeper is not None:
                        return keeper
                    time.sleep(min(1.0, self._deadline.left_s))
        finally:
            if token:
                self._client.cancel(token)
        raise self._busy(_held(self._client.show()))

    def _try(self) -> Keeper | None:
        """Acquire it if it is free; from then on it is given back, whatever happens."""
        keeper = Keeper(self._client, self._lock)
        try:
            if self._client.acquire():
                return keeper
        except BaseException:
            keeper.release()
            raise
        keeper.drop()
        return None

    def _tell(self, why: str) -> None:
        if why != self._told:
            self._told = why
            limit_s = self._deadline.limit_s
            self._say(f"{self._client.board}: {why}; waiting up to {limit_s:g} s")

    def _busy(self, why: str) -> BoardError:
        board = self._client.board
        return BoardError(
            f"still busy after {self._deadline.limit_s:g} s (place {self._client.place} is {why})",
            board=board,
            doing="waiting for it",
            retryable=False,
            hint=f"wait longer with --lease-wait, or take it: rppg-bench lease {board} --break",
            kind="busy",
        )


def _held(place: Place) -> str:
    if place.holder:
        return f"held by {place.holder}"
    if place.reservation:
        return "free, but reserved for another"
    return "free, but something of it is in use by another place"
