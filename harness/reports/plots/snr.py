"""Does the signal-to-noise ratio, which needs no truth, warn of an error?"""

from __future__ import annotations

from collections.abc import Sequence

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
from harness.verdicts.accuracy import HeartRateGroup, Scored
from harness.verdicts.examined import CaseStudy
from harness.verdicts.windows import PLANS

FLOOR_BPM = 0.01  # smaller errors are drawn here
SHORTEST = PLANS[-1].name


def draw(studies: Sequence[CaseStudy]) -> Figure | None:
    """Absolute error over SNR, on a logarithmic scale; windows lie grey behind recordings."""
    if not any(one.scored for one in studies):
        return None
    figure = panels(len(studies), height_in=3.0)
    for axes, study in zip(grid(figure, len(studies)), studies, strict=True):
        windows = [
            row
            for one in study.examined
            if SHORTEST in one.windows
            for row in one.windows[SHORTEST].scored
        ]
        axes.scatter(*_places(windows), s=4, color=FAINT, alpha=0.35, linewidths=0, zorder=1)
        for group in HeartRateGroup:
            rows = [one for one in study.scored if one.group is group]
            axes.scatter(
                *_places(rows), s=24, alpha=0.85, linewidths=0.4, edgecolors="white",
                marker=GROUP_MARKERS[group], color=GROUP_COLOURS[group], zorder=2,
            )  # fmt: skip
        axes.set_yscale("log")
        axes.set_title(
            f"{short(study.case.variant, 20)}: n = {len(study.scored)}, {len(windows)} windows"
        )
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        label_left(axes, "absolute error (bpm)")
        axes.set_xlabel("SNR (dB)")
        axes.set_ylim(bottom=0.8 * FLOOR_BPM)
    notes = f"Grey: windows of {SHORTEST}. Errors below {FLOOR_BPM:g} bpm are drawn there."
    title = "Error against signal-to-noise ratio"
    dress(figure, studies, title, [f"{provenance(studies)} {notes}"], group_handles(studies))
    return figure


def _places(rows: Sequence[Scored]) -> tuple[list[float], list[float]]:
    return [one.snr_db for one in rows], [max(abs(one.error_bpm), FLOOR_BPM) for one in rows]
