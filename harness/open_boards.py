"""The boards of one run: each is found by name, opened once, made ready once, closed at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.boards.base import Board
from harness.boards.inventory import find_boards, load_boards
from harness.boards.opening import open_board
from harness.boards.settings import Delegate
from harness.boards.wire import always
from harness.pool import Pool, Wanted
from harness.reports.progress import CampaignProgress
from rppg_core.errors import UserError


@dataclass
class OpenBoards:
    """The boards that ``asked`` names, of those that ``boards_file`` describes."""

    boards_file: Path
    asked: tuple[str, ...]
    lease_wait_s: float
    _boards: dict[str, Board] = field(default_factory=dict)
    _facts: dict[str, Any] = field(default_factory=dict)
    _ready_ones: set[str] = field(default_factory=set)
    _pools: dict[str, Pool] = field(default_factory=dict)

    def targets(self) -> dict[str, tuple[str, ...]]:
        """The boards of each target that was asked for. Raises UserError."""
        known = load_boards(self.boards_file)
        return dict(find_boards(known, asked) for asked in self.asked)

    def unopened(self) -> list[Board]:
        """Each board asked for, as described and for itself; opens nothing. Raises UserError."""
        known, targets = load_boards(self.boards_file), self.targets()
        names = dict.fromkeys(one for boards in targets.values() for one in boards)
        found = {name: open_board(known[name]) for name in names}
        for target, members in targets.items():
            _refuse_twins(target, [found[name] for name in members])
        return list(found.values())

    def target(self, name: str, progress: CampaignProgress) -> Board | Pool:
        """A target's board, ready for replays, or its pool. Raises UserError, BoardError."""
        members = self.targets()[name]
        boards = [self._opened(member) for member in members]
        if members == (name,):
            self._ready(progress, boards[0])
            return boards[0]
        if name not in self._pools:
            self._pools[name] = Pool(name, boards, partial(self._ready, progress))
        return self._pools[name]

    def opened(self) -> tuple[Board, ...]:
        """The boards that were opened and not closed yet."""
        return tuple(self._boards.values())

    def facts(self) -> dict[str, Any]:
        """What is known of the boards that were made ready."""
        return dict(self._facts)

    def instructions_per_ms(self, target: str) -> Mapping[str, float]:
        """The factors by which a target's counts may be shown as estimates of a board's time."""
        return self._boards[self.targets()[target][0]].instructions_per_ms

    def set_delegate(self, board: str, delegate: Delegate | None) -> Delegate | None:
        """Run models by this on a board from now on, None being its processor; return the last."""
        opened = self._opened(board)
        before = opened.settings.delegate
        opened.settings = replace(opened.settings, delegate=delegate)
        return before

    def close(self) -> None:
        """Close every board."""
        for board in self._boards.values():
            board.close()
        self._boards.clear()
        self._ready_ones.clear()

    def _opened(self, name: str) -> Board:
        if name not in self._boards:
            self._boards[name] = open_board(load_boards(self.boards_file)[name])
        return self._boards[name]

    def _ready(
        self, progress: CampaignProgress, board: Board, wanted: Wanted = always
    ) -> dict[str, Any]:
        """Take a board's lease and connect it, once; return its facts."""
        if board.name not in self._ready_ones:
            self._make_way(board)
            board.acquire(self.lease_wait_s, progress.say, wanted)
            board.connect()
            facts = board.facts()
            wrong = board.settings.expect.mismatch(facts)
            if wrong:
                raise UserError(f"{board.name}: not the board that 'expect' describes: {wrong}")
            self._facts[board.name] = facts
            self._ready_ones.add(board.name)
        return dict(self._facts[board.name])

    def _make_way(self, board: Board) -> None:
        """Let go of the board where it was opened under another name: it would wait for itself."""
        for other in self._boards.values():
            if other is not board and board.whereabouts and other.whereabouts == board.whereabouts:
                other.close()
                self._ready_ones.discard(other.name)


def _refuse_twins(target: str, boards: Sequence[Board]) -> None:
    """Raise UserError where two boards of a pool are one, which cannot do two things at once."""
    if len(boards) == 1:
        return
    seen: dict[tuple[object, ...], Board] = {}
    for board in boards:
        twin = seen.setdefault(board.whereabouts, board) if board.whereabouts else board
        if twin is not board:
            raise UserError(
                f"{target}: {twin.name} and {board.name} are one board; leave one of them out, or "
                f"name them apart: --board {twin.name},{board.name}"
            )
