"""The sides of a comparison: a case of one run, or of several that count as sessions of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from harness.replays import CaseRun
from harness.run_file import read_run
from harness.run_selection import Selection
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError

REVISION = 7
"""Characters of a commit that are shown."""
PIPE = {
    "model": ("model", "name"),
    "model file": ("model", "sha256"),
    "detector": ("detector",),
}
"""In what sessions of one side must agree, and where a record says it."""


@dataclass(frozen=True)
class Side:
    """One case, of one run or of sessions of the same.

    ``names`` are the runs', oldest first, as ``runs`` are; ``revision`` is their commit in short,
    with a + where files differed from it. ``left_out`` are runs that are not whole, where others
    are.
    """

    runs: tuple[CaseRun, ...]
    names: tuple[str, ...]
    revision: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def case(self) -> Case:
        """The case, the same in all runs."""
        return self.runs[0].case

    @property
    def unit(self) -> str:
        """What the records count."""
        return self.runs[0].unit

    @property
    def partial(self) -> str:
        """What there is of it, where it is not whole."""
        return next(filter(None, (one.partial for one in self.runs)), "")

    @property
    def origin(self) -> str:
        """The runs and their commit, in words."""
        several = f"{len(self.names)} runs" if len(self.names) > 1 else self.names[0]
        return several + (f" of {self.revision}" if self.revision else "")


def sides_of(selection: Selection) -> list[Side]:
    """Return a side for each case that a selection means.

    Raises UserError where runs that should be sessions of the same are not of the same.
    """
    found: dict[tuple[Case, tuple[str, ...]], list[tuple[Path, CaseRun]]] = {}
    for folder, run in selection.load():
        pipe = tuple(run.named(*path) for path in PIPE.values())
        found.setdefault((run.case, pipe), []).append((folder, run))
    if len(selection.folders) > 1:
        _check_alike(selection.text, list(found))
    return [_side(sessions) for sessions in found.values()]


def matched(old: Sequence[Side], new: Sequence[Side]) -> list[tuple[Side, Side]]:
    """Pair sides: one with each where there is one, else those of the same case.

    Where no case is in both, those that differ in their board alone are paired, else those that
    differ in their variant alone. Nothing is held against itself where there is anything else.
    Raises UserError where nothing fits.
    """
    pairs = [(old[0], one) for one in new] if len(old) == 1 else _alike(old, new)
    if not pairs:
        raise UserError("no case of both has the same dataset and variant, or board; name one case")
    others = [(a, b) for a, b in pairs if (a.case, a.names) != (b.case, b.names)]
    return others or pairs


def _alike(old: Sequence[Side], new: Sequence[Side]) -> list[tuple[Side, Side]]:
    for same in (("board", "dataset", "variant"), ("dataset", "variant"), ("board", "dataset")):
        key = attrgetter(*(f"case.{name}" for name in same))
        pairs = [(one, other) for other in new for one in old if key(one) == key(other)]
        if pairs:
            return pairs
    return []


def _check_alike(text: str, keys: Sequence[tuple[Case, tuple[str, ...]]]) -> None:
    pipes: dict[Case, tuple[str, ...]] = {}
    for case, pipe in keys:
        other = pipes.setdefault(case, pipe)
        differ = [name for name, a, b in zip(PIPE, other, pipe, strict=True) if a != b]
        if differ:
            raise UserError(
                f"{text!r}: ambiguous: runs of {case} differ in {', '.join(differ)}; name one run"
            )


def _side(sessions: Sequence[tuple[Path, CaseRun]]) -> Side:
    whole = [one for one in sessions if not one[1].partial]
    counted = whole or sessions[-1:]
    rest = [one for one in sessions if one not in counted]
    folders = [folder for folder, _ in counted]
    return Side(
        tuple(run for _, run in counted),
        tuple(folder.absolute().name for folder in folders),
        ", ".join(dict.fromkeys(filter(None, map(_revision, folders)))),
        tuple(f"{folder.absolute().name} ({run.partial or 'whole'})" for folder, run in rest),
    )


def _revision(folder: Path) -> str:
    run = read_run(folder)
    return "" if run is None or not run.commit else run.commit[:REVISION] + "+" * bool(run.dirty)
