"""Mean absolute error by condition: those the dataset names, and those that were measured."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.reports.plots.style import (
    foot,
    head,
    provenance,
    short,
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

ROW_IN = 0.3  # for each variant of each row a little more
Row = tuple[str, str]  # the condition and its value


def draw(studies: Sequence[CaseStudy]) -> Figure | None:
    """A row for each condition, a point with whisker for each variant."""
    tables = [{(one.by, one.name): one for one in _slices(study)} for study in studies]
    rows = list(dict.fromkeys(key for table in tables for key in table))
    if not any(one.figures.n for table in tables for one in table.values()):
        return None
    places = _places(rows)
    height_in = 1.9 + ROW_IN * (1 + 0.25 * (len(studies) - 1)) * (max(places.values()) + 1)
    figure = Figure(figsize=(7.2, height_in), layout="constrained")
    axes = figure.subplots()
    whiskers = False
    for at, (study, table) in enumerate(zip(studies, tables, strict=True)):
        shift = 0.6 * ((at + 0.5) / len(studies) - 0.5)
        for key, one in table.items():
            whiskers |= _point(axes, one, places[key] + shift, variant_style(studies, at))
        colour, marker = variant_style(studies, at)
        axes.plot([], [], marker, color=colour, label=short(study.case.variant, 24))
    _label(axes, rows, places, tables)
    axes.set_xlabel("mean absolute error (bpm)")
    figure.legend(loc="outside upper left", ncols=4, handletextpad=0.2)
    head(figure, "Mean absolute error by condition", studies)
    notes = "Light, motion: measured on the face; n: recordings, or windows, with a heart rate."
    foot(figure, [f"{provenance(studies)} {notes} {whiskers_note(whiskers)}"])
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
        texts.append(f"{short(name, 30)}  (n = {n})")
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
