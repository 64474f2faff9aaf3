"""A place that is ours: acquired, watched, and given back."""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from collections.abc import Callable

from harness.boards.errors import BoardError
from harness.boards.labgrid.client import LabgridClient
from harness.boards.labgrid.keeper import Keeper, RunLock
from harness.boards.labgrid.place import Place
from harness.boards.labgrid.waiting import Line, OnWait
from harness.boards.wire import Deadline
from rppg_core.errors import UserError

LOOK_S = 3.0
"""How often to look whether the place is still ours; a look takes 0.3 s of one processor core."""
COORDINATOR_GONE_S = 60.0
"""So long a coordinator may not answer; until then nobody can be given the place either."""
MARK = "rppg-bench/"
"""Begins whom our runs allow to use a place: that is how a run knows its own acquisition again."""


class Hold:
    """A place acquired for this run, until it is released, lost, or this process ends.

    A place that this user of this host had acquired already is used, and left as it was, unless a
    run of ours left it so by a sudden end: that one is taken over. ``lost`` is called, in another
    thread, when the place is no longer ours.
    """

    def __init__(
        self, client: LabgridClient, place: Place, mark: str, keeper: Keeper | None, lock: RunLock
    ) -> None:
        self.place = place
        self.failure: BoardError | None = None
        self._client = client
        self._mark = mark
        self._keeper = keeper
        self._lock = lock
        self._taken = False
        self._lost: Callable[[], None] = lambda: None
        self._stop = threading.Event()
        self._seen_at = time.monotonic()
        self._thread = threading.Thread(
            target=self._watch, name=f"place of {client.board}", daemon=True
        )
        self._thread.start()

    @classmethod
    def take(
        cls, client: LabgridClient, wait_s: float, on_wait: OnWait, wanted: Callable[[], bool]
    ) -> Hold:
        """Wait for the place, at most for ``wait_s`` and for as long as it is ``wanted``.

        Raises ``BoardError`` of kind "busy" if it is still another's, "unreachable" if there is no
        coordinator, and ``UserError`` for a place or client that is not there.
        """
        keeper: Keeper | None = None
        lock = RunLock(client)
        try:
            line = Line(client, lock, Deadline(wait_s, wanted), on_wait)
            line.take_lock()
            place = client.show()
            if place.holder != client.me:
                keeper = line.acquire(place)
            elif _left_by_us(place):
                on_wait(f"{client.board}: a run that ended suddenly left its place; taken over")
                keeper = Keeper(client, lock)
            else:
                on_wait(f"{client.board}: you had acquired its place; used, and left so")
            mark = f"{MARK}{os.getpid()}-{uuid.uuid4().hex[:8]}" if keeper else ""
            if mark:
                client.allow(mark)
            return cls(client, client.show(), mark, keeper, lock)
        except BaseException:
            if keeper is not None:
                keeper.release()
            lock.close()
            raise

    def on_lost(self, lost: Callable[[], None]) -> None:
        """Have this called when the place is lost."""
        self._lost = lost

    def check(self) -> None:
        """Raise ``BoardError`` of kind "lease" if the place is no longer ours."""
        if self.failure is not None:
            raise self.failure

    def release(self) -> None:
        """Give the place back, if it is ours to give; never raises."""
        self._stop.set()
        self._thread.join()
        if self._keeper is not None and self._taken:
            self._keeper.drop()
        elif self._keeper is not None and not self._keeper.release():
            by_hand = self._client.by_hand("release")
            line = f"{self._client.board}: its place could not be given back; try {by_hand}"
            print(line, file=sys.stderr, flush=True)
        self._keeper = None
        self._lock.close()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_S):
            try:
                reason = self._no_longer_ours(self._client.show())
                self._taken = bool(reason)
                self._seen_at = time.monotonic()
            except UserError as gone:
                reason = str(gone).removeprefix(f"{self._client.board}: ")
            except BoardError as unclear:
                gone_s = time.monotonic() - self._seen_at
                clear = gone_s < COORDINATOR_GONE_S
                reason = "" if clear else f"nobody knows whose the place is: {unclear.message}"
            if reason:
                self._fail(reason)
                return

    def _no_longer_ours(self, place: Place) -> str:
        if place.holder == self._client.me and (not self._mark or self._mark in place.allowed):
            return ""
        now = f"now held by {place.holder}" if place.holder else "kicked, or coordinator restarted"
        return f"the place {place.name} was released from this run ({now})"

    def _fail(self, reason: str) -> None:
        self.failure = BoardError(
            reason,
            board=self._client.board,
            doing="using it",
            retryable=False,
            kind="lease",
            hint="start again",
        )
        self._lost()


def _left_by_us(place: Place) -> bool:
    return any(who.startswith(MARK) for who in place.allowed)
