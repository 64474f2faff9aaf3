"""Several boards at once: the recordings of a case shared out, each to whichever board is free.

One thread a board, and a board is only ever used by its own: the work is on the boards, the host
waits. A fast board takes more recordings; what a board that is lost had begun, another takes over.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from harness.boards.base import Board
from harness.boards.errors import BoardError
from rppg_core.errors import UserError

Work = TypeVar("Work")
Start = Callable[[Board], Callable[[Work, Callable[[], Work | None]], None]]
"""Makes a board ready; what it returns does one piece of work there, and may look at the next."""
Wanted = Callable[[], bool]
"""Says whether there still is work for a board."""
ALIKE = ("cpu_model", "machine", "kernel", "python")
"""Facts in which boards of one pool must agree for their times to be one board's."""


class Sharing(Generic[Work]):
    """A queue that is not over before everything taken from it is done. Thread-safe."""

    def __init__(self, work: Sequence[Work]) -> None:
        self._waiting = deque(work)
        self._taken = 0
        self._over = False
        self._change = threading.Condition()

    def take(self) -> Work | None:
        """Return the next piece of work, waiting for one that comes back; None at the end."""
        with self._change:
            while not self._over and not self._waiting and self._taken:
                self._change.wait()
            if self._over or not self._waiting:
                return None
            self._taken += 1
            return self._waiting.popleft()

    def done(self) -> None:
        """One piece that was taken is finished."""
        self._put(())

    def give_back(self, work: Work) -> None:
        """One piece that was taken is for another board; it is the next to be taken."""
        self._put((work,))

    def stop(self) -> None:
        """Hand out nothing more."""
        with self._change:
            self._over = True
            self._change.notify_all()

    def peek(self) -> Work | None:
        """Return what would be taken next, without taking it."""
        with self._change:
            return self._waiting[0] if self._waiting else None

    @property
    def left(self) -> int:
        """How much was never finished."""
        with self._change:
            return len(self._waiting) + self._taken

    def goes_on(self) -> bool:
        """Say whether there may be work yet for one who has none."""
        return not self._over and self.left > 0

    def _put(self, back: Sequence[Work]) -> None:
        with self._change:
            self._taken -= 1
            self._waiting.extendleft(back)
            self._change.notify_all()


@dataclass
class Pool:
    """Boards that share one case.

    ``ready`` connects one, takes its lease, which is waited for no longer than wanted, and returns
    its facts.
    """

    name: str
    boards: Sequence[Board]
    ready: Callable[[Board, Wanted], dict[str, object]]
    facts: dict[str, dict[str, object]] = field(default_factory=dict)
    lost: dict[str, Exception] = field(default_factory=dict)
    """Boards that cannot be used any more, by name, with the reason."""

    @property
    def left(self) -> list[Board]:
        """The boards that may still be used."""
        return [board for board in self.boards if board.name not in self.lost]

    @property
    def unlike(self) -> str:
        """Say in what the boards that answered differ, or nothing."""
        for fact in ALIKE:
            found = {str(facts.get(fact)) for facts in self.facts.values()}
            if len(found) > 1:
                return f"{fact} is {' and '.join(sorted(found))}"
        return ""


def work_alone(board: Board, work: Sequence[Work], start: Start[Work]) -> None:
    """Have one board do all of ``work``; see ``work_together``."""
    sharing = Sharing(work)
    do = start(board)
    while (piece := sharing.take()) is not None:
        do(piece, sharing.peek)
        sharing.done()


def work_together(
    pool: Pool,
    work: Sequence[Work],
    start: Start[Work],
    say: Callable[[str], None],
) -> None:
    """Have the boards of a pool do all of ``work``.

    A board that raises ``BoardError`` or ``UserError`` is lost, and said so. Raises the last
    board's error when none is left and there is work to do; anything else that a thread raises
    stops the others and is raised. No board is waited for that is not needed any more.
    """
    sharing, faults = Sharing(work), list[BaseException]()

    def run(board: Board) -> None:
        taken: list[Work] = []
        try:
            pool.facts[board.name] = pool.ready(board, sharing.goes_on)
            if not sharing.goes_on():
                return
            do = start(board)
            while (piece := sharing.take()) is not None:
                taken.append(piece)
                do(piece, sharing.peek)
                taken.pop()
                sharing.done()
        except (BoardError, UserError) as failure:
            if getattr(failure, "kind", "") == "busy" and not sharing.goes_on():
                return  # it is asked again for the next case
            pool.lost[board.name] = failure
            pool.facts.pop(board.name, None)
            others = [one.name for one in pool.left]
            rest = f"; {', '.join(others)} take over" if others and sharing.goes_on() else ""
            say(f"{failure}{rest}")
        except BaseException as fault:
            faults.append(fault)
            sharing.stop()
        finally:
            for piece in taken:
                sharing.give_back(piece)

    threads = [
        threading.Thread(target=run, args=(board,), name=board.name, daemon=True)
        for board in pool.left
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:
        sharing.stop()
        raise
    if faults:
        raise faults[0]
    if pool.unlike:
        say(f"{pool.name}: boards that are not alike: {pool.unlike}; judge their times apart")
    if sharing.left:
        raise next(reversed(pool.lost.values()))
