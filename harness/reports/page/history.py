"""What the history has of the cases of a run, up to that run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from markupsafe import Markup

from harness.history.store import History, run_name
from harness.history.trend import Point, points
from harness.reports.layout import milliseconds, number
from harness.reports.page.charts_history import LOOKS, changed, label, trend_chart
from harness.reports.page.svg import SHAPES
from harness.verdicts.outcome import Outcome
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError

LAST = 20
"""Runs that a chart shows: more labels do not fit on a phone."""
SAME = ("model", "detector")
"""What must be as in this run, and the pace: else another thing was measured."""
UNITS = {"ms": "ms a frame", "minstr": "M instructions a frame"}
LEGEND = [
    (LOOKS[outcome][0], said, SHAPES[LOOKS[outcome][1]])
    for outcome, said in (
        (Outcome.PASS, "all gates passed"),
        (Outcome.FAIL, "a gate failed"),
        (Outcome.INCONCLUSIVE, "no verdict"),
        (None, "not judged, or cut off"),
    )
]
Row = tuple[str, str, Outcome | str | None, tuple[str, ...]]


@dataclass(frozen=True)
class Trend:
    """One case: charts with their captions, what else changed, and all of it as a table."""

    name: str
    synthetic: bool
    charts: Sequence[tuple[str, Markup]]
    notes: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[Row]


@dataclass(frozen=True)
class Shown:
    """The section; ``trouble`` says why there is nothing where there should be something."""

    trends: Sequence[Trend] = field(default=())
    trouble: str = ""
    last: int = LAST


def read_history(path: Path, results: Path, cases: Sequence[Case], wanted: bool) -> Shown | None:
    """What the file has of each case; None where it has no run before this one.

    A file that cannot be read is told in the section, and raises UserError where it is ``wanted``.
    """
    if not (wanted or path.exists()):
        return None
    try:
        with History(path) as history:
            found = [_until(history, case, run_name(results)) for case in cases]
    except UserError as bad:
        if wanted:
            raise
        return Shown(trouble=f"It could not be read: {bad}")
    trends = [_trend(of_case) for of_case in found if len(of_case) > 1]
    return Shown(trends) if trends else None


def _until(history: History, case: Case, run: str) -> list[Point]:
    """The runs of a case up to one, all measured as that was; none if it is not there."""
    names = {name: _exactly(getattr(case, name)) for name in ("board", "dataset", "variant")}
    found = points(history, names)
    mine = next((one for one in reversed(found) if one.run == run), None)
    if mine is None:
        return []
    before = found[: found.index(mine) + 1]
    alike = [
        one
        for one in before
        if all(one.provenance[name] == mine.provenance[name] for name in SAME)
        and one.pace == mine.pace
    ]
    return alike[-LAST:]


def _exactly(name: str) -> str:
    """A pattern that fits this name alone."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _trend(found: Sequence[Point]) -> Trend:
    unit = found[-1].unit
    cost = f"{unit}_per_frame"
    of_a_frame = ("work a frame", "M instructions") if unit == "minstr" else ("time a frame", unit)
    kinds = (("mae_bpm", "mean absolute error", "bpm"), (cost, *of_a_frame))
    return Trend(
        name=str(found[-1].case),
        synthetic=found[-1].synthetic,
        charts=[
            (f"{name[0].upper()}{name[1:]}, {of}", trend_chart(found, figure, name, of))
            for figure, name, of in kinds
            if any(figure in one.figures for one in found)
        ],
        notes=list(_notes(found)),
        columns=("recordings", "MAE, bpm", UNITS[unit], "real-time factor"),
        rows=[_row(one, cost) for one in found],
    )


def _notes(found: Sequence[Point]) -> Iterator[str]:
    for before, after in pairwise(found):
        other = changed(before, after)
        if other:
            yield f"Dotted, from {label(after)} on: another {', '.join(other)}."
    if len({one.recordings for one in found}) > 1:
        yield "Not all of these runs had as many recordings; the table says how many."


def _row(one: Point, cost: str) -> Row:
    recordings = str(one.recordings)
    if one.failed:
        recordings += f", {one.failed} failed"
    took = one.figures.get(cost)
    return (
        one.started[:16].replace("T", " "),
        label(one),
        one.outcome if one.complete else "cut off",
        (
            recordings,
            number(one.figures.get("mae_bpm"), 2),
            milliseconds(took, 3),
            number(one.figures.get("real_time_factor"), 3),
        ),
    )
