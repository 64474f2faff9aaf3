"""Where a contact PPG shows no pulse: parts that are flat, and ends that are cut off."""

from __future__ import annotations

import numpy as np

from harness.datasets.repair import BoolArray
from harness.datasets.signals import FloatArray

BIN_S = 0.25
FLAT_SHARE = 0.05  # of the wave's usual range; clean files keep above 0.4 within 1.5 s
AT_END_SHARE = 0.005  # of the whole range; a sample this near an end is at it
MIN_RUN = 3  # samples in a row; a beat's own top is sharper


def flat_s(ppg: FloatArray, times_s: FloatArray, least_s: float) -> float:
    """How long `ppg` (n,) at non-decreasing `times_s` (n,) is flat for `least_s` or more, in s."""
    number = ((times_s - times_s[0]) / BIN_S).astype(np.int64)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(number) > 0) + 1])
    window = round(least_s / BIN_S)
    if len(starts) < window:
        return 0.0
    highest = np.maximum.reduceat(ppg, starts)
    lowest = np.minimum.reduceat(ppg, starts)
    # The range that all but the strangest twentieth of the bins reach.
    few = len(starts) // 20
    top, bottom = np.sort(highest)[-1 - few], np.sort(lowest)[few]
    usual = float(top - bottom) or float(np.ptp(ppg))
    count = len(starts) - window + 1
    tops, bottoms = highest[:count].copy(), lowest[:count].copy()
    for shift in range(1, window):
        np.maximum(tops, highest[shift : shift + count], out=tops)
        np.minimum(bottoms, lowest[shift : shift + count], out=bottoms)
    ranges = tops - bottoms
    flat = np.zeros(len(starts), np.bool_)
    for first in np.flatnonzero(ranges <= FLAT_SHARE * usual):
        flat[first : first + window] = True
    return float(flat.sum() * BIN_S)


def clipped_samples(ppg: FloatArray) -> tuple[int, int]:
    """How many samples of `ppg` (n,) lie in runs at its highest and at its lowest value."""
    low, high = float(ppg.min()), float(ppg.max())
    near = AT_END_SHARE * (high - low)
    if near <= 0:
        return 0, 0
    return _in_runs(ppg >= high - near), _in_runs(ppg <= low + near)


def _in_runs(marked: BoolArray) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= MIN_RUN].sum())
