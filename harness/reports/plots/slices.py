"""Mean absolute error by condition: those the dataset names, and those that were measured."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.reports.plots.style import (
    dress,
    provenance,
    short,
    variant_handles,
    variant_style,
    whiskers_note,
)
from harness.verdicts.examined import (
    CaseStudy,
    Slice,
    condition_slices,
    duration_slices,
    measured_slices,
    window_slices,
)
from harness.verdicts.windows import PLANS

ROW_IN, VARIANT_IN = 0.14, 0.08  # a row's height, and what each variant adds to it
WINDOWS = {plan.name for plan in PLANS}
Row = tuple[str, str]  # the condition and its value


def draw(studies: Sequence[CaseStudy]) -> Figure | None:
    """A row for each condition, a point with whisker for each variant."""
    tables = [{(one.by, one.name): one for one in _slices(study)} for study in studies]
    rows = list(dict.fromkeys(key for table in tables for key in table))
    if not any(one.figures.n for table in tables for one in table.values()):
        return None
    places = _places(rows)
    row_in = ROW_IN + VARIANT_IN * len(studies)
    height_in = 1.7 + row_in * (max(places.values()) + 1)
    figure = Figure(figsize=(7.2, height_in), layout="constrained")
    axes = figure.subplots()
    whiskers = False
    for at, table in enumerate(tables):
        shift = 0.6 * ((at + 0.5) / len(studies) - 0.5)
        for key, one in table.items():
            whiskers |= _point(axes, one, places[key] + shift, variant_style(studies, at))
    _label(axes, rows, places, tables)
    axes.set_xlabel("mean absolute error (bpm)")
    what = "n: recordings, or windows, with a heart rate."
    notes = [f"{provenance(studies)} {what} {whiskers_note(whiskers)}"]
    handles = variant_handles(studies, bars=False)
    dress(figure, studies, "Mean absolute error by condition", notes, handles)
    return figure


def _slices(study: CaseStudy) -> list[Slice]:
    rows = study.examined
    parts = (window_slices, condition_slices, measured_slices, duration_slices)
    return [one for part in parts for one in part(rows)]


def _places(rows: Sequence[Row]) -> dict[Row, float]:
    """Where each row lies, downwards, with a line between conditions for their names."""
    places, at, last = {}, -1.0, ""
    for by, name in rows:
        at += 2.0 if by != last else 1.0
        places[by, name] = at
        last = by
    return places


def _point(axes: Axes, one: Slice, at: float, style: tuple[str, str]) -> bool:
    """Draw one figure; tells whether it has a whisker."""
    colour, marker = style
    if one.figures.mae_bpm is None:
        axes.text(0, at, " no heart rate", va="center", fontsize=7, color=colour)
        return False
    axes.plot([one.figures.mae_bpm], [at], marker, color=colour, markersize=5, zorder=3)
    interval = one.intervals.mae_bpm
    if interval is None:
        return False
    axes.plot([interval.low, interval.high], [at, at], color=colour, linewidth=1.3, zorder=2)
    return True


def _label(
    axes: Axes, rows: Sequence[Row], places: dict[Row, float], tables: Sequence[dict[Row, Slice]]
) -> None:
    texts = []
    for by, name in rows:
        counts = [table[by, name].figures.n for table in tables if (by, name) in table]
        n = str(counts[0]) if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
        unit = " windows" if name in WINDOWS else ""
        texts.append(f"{short(name, 30)}  (n = {n}{unit})")
    axes.set_yticks(list(places.values()), texts)
    last = ""
    for (by, _), at in places.items():
        if by != last:
            axes.annotate(
                short(by, 36), (0, at - 1), xycoords=("axes fraction", "data"), xytext=(-4, 0),
                textcoords="offset points", ha="right", va="center", fontweight="bold",
            )  # fmt: skip
        last = by
    axes.set_ylim(max(places.values()) + 0.7, -0.5)
    axes.set_xlim(left=0)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
