"""The truth that is kept beside a record, so that every report can be made from records alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from harness.datasets.base import FloatArray, Signals
from harness.datasets.conventions import HR_ROW, HR_ROW_REPAIRED, PPG_FFT, reference_bpm
from harness.datasets.repair import repair_heart_rate
from harness.verdicts.windows import PLANS, Span, spans
from rppg_core.errors import UserError

# A window whose label signal covers less of it has no truth of its own.
LEAST_COVERED = 0.8


def truth_block(signals: Signals, convention: str, times_s: FloatArray) -> dict[str, Any]:
    """What the labels say of a recording whose frames were shown at `times_s` (frames,).

    `windows` are rows of (start_s, end_s, bpm or None) for each window plan, by `convention`; None
    where its signal has no times. `pulse` is the true wave at the frames' times, or None.
    """
    return {
        "windows": _windows(signals, convention, times_s),
        "pulse": _pulse(signals, times_s),
    }


def _windows(signals: Signals, convention: str, times_s: FloatArray) -> list[list[Any]] | None:
    clock = _clock(signals, convention)
    if clock is None or len(times_s) < 2:
        return None
    if convention == HR_ROW_REPAIRED and signals.hr_bpm is not None:
        # A wrap is told by what comes before it: the whole row is repaired, then cut.
        row = repair_heart_rate(signals.hr_bpm)
        bpm = np.where(row.outside, np.nan, row.bpm)
        kept = np.isfinite(bpm)
        signals = replace(signals, hr_bpm=bpm[kept], hr_times_s=clock[kept])
        clock, convention = clock[kept], HR_ROW
    found = []
    for plan in PLANS:
        for span in spans(times_s, plan):
            bpm_there = _reference(signals, convention, clock, span)
            found.append([*span, None if bpm_there is None else round(bpm_there, 3)])
    # Labels on another clock than the frames' tell nothing of any window.
    return found if any(row[2] is not None for row in found) else None


def _clock(signals: Signals, convention: str) -> FloatArray | None:
    if convention == PPG_FFT:
        return None if signals.ppg is None else signals.ppg_times_s
    return None if signals.hr_bpm is None else signals.hr_times_s


def _reference(signals: Signals, convention: str, clock: FloatArray, span: Span) -> float | None:
    """The heart rate within `span` of what `clock` times; None where there is none to be had."""
    inside = (clock >= span[0]) & (clock < span[1])
    if inside.sum() < 2 or np.ptp(clock[inside]) < LEAST_COVERED * (span[1] - span[0]):
        return None
    if convention == PPG_FFT and signals.ppg is not None:
        part = Signals(ppg=signals.ppg[inside], ppg_times_s=clock[inside])
    elif signals.hr_bpm is not None:
        part = Signals(hr_bpm=signals.hr_bpm[inside], hr_times_s=clock[inside])
    else:
        return None
    try:
        return reference_bpm(part, convention, "window")
    except UserError:
        return None


def _pulse(signals: Signals, times_s: FloatArray) -> dict[str, Any] | None:
    if signals.ppg is None or signals.ppg_times_s is None or len(times_s) < 2:
        return None
    clock, first = np.unique(signals.ppg_times_s, return_index=True)
    wave = signals.ppg[first]
    covered = (clock[0] <= times_s[0] + 1.0) and (clock[-1] >= times_s[-1] - 1.0)
    if np.ptp(wave) <= 0 or not covered:
        return None
    samples = np.interp(times_s, clock, (wave - wave.mean()) / np.ptp(wave))
    return {"samples": np.round(samples, 4).tolist()}
