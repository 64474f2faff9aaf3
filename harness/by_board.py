"""How pytest-xdist deals out tests: all of a board to one worker, which holds its lease.

Marks of xdist's own groups are not heeded by every pair of its and pytest's versions, so tests are
told apart by what their names have in brackets: the case, and what follows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from harness.verdicts.thresholds import Case


def case_id(case: Case) -> str:
    """What stands for a case in the names of its tests."""
    return "-".join((case.board, case.dataset, case.variant))


def board_of(nodeid: str, boards: Mapping[str, str]) -> str:
    """Return whose test it is by the board of each case's id; the test itself where it has none."""
    inside = nodeid.partition("[")[2].removesuffix("]")
    fits = [one for one in boards if f"{inside}-".startswith(f"{one}-")]
    return boards[max(fits, key=len)] if fits else nodeid


def scheduler(config: Any, log: Any, cases: Sequence[Case]) -> Any:
    """Return what deals out the tests of these cases, once xdist asks for it."""
    dealer = import_module("xdist.scheduler").LoadScopeScheduling(config, log)
    boards = {case_id(case): case.board for case in cases}
    dealer._split_scope = lambda nodeid: board_of(nodeid, boards)
    return dealer
