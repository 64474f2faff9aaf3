"""The truth that is kept beside a record, so that every report can be made from records alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.datasets.base import FloatArray, Labels
from harness.verdicts.windows import PLANS, spans
from rppg_core.errors import UserError
from rppg_core.postprocess import heart_rate

BAND_HZ = (0.6, 3.5)


def truth_block(truth: Labels, times_s: FloatArray) -> dict[str, Any]:
    """What the labels say of a recording whose frames were shown at `times_s` (frames,).

    `windows` are rows of (start_s, end_s, bpm or None) for each window plan; `pulse` the true
    wave. Both are None where the dataset has no contact PPG.
    """
    if truth.ppg is None or truth.frame_times_s is None:
        return {"windows": None, "pulse": None}
    clock, first = np.unique(truth.frame_times_s, return_index=True)
    wave = truth.ppg[first]
    rows = [
        [start, end, _window_bpm(clock, wave, start, end)]
        for plan in PLANS
        for start, end in spans(times_s, plan)
    ]
    scale = float(np.ptp(wave)) or 1.0
    samples = np.interp(times_s, clock, (wave - wave.mean()) / scale)
    return {"windows": rows, "pulse": {"samples": np.round(samples, 4).tolist()}}


def _window_bpm(clock: FloatArray, wave: FloatArray, start: float, end: float) -> float | None:
    inside = (clock >= start) & (clock < end)
    if inside.sum() < 10:
        return None
    grid = np.linspace(clock[inside][0], clock[inside][-1], int(inside.sum()))
    fps = (len(grid) - 1) / (grid[-1] - grid[0])
    try:
        return round(heart_rate(np.interp(grid, clock, wave), float(fps), *BAND_HZ), 3)
    except UserError:
        return None
