"""The heart rate of a contact pulse wave, told in the way that estimates are told from video.

A heart rate that drifts has several peaks of nearly one height in its spectrum, and which of them
is the highest depends on the filters before it. Truth and estimate must not differ by that, so the
wave goes through the estimates' own chain. But the truth must not end where an estimate's band
does either: a pulse of 42 or 160 bpm would be labelled with a harmonic of it, or with noise.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded

from harness.datasets.signals import PLAUSIBLE_BPM, FloatArray
from rppg_core.errors import UserError
from rppg_core.postprocess import (
    DEFAULTS,
    MIN_CYCLES,
    PUBLISHED_FPS,
    bandpass,
    heart_rate,
    resample_uniform,
)

LABEL_BAND_HZ = (PLAUSIBLE_BPM[0] / 60, PLAUSIBLE_BPM[1] / 60)
# Peaks of a drifting rate lie closer than this (9.5 bpm at most in UBFC's files), harmonics do not.
NEIGHBOURS_BPM = 15.0
# Interquartile ranges from the median. One such value, a slip like 12e34, outshines the pulse; in
# 23 of UBFC's files none is beyond 3.
SLIP = 100.0


def pulse_rate_bpm(ppg: FloatArray, time_s: FloatArray) -> float:
    """Spectral heart rate of a contact pulse wave (n,) taken at increasing times (n,) in s.

    The highest peak of the spectrum between 30 and 240 bpm; where the estimates' own chain sees
    that or a neighbouring peak, the peak that it sees. UserError where there is none.
    """
    low, middle, high = np.percentile(ppg, [25, 50, 75])
    if high > low and np.abs(ppg - middle).max() > SLIP * (high - low):
        raise UserError(
            f"a value of the pulse wave lies {SLIP:g} times further out than the others"
        )
    samples, rate_hz = resample_uniform(ppg, time_s)
    # A short clip is searched from where it holds two beats, up to the estimates' lower edge.
    duration_s = float(time_s[-1] - time_s[0])
    low_hz = max(LABEL_BAND_HZ[0], min(DEFAULTS.low_hz, 1.01 * MIN_CYCLES / duration_s))
    bpm = heart_rate(samples, rate_hz, low_hz, LABEL_BAND_HZ[1])
    if not DEFAULTS.low_hz <= bpm / 60 <= DEFAULTS.high_hz:
        return bpm  # of which the estimates' band would show a slope
    try:
        seen_bpm = _as_estimated_bpm(samples, rate_hz)
    except UserError:
        return bpm
    return seen_bpm if abs(seen_bpm - bpm) <= NEIGHBOURS_BPM else bpm


def _as_estimated_bpm(samples: FloatArray, rate_hz: float) -> float:
    """`rppg_core.postprocess` from detrending to the peak, with a compiled solver."""
    smoothing = DEFAULTS.detrend_lambda * (rate_hz / PUBLISHED_FPS) ** 2
    band = (DEFAULTS.low_hz, DEFAULTS.high_hz)
    wave = bandpass(_detrended(samples, smoothing), rate_hz, *band)
    return heart_rate(wave, rate_hz, *band)


def _detrended(samples: FloatArray, smoothing: float) -> FloatArray:
    """What `rppg_core.postprocess.detrend` gives, for many long waves."""
    if len(samples) < 4:
        return samples
    weight = smoothing**2
    diagonals = np.empty((3, len(samples)))
    diagonals[0], diagonals[1], diagonals[2] = 1 + 6 * weight, -4 * weight, weight
    diagonals[0, [0, -1]], diagonals[0, [1, -2]] = 1 + weight, 1 + 5 * weight
    diagonals[1, [0, -2]] = -2 * weight
    trend = solveh_banded(diagonals, samples, lower=True, check_finite=False)
    return np.asarray(samples - trend)
