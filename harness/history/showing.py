"""The history as tables for a terminal, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.history.trend import PROVENANCE, Point
from harness.plain_text import printable
from harness.reports.layout import NOTHING, SHOWN, milliseconds, number, plain_table
from harness.verdicts.thresholds import Case
from rppg_core.pacing import FAST

BARS = "▁▂▃▄▅▆▇█"
SYNTHETIC_NOTE = "synthetic: rendered clips with a known pulse; no person was measured"
APART_NOTE = "+/-: since the last run above of the same pace and recordings"
MB = 1e6


def trend_tables(cases: Mapping[Case, Sequence[Point]]) -> RenderableType:
    """One table for each board, dataset and variant: a row for each run, oldest first."""
    parts: list[RenderableType] = []
    for case, points in cases.items():
        parts += [_table(case, points), *_lines(points), ""]
    if any(one.synthetic for points in cases.values() for one in points):
        parts.append(SYNTHETIC_NOTE)
    return Group(*parts)


def sparkline(values: Sequence[float | None]) -> str:
    """Draw values as bars between the least and the most of them; a gap where there is none."""
    known = [one for one in values if one is not None]
    if not known:
        return ""
    low, span = min(known), max(known) - min(known)

    def bar(value: float) -> str:
        return BARS[round((value - low) / span * (len(BARS) - 1))] if span else BARS[0]

    return "".join(" " if one is None else bar(one) for one in values)


def as_json(points: Sequence[Point]) -> str:
    """Return every figure of every case, one object each."""
    return json.dumps([_plain(one) for one in points], indent=1)


def as_csv(points: Sequence[Point]) -> str:
    """Return a line for each case, with a column for each figure that any of them has."""
    names = sorted({name for one in points for name in one.figures})
    about = ("run", "started", "commit", "dirty", "branch", "board", "dataset", "variant")
    counted = (
        "synthetic",
        "complete",
        "planned",
        "unit",
        "pace",
        "recordings",
        "failed",
        "outcome",
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*about, *counted, *PROVENANCE, *names])
    for one in points:
        plain = _plain(one)
        row = [plain[name] for name in (*about, *counted)]
        row += [one.provenance[name] for name in PROVENANCE]
        writer.writerow([*row, *(one.figures.get(name) for name in names)])
    return text.getvalue()


def _plain(one: Point) -> dict[str, Any]:
    plain = {**asdict(one), **asdict(one.case), "outcome": one.outcome and one.outcome.value}
    del plain["case"], plain["names"]
    return plain


def _table(case: Case, points: Sequence[Point]) -> Table:
    unit = "M instr" if points[0].unit == "minstr" else "ms"
    table = plain_table(printable(f"{case}: bpm, {unit} a frame, MB"))
    table.add_column("UTC", no_wrap=True)
    table.add_column("commit", no_wrap=True)
    for name in ("n", "MAE", "+/-", "frame", "+/- %", "RTF", "peak"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("gates", no_wrap=True)
    before: dict[Any, Point] = {}
    for one in points:
        table.add_row(*_cells(one, before.get(one.alike)), _verdict(one))
        if one.whole:
            before[one.alike] = one
    return table


def _cells(one: Point, before: Point | None) -> tuple[str, ...]:
    get, old = one.figures.get, before.figures if before and one.whole else {}
    cost = f"{one.unit}_per_frame"
    mae, took, peak = get("mae_bpm"), get(cost), get("peak_memory_bytes")
    change = NOTHING if mae is None or "mae_bpm" not in old else f"{mae - old['mae_bpm']:+.2f}"
    slower = NOTHING if took is None or cost not in old else _percent(100 * (took / old[cost] - 1))
    return (
        _when(one),
        one.revision,
        _count(one),
        number(mae, 2),
        change,
        milliseconds(took, 3),
        slower,
        number(get("real_time_factor"), 3),
        number(peak / MB if peak else None, 0),
    )


def _when(one: Point) -> str:
    """When it began, and below it how frames came if not as usual."""
    pace = "" if one.pace == FAST else f"\n{printable(one.pace)}"
    return one.started[2:16].replace("T", " ") + pace


def _percent(change: float) -> str:
    return f"{change:+.0f}" if abs(change) >= 100 else f"{change:+.1f}"


def _count(one: Point) -> str:
    """Heart rates, and of how many recordings where not of all."""
    planned = max(one.recordings, one.planned or 0)
    gave = one.recordings - one.failed
    return str(gave) if gave == planned else f"{gave}/{planned}"


def _verdict(one: Point) -> Text:
    if not one.whole:
        return Text("partial" if one.complete else "cut off", style="yellow")
    return Text(NOTHING) if one.outcome is None else Text(*SHOWN[one.outcome])


def _lines(points: Sequence[Point]) -> list[Text]:
    """The course of the two figures that matter, and what else has changed on the way."""
    kinds = dict.fromkeys(one.alike for one in points if one.whole)
    lines = []
    if len(points) > 1:
        for kind in kinds:
            lines += _courses(points, kind, alone=len(kinds) == 1)
    if len(kinds) > 1:
        lines.append(Text(APART_NOTE, style="dim"))
    for old, new in pairwise(points):
        if other := _otherwise(old, new):
            at = new.started[:16].replace("T", " ")
            lines.append(Text(printable(f"from {at} with another {', '.join(other)}"), style="dim"))
    return lines


def _courses(points: Sequence[Point], kind: Any, alone: bool) -> list[Text]:
    """A bar for each run of one pace and set of recordings, a gap for any other."""
    own = [one if one.whole and one.alike == kind else None for one in points]
    if not alone and sum(one is not None for one in own) < 2:
        return []  # a single bar shows no course
    pace, names = kind
    which = "" if alone else printable(f" {pace}, {len(names)} recordings")
    lines = []
    for name, figure in (("MAE", "mae_bpm"), ("frame", f"{points[0].unit}_per_frame")):
        drawn = sparkline([one.figures.get(figure) if one else None for one in own])
        lines.append(Text(f"{name:7}{drawn:{len(own)}}{which}".rstrip()))
    return lines


def _otherwise(old: Point, new: Point) -> list[str]:
    """What two runs were not alike in."""
    other = [name for name in PROVENANCE if old.provenance[name] != new.provenance[name]]
    if old.pace != new.pace:
        other.append("pace")
    if old.whole and new.whole and old.names != new.names:
        other.append("set of recordings")
    return other
