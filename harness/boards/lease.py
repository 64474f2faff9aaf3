"""The host's side of a board's lease: waits for it, keeps it alive, notices when it is taken."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from harness.boards.errors import BoardError, Kind
from harness.boards.users import shown_user
from harness.boards.wire import BOARD_SILENCE_S, RETRYABLE, AgentCall, Deadline, Wire, always
from rppg_core.errors import UserError

POLL_S = 1.0
START_S = 30.0
RELEASE_S = 10.0

OnWait = Callable[[str], None]
"""Is told, in one line, when there is something new about the wait."""


def whoami() -> str:
    """Return how this process is shown to others who want the board."""
    job = os.environ.get("CI_JOB_URL") or os.environ.get("BUILD_URL") or ""
    return f"{shown_user()}@{socket.gethostname()} (process {os.getpid()}) {job}".strip()


class Lease:
    """A board's lease, held by a process on the board that a thread here keeps alive.

    It ends when it is released, when this process ends in whatever way, or when someone takes it
    away; ``check`` raises then. The channel it uses is its own.
    """

    def __init__(self, call: AgentCall, board: str, me: str) -> None:
        self._call = call
        self._board = board
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._keep, name=f"lease of {board}", daemon=True)
        self.id = me
        self.generation = 0

    @property
    def token(self) -> dict[str, Any]:
        """What a request carries that is made under this lease."""
        return {"id": self.id, "generation": self.generation}

    @classmethod
    def acquire(
        cls,
        open_wire: Callable[[dict[str, Any]], Wire],
        *,
        board: str,
        workdir: str,
        me: str,
        wait_s: float,
        on_wait: OnWait,
        wanted: Callable[[], bool] = always,
    ) -> Lease:
        """Wait for the lease, at most for ``wait_s``; raises ``BoardError`` if it is still busy.

        Nor is it waited for any longer than it is ``wanted``.

        Who comes back under the same ``me`` after its connection broke need not wait for itself.
        """
        request = {"op": "hold", "root": workdir, "id": me, "who": whoami(), "wait_s": wait_s}
        call = AgentCall(open_wire(request), board=board, doing="waiting for its lease")
        lease = cls(call, board, me)
        try:
            call.send(request, Deadline(START_S))
            lease.generation = lease._await(wait_s, on_wait, wanted)
        except BaseException:
            call.close()
            raise
        lease._thread.start()
        return lease

    def check(self) -> None:
        """Raise ``BoardError`` if the lease is lost."""
        if self._failure is not None:
            raise self._failure

    def release(self) -> None:
        """Give the lease back; never raises."""
        self._stop.set()
        self._thread.join(RELEASE_S)
        if self._failure is None:
            try:
                self._call.acknowledge(Deadline(RELEASE_S))
                self._call.answer("done", Deadline(RELEASE_S))
            except (BoardError, UserError):
                pass  # it ends by itself on the board
        self._call.close()

    def _await(self, wait_s: float, on_wait: OnWait, wanted: Callable[[], bool]) -> int:
        deadline = Deadline(wait_s + BOARD_SILENCE_S, wanted)
        while deadline.left_s:
            for answer in self._call.poll(POLL_S):
                if answer["agent"] == "held":
                    return int(answer["generation"])
                if answer["agent"] == "waiting":
                    on_wait(f"{self._board}: {_place(answer)}; waiting up to {wait_s:g} s")
                elif "busy" in answer:
                    raise self._call.failed(
                        f"still busy after {wait_s:g} s ({_place(answer['busy'])})",
                        retryable=False,
                        hint="wait longer with --lease-wait, or take it: "
                        f"rppg-bench lease {self._board} --break",
                        kind="busy",
                    )
        if not wanted():
            raise self._call.failed("no longer waited for", retryable=False, kind="busy")
        raise self._call.failed("no answer", retryable=True, kind="unreachable")

    def _keep(self) -> None:
        try:
            while not self._stop.is_set():
                for answer in self._call.poll(POLL_S):
                    if "lost" in answer:
                        self._failure = lease_lost(self._board, answer["lost"], answer["kind"])
                        return
        except (BoardError, UserError) as error:
            self._failure = error


def lease_lost(board: str, reason: str, kind: Kind) -> BoardError:
    """Return the error of a lease that is no longer ours; one that lapsed may be had again."""
    lapsed = kind in RETRYABLE
    hint = "" if lapsed else "start again"
    return BoardError(reason, board=board, doing="using it", retryable=lapsed, kind=kind, hint=hint)


def _place(waiting: dict[str, Any]) -> str:
    holder = waiting["holder"]
    since = time.strftime("%H:%M:%S", time.gmtime(waiting["held_s"]))
    held = f"held by {holder} for {since}" if holder else "about to be free"
    return f"{held}, place {waiting['position']} in the queue"
