"""A board's self-test as a file beside its baselines, ``FOLDER/BOARD/selftest.yaml``."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import yaml

from harness.baselines import load_baseline
from harness.model_files import read_model, write_text
from harness.verdicts.selftest_findings import SelfTest, too_tight
from harness.verdicts.thresholds import Case, Thresholds, change_rule
from rppg_core.errors import UserError

HEADER = """\
# What a board's gates are worth: sessions of one unchanged pipeline against each other. Written
# by `rppg-bench selftest BOARD --save`; a margin below what is detectable here is refused.
"""


def file_of(folder: Path, board: str) -> Path:
    """Return where a board's self-test lies, whether or not it is there."""
    return folder / board / "selftest.yaml"


def load_selftest(folder: Path, board: str) -> SelfTest | None:
    """Return a board's self-test, None where it has none; UserError for one that is unusable."""
    path = file_of(folder, board)
    if not path.is_file():
        return None
    found = read_model(
        path, SelfTest, "make it again with `rppg-bench selftest --save`, or delete it"
    )
    if found.board != board:
        raise UserError(f"{path}: says it is of {found.board}; test {board} itself, or delete it")
    return found


def save_selftest(folder: Path, found: SelfTest) -> Path:
    """Write a board's self-test; returns its file."""
    path = file_of(folder, found.board)
    write_text(path, HEADER + yaml.safe_dump(found.model_dump(exclude_none=True), sort_keys=False))
    return path


def refuse_tight_margins(folder: Path, thresholds: Thresholds, cases: Collection[Case]) -> None:
    """Refuse margins below what a board can tell, for cases that have a baseline to hold to them.

    A self-test of another processor than that of the baseline says nothing. UserError is one line.
    """
    for case in cases:
        tested, approved = load_selftest(folder, case.board), load_baseline(folder, case)
        parts = [one for one in (approved.error, approved.time) if one] if approved else []
        if tested is None or not any(tested.holds_for(one.measured_with) for one in parts):
            continue
        wrong = too_tight(tested, change_rule(thresholds, case))
        if wrong:
            quiet = "; " if tested.few else ", in a rule of 'changes', or quiet the board and "
            raise UserError(f"{case}: {wrong}{quiet}test it again ({file_of(folder, case.board)})")
