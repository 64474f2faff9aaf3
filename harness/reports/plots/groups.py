"""The paper's figures 4 and 5: mean absolute error by heart-rate group, before and after."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.reports.plots.style import (
    dress,
    provenance,
    variant_handles,
    variant_style,
    whiskers_note,
)
from harness.verdicts.accuracy import AccuracyReport, HeartRateGroup, score
from harness.verdicts.examined import CaseStudy

WIDTH = 0.8  # of all bars of a group
NAMES = ((None, "all"), *((group, group.value) for group in HeartRateGroup))
LIMITS = {"all": "", "low": "< 77", "middle": "77 to < 90", "high": ">= 90"}


def draw(studies: Sequence[CaseStudy]) -> Figure | None:
    """One cluster of bars for all and for each group, one bar for each variant."""
    reports = [score(one.scored) for one in studies]
    if not any(report.overall.n for report in reports):
        return None
    bar = WIDTH / len(studies)
    width_in = max(6.4, 2.2 + 4 * 0.48 * len(studies))
    figure = Figure(figsize=(width_in, 4.3), layout="constrained")
    axes = figure.subplots()
    tops, whiskers = [0.0], False
    for at, report in enumerate(reports):
        colour, _ = variant_style(studies, at)
        left = -WIDTH / 2 + bar * (at + 0.5)
        for place, (group, _) in enumerate(NAMES):
            top = _bar(axes, report, group, place + left, bar, colour)
            whiskers |= report.intervals[group].mae_bpm is not None
            tops.append(top)
    axes.set_xticks(range(len(NAMES)), [_tick(reports, group, name) for group, name in NAMES])
    axes.set_ylabel("mean absolute error (bpm)")
    axes.set_ylim(0, 1.13 * max(tops) or 1.0)
    axes.grid(axis="x", visible=False)
    title = "Mean absolute error by heart-rate group, before and after lightening"
    what = "Groups by true heart rate in bpm; n: recordings."
    notes = [f"{provenance(studies)} {what} {whiskers_note(whiskers)}"]
    dress(figure, studies, title, notes, variant_handles(studies, bars=True))
    return figure


def _bar(
    axes: Axes,
    report: AccuracyReport,
    group: HeartRateGroup | None,
    at: float,
    width: float,
    colour: str,
) -> float:
    """Draw one bar with whisker and value; returns how high it reaches."""
    figures = report.overall if group is None else report.groups[group]
    if figures.mae_bpm is None:
        axes.text(at, 0, "none", ha="center", va="bottom", fontsize=7.5, color="#777777")
        return 0.0
    top = mae = figures.mae_bpm
    axes.bar(at, mae, 0.92 * width, color=colour)
    interval = report.intervals[group].mae_bpm
    if interval is not None:
        axes.vlines(at, interval.low, interval.high, color="#000000", linewidth=1.1)
        axes.plot([at, at], [interval.low, interval.high], "_", color="#000000", markersize=5)
        top = max(top, interval.high)
    axes.annotate(
        f"{mae:.2f}", (at, top), (0, 2), textcoords="offset points", ha="center", va="bottom",
        fontsize=8 if width > 0.15 else 6.5,
    )  # fmt: skip
    return top


def _tick(reports: Sequence[AccuracyReport], group: HeartRateGroup | None, name: str) -> str:
    counts = [(r.overall if group is None else r.groups[group]).n for r in reports]
    n = f"n = {counts[0]}" if len(set(counts)) == 1 else f"n = {', '.join(map(str, counts))}"
    return "\n".join(filter(None, (name, n, LIMITS[name])))
