"""How much of the pulse wave itself was found, where the true wave is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rppg_core.postprocess import PulseError, PulseSettings, PulseWave, bandpass

Array = npt.NDArray[np.float64]

# Further apart, at 60 bpm, the wave before or after would fit as well.
MOST_LAG_S = 0.5
ALIKE = 0.05  # correlations that say no more than one another
# A Hilbert transform's phase is no good near the ends.
EDGE_S = 1.0
MIN_OVERLAP_S = 4.0


@dataclass(frozen=True)
class WaveformError:
    """One recording's wave against the truth, both within the band of the estimate.

    ``correlation`` is the highest Pearson r over lags within half a second; ``lag_s`` is positive
    where the estimate is late. ``phase_error_deg`` is the root mean square difference of phase
    once that lag is taken out: about 104 for a wave that has nothing to do with the truth.
    """

    correlation: float
    lag_s: float
    phase_error_deg: float


def waveform_error(
    estimate: PulseWave, truth: Array, truth_times_s: Array, pulse: PulseSettings
) -> WaveformError | None:
    """Hold `estimate` to `truth` (n,) at increasing `truth_times_s` (n,) on the same clock.

    None where they share too little time, or one of them is flat.
    """
    fps = estimate.fps
    grid_s = estimate.start_s + np.arange(len(estimate.samples)) / fps
    shared = (grid_s >= truth_times_s[0] - 0.5 / fps) & (grid_s <= truth_times_s[-1] + 0.5 / fps)
    most = int(MOST_LAG_S * fps)
    if shared.sum() < MIN_OVERLAP_S * fps + 2 * most:
        return None
    samples = np.asarray(estimate.samples, dtype=np.float64)[shared]
    try:
        wave = bandpass(np.interp(grid_s[shared], truth_times_s, truth), fps, *_band(pulse))
    except PulseError:
        return None
    if min(np.ptp(samples), np.ptp(wave)) <= 0:
        return None
    lags = np.arange(-most, most + 1)
    likeness = np.array([_correlation(*_shifted(samples, wave, lag)) for lag in lags.tolist()])
    best = _nearest_peak(likeness)
    own, true = _shifted(samples, wave, int(lags[best]))
    from scipy.signal import hilbert  # noqa: PLC0415 (with scipy.stats it takes a second to load)

    edge = int(EDGE_S * fps)
    turn = np.angle(hilbert(own) * np.conj(hilbert(true)))[edge:-edge]
    return WaveformError(
        correlation=float(likeness[best]),
        lag_s=float((lags[best] + _peak_offset(likeness, best)) / fps),
        phase_error_deg=float(np.degrees(np.sqrt(np.mean(turn**2)))),
    )


def _band(pulse: PulseSettings) -> tuple[float, float]:
    return pulse.low_hz, pulse.high_hz


def _shifted(samples: Array, wave: Array, lag: int) -> tuple[Array, Array]:
    """The parts that lie over each other once `samples` is taken back by `lag`."""
    count = len(samples) - abs(lag)
    return samples[max(lag, 0) :][:count], wave[max(-lag, 0) :][:count]


def _correlation(a: Array, b: Array) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0 else 0.0


def _nearest_peak(likeness: Array) -> int:
    """The peak nearest to no lag of those about as high as any: a beat further it fits as well."""
    padded = np.concatenate([[-np.inf], likeness, [-np.inf]])
    peaks = np.flatnonzero((likeness >= padded[:-2]) & (likeness >= padded[2:]))
    high = peaks[likeness[peaks] >= likeness.max() - ALIKE]
    return int(high[np.argmin(np.abs(high - len(likeness) // 2))])


def _peak_offset(values: Array, at: int) -> float:
    """Where the parabola through three values has its top, in steps from the middle one."""
    if not 0 < at < len(values) - 1:
        return 0.0
    left, middle, right = values[at - 1 : at + 2].tolist()
    curvature = left - 2 * middle + right
    return float(0.5 * (left - right) / curvature) if curvature < 0 else 0.0
