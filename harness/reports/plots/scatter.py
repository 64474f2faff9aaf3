"""Every recording's heart rate against its truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.reports.plots.style import (
    FAINT,
    GROUP_COLOURS,
    GROUP_MARKERS,
    dress,
    grid,
    group_handles,
    label_left,
    panels,
    provenance,
    short,
)
from harness.verdicts.accuracy import HeartRateGroup, figures
from harness.verdicts.examined import CaseStudy

MARGIN_BPM = 6.0
NEAR_BPM = 5.0


def draw(studies: Sequence[CaseStudy]) -> Figure | None:
    """One square panel for each variant, points coloured by the group of the truth."""
    rates = [
        rate for one in studies for s in one.scored for rate in (s.reference_bpm, s.estimate_bpm)
    ]
    if not rates:
        return None
    low, high = min(rates) - MARGIN_BPM, max(rates) + MARGIN_BPM
    figure = panels(len(studies), height_in=3.5)
    for axes, study in zip(grid(figure, len(studies)), studies, strict=True):
        axes.fill_between(
            [low, high], [low - NEAR_BPM, high - NEAR_BPM], [low + NEAR_BPM, high + NEAR_BPM],
            color="#EFEFEF", linewidth=0, zorder=0,
        )  # fmt: skip
        axes.plot([low, high], [low, high], color=FAINT, linewidth=0.9, zorder=1)
        _points(axes, study)
        axes.set(xlim=(low, high), ylim=(low, high), box_aspect=1)
        found = figures(study.scored)
        r = "" if found.pearson_r is None else f", r = {found.pearson_r:.3f}"
        axes.set_title(f"{short(study.case.variant, 20)}: n = {found.n}{r}")
        label_left(axes, "estimated heart rate (bpm)")
        axes.set_xlabel("true heart rate (bpm)")
    notes = [f"{provenance(studies)} Line: equal; grey: within {NEAR_BPM:g} bpm."]
    title = "Heart rate of each recording against the truth"
    dress(figure, studies, title, notes, group_handles(studies))
    return figure


def _points(axes: Axes, study: CaseStudy) -> None:
    for group in HeartRateGroup:
        rows = [one for one in study.scored if one.group is group]
        x = np.array([one.reference_bpm for one in rows])
        y = np.array([one.estimate_bpm for one in rows])
        axes.scatter(
            x, y, s=22, alpha=0.75, linewidths=0.4, edgecolors="white",
            marker=GROUP_MARKERS[group], color=GROUP_COLOURS[group], zorder=2,
        )  # fmt: skip
