"""Bland-Altman plots: error against heart rate, with bias and limits of agreement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.reports.plots.style import (
    ESTIMATE,
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
from harness.verdicts.accuracy import HeartRateGroup
from harness.verdicts.agreement import LIMITS_SD, agreement
from harness.verdicts.examined import CaseStudy


def draw(studies: Sequence[CaseStudy]) -> Figure | None:
    """One panel for each variant; both axes are shared."""
    if not any(one.scored for one in studies):
        return None
    figure = panels(len(studies), height_in=3.0)
    reach = 0.0
    for axes, study in zip(grid(figure, len(studies)), studies, strict=True):
        for group in HeartRateGroup:
            rows = [one for one in study.scored if one.group is group]
            axes.scatter(
                np.array([(one.reference_bpm + one.estimate_bpm) / 2 for one in rows]),
                np.array([one.error_bpm for one in rows]),
                s=22, alpha=0.75, linewidths=0.4, edgecolors="white",
                marker=GROUP_MARKERS[group], color=GROUP_COLOURS[group], zorder=2,
            )  # fmt: skip
        reach = max([reach, *(abs(one.error_bpm) for one in study.scored), _lines(axes, study)])
        label_left(axes, "estimate - truth (bpm)")
        axes.set_xlabel("mean of both (bpm)")
    for axes in figure.axes:
        axes.set_ylim(-1.15 * reach or -1.0, 1.15 * reach or 1.0)
        axes.margins(x=0.08)
    limits = f"bias (full line) ± {LIMITS_SD:g} standard deviations (dashed)"
    notes = [f"{provenance(studies)} Limits of agreement: {limits}."]
    title = "Agreement with the truth (Bland-Altman)"
    dress(figure, studies, title, notes, group_handles(studies))
    return figure


def _lines(axes: Axes, study: CaseStudy) -> float:
    """Bias and limits, named in the title; returns how far the limits reach."""
    found = agreement(study.scored)
    name = short(study.case.variant, 20)
    if found.bias_bpm is None:
        axes.set_title(f"{name}: n = 0")
        return 0.0
    axes.axhline(found.bias_bpm, color=ESTIMATE, linewidth=1.1, zorder=1)
    if found.low_bpm is None or found.high_bpm is None:
        axes.set_title(f"{name}: n = {found.n}\nbias {found.bias_bpm:+.2f}; too few for limits")
        return 0.0
    for limit in (found.low_bpm, found.high_bpm):
        axes.axhline(limit, color=ESTIMATE, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    axes.set_title(
        f"{name}: n = {found.n}\n"
        f"bias {found.bias_bpm:+.2f}, limits {found.low_bpm:+.2f} to {found.high_bpm:+.2f}"
    )
    return max(abs(found.low_bpm), abs(found.high_bpm))
