"""From TS-CAN's pulse derivative to a heart rate, in NumPy alone.

The chain is the published one (Liu et al. 2020, MTTS-CAN): integrate, detrend with smoothness
priors, band-pass, take the spectral peak. What differs: samples are placed by their timestamps,
the peak is refined below one bin, and no dense matrix is built.
"""

from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import List, NamedTuple, Tuple

import numpy as np

from rppg_core.errors import UserError

LOW_HZ = 0.75  # 45 bpm; the band of the published evaluations
HIGH_HZ = 2.5  # 150 bpm
DETREND_LAMBDA = 100.0  # smoothing of Tarvainen et al. 2002, as published for 30 fps
PUBLISHED_FPS = 30.0  # the frame rate DETREND_LAMBDA was chosen for
SNR_HALF_WIDTH_HZ = 0.1  # half width of each harmonic's band, de Haan & Jeanne 2013
FINEST_BIN_BPM = 0.5  # zero-padding makes bins at least this fine before refinement
MIN_CYCLES = 2.0  # periods of the slowest rate that a signal must span
METHODS = ("fft", "peaks")
GOOD_SNR_DB, FAIR_SNR_DB = 3.0, -3.0  # below the second, noise outweighs the pulse twofold


class PulseError(UserError, ValueError):
    """A pulse no heart rate can be read from: too short, flat, not finite, sampled too slowly."""


def _check_band(low_hz: float, high_hz: float) -> None:
    if not 0 < low_hz < high_hz < float("inf"):
        raise PulseError(f"the band {low_hz:g} to {high_hz:g} Hz is empty; give 0 < low < high")


def _check_rate(fps: float, high_hz: float) -> None:
    if not 2 * high_hz < fps < float("inf"):
        raise PulseError(
            f"{fps:g} samples a second cannot show rates up to {high_hz * 60:g} bpm; "
            f"use a faster video or a lower band"
        )


def _check_method(method: str) -> None:
    if method not in METHODS:
        raise PulseError(f"unknown heart-rate method '{method}'; there are {', '.join(METHODS)}")


@dataclass(frozen=True)
class PulseSettings:
    """Everything the heart rate depends on after the model; written into every record."""

    low_hz: float = LOW_HZ
    high_hz: float = HIGH_HZ
    method: str = "fft"
    detrend_lambda: float = DETREND_LAMBDA
    window_s: float = 10.0
    step_s: float = 1.0

    def __post_init__(self) -> None:
        """Refuse settings that cannot mean anything."""
        _check_band(self.low_hz, self.high_hz)
        _check_method(self.method)
        if not 0 < self.detrend_lambda < float("inf"):
            raise PulseError(f"a detrending lambda of {self.detrend_lambda:g}; give more than 0")
        cycles = self.window_s * self.low_hz
        if not (MIN_CYCLES <= cycles < float("inf") and 0 < self.step_s < float("inf")):
            raise PulseError(
                f"a window of {self.window_s:g} s every {self.step_s:g} s is unusable: it must "
                f"span {MIN_CYCLES:g} periods of {self.low_hz:g} Hz and advance"
            )


class HeartRate(NamedTuple):
    """A heart rate in bpm with its signal-to-noise ratio in dB."""

    bpm: float
    snr_db: float


DEFAULTS = PulseSettings()


@dataclass(frozen=True)
class PulseWave:
    """A pulse wave on a uniform clock: `samples` (n,), `fps` in Hz, first sample at `start_s`."""

    samples: np.ndarray
    fps: float
    start_s: float


def heart_rate(
    pulse: np.ndarray,
    fps: float,
    low_hz: float = LOW_HZ,
    high_hz: float = HIGH_HZ,
    method: str = "fft",
) -> float:
    """Heart rate in bpm of `pulse` (n,), sampled at `fps` Hz.

    `fft` is the highest spectral peak inside the band (Hann window, zero-padded, refined by a
    parabola through the log power); `peaks` is the median interval between peaks of the band-passed
    wave. Raises PulseError where no heart rate can be read.
    """
    _check_method(method)
    signal = _checked_signal(pulse, fps, low_hz, high_hz)
    if method == "fft":
        return _spectral_peak_bpm(signal, fps, low_hz, high_hz)
    return _peak_interval_bpm(bandpass(signal, fps, low_hz, high_hz), fps, high_hz)


def pulse_wave(
    derivative: np.ndarray, time_s: np.ndarray, settings: PulseSettings = DEFAULTS
) -> PulseWave:
    """The whole chain from the model's raw output to a band-passed pulse wave.

    `derivative` (n,) is the model's output for frames shown at `time_s` (n,). It is integrated,
    put on a uniform clock by the timestamps, detrended and band-passed.
    """
    values = np.cumsum(np.asarray(derivative, dtype=np.float64))
    samples, fps = resample_uniform(values, time_s)
    _check_rate(fps, settings.high_hz)
    # Smoothness priors cut at a frequency proportional to fps / sqrt(lambda).
    smoothing = settings.detrend_lambda * (fps / PUBLISHED_FPS) ** 2
    samples = bandpass(detrend(samples, smoothing), fps, settings.low_hz, settings.high_hz)
    return PulseWave(samples, fps, float(time_s[0]))


def heart_rate_from_derivative(
    derivative: np.ndarray, time_s: np.ndarray, settings: PulseSettings = DEFAULTS
) -> HeartRate:
    """(bpm, snr_db) from the model's raw output (n,) and the frames' timestamps (n,) in s."""
    return wave_heart_rate(pulse_wave(derivative, time_s, settings), settings)


def wave_heart_rate(wave: PulseWave, settings: PulseSettings = DEFAULTS) -> HeartRate:
    """(bpm, snr_db) of a pulse wave under the named settings."""
    band = (settings.low_hz, settings.high_hz)
    bpm = heart_rate(wave.samples, wave.fps, band[0], band[1], settings.method)
    return HeartRate(bpm, snr_db(wave.samples, wave.fps, bpm, *band))


def resample_uniform(values: np.ndarray, time_s: np.ndarray) -> Tuple[np.ndarray, float]:
    """`values` (n,) at increasing `time_s` (n,), on a uniform clock of the same mean rate.

    Returns (samples (n,), fps). A clock that is uniform already is left as it is.
    """
    values = np.asarray(values, dtype=np.float64)
    time_s = np.asarray(time_s, dtype=np.float64)
    if values.shape != time_s.shape or values.ndim != 1 or len(values) < 2:
        raise PulseError(f"{values.shape} samples do not fit {time_s.shape} timestamps")
    if not (np.all(np.isfinite(time_s)) and np.all(np.diff(time_s) > 0)):
        raise PulseError("timestamps must be finite and increasing")
    period_s = (time_s[-1] - time_s[0]) / (len(time_s) - 1)
    grid_s = time_s[0] + period_s * np.arange(len(time_s))
    if np.max(np.abs(grid_s - time_s)) < 0.05 * period_s:
        return values, float(1.0 / period_s)
    return np.interp(grid_s, time_s, values), float(1.0 / period_s)


def detrend(signal: np.ndarray, smoothing: float = DETREND_LAMBDA) -> np.ndarray:
    """`signal` (n,) less its smoothness-priors trend (Tarvainen et al. 2002).

    The trend z solves (I + smoothing^2 D'D) z = signal, with D the second difference. The matrix
    has five diagonals, so a banded factorisation does it in O(n).
    """
    signal = np.asarray(signal, dtype=np.float64)
    if len(signal) < 4:
        raise PulseError(f"{len(signal)} samples are too few to detrend; 4 are the least")
    diagonal, first, second = _detrend_factor(len(signal), float(smoothing))
    forward, back_1, back_2 = array("d"), 0.0, 0.0
    for value, below_1, below_2 in zip(array("d", signal.tobytes()), first, second):
        back_1, back_2 = value - below_1 * back_1 - below_2 * back_2, back_1
        forward.append(back_1)
    scaled = array("d", (np.asarray(forward) / diagonal)[::-1].tobytes())
    trend, ahead_1, ahead_2 = array("d"), 0.0, 0.0
    after_1, after_2 = array("d", [0.0]) + first[::-1], array("d", [0.0, 0.0]) + second[::-1]
    for value, below_1, below_2 in zip(scaled, after_1, after_2):
        ahead_1, ahead_2 = value - below_1 * ahead_1 - below_2 * ahead_2, ahead_1
        trend.append(ahead_1)
    return np.asarray(signal - np.asarray(trend)[::-1])


@lru_cache(maxsize=16)
def _detrend_factor(
    size: int, smoothing: float
) -> Tuple["array[float]", "array[float]", "array[float]"]:
    """L D L' of I + smoothing^2 D'D: D's diagonal and L's two lower diagonals."""
    weight = smoothing * smoothing
    main, off = np.full(size, 6.0), np.full(size, -4.0)
    main[[0, -1]], main[[1, -2]] = 1.0, 5.0
    off[[0, 1, -1]] = 0.0, -2.0, -2.0
    diagonal, first, second = array("d"), array("d"), array("d")
    last, before, last_1 = 1.0, 1.0, 0.0  # pivots one and two rows up, below_1 one row up
    rows = zip(array("d", (1.0 + weight * main).tobytes()), array("d", (weight * off).tobytes()))
    for i, (square, beside) in enumerate(rows):
        below_2 = weight / before if i > 1 else 0.0
        below_1 = (beside - below_2 * last_1 * before) / last
        pivot = square - below_1 * below_1 * last - below_2 * below_2 * before
        diagonal.append(pivot)
        first.append(below_1)
        second.append(below_2)
        last, before, last_1 = pivot, last, below_1
    return diagonal, first, second


def bandpass(signal: np.ndarray, fps: float, low_hz: float, high_hz: float) -> np.ndarray:
    """`signal` (n,) through a first-order Butterworth band-pass run forwards and backwards.

    The zero-phase response is applied in the frequency domain, over an odd reflection of the ends.
    """
    signal = np.asarray(signal, dtype=np.float64)
    _check_band(low_hz, high_hz)
    _check_rate(fps, high_hz)
    pad = min(len(signal) - 1, int(3.0 * fps / low_hz + 0.5))
    padded = np.concatenate(
        [
            2 * signal[0] - signal[pad:0:-1],
            signal,
            2 * signal[-1] - signal[-2 : -pad - 2 : -1],
        ]
    )
    frequency = np.fft.rfftfreq(len(padded), 1.0 / fps)
    # Bilinear transform: the digital filter's response is the analogue one at tan(pi f / fps).
    warped = np.tan(np.pi * np.minimum(frequency, 0.499999 * fps) / fps)
    low, high = np.tan(np.pi * np.array([low_hz, high_hz]) / fps)
    with np.errstate(divide="ignore"):
        offset = (warped**2 - low * high) / (warped * (high - low))
    response = 1.0 / (1.0 + offset**2)  # |H|^2: once forwards, once backwards
    filtered = np.fft.irfft(np.fft.rfft(padded) * response, len(padded))
    return np.asarray(filtered[pad : pad + len(signal)])


def snr_db(
    pulse: np.ndarray, fps: float, bpm: float, low_hz: float = LOW_HZ, high_hz: float = HIGH_HZ
) -> float:
    """Signal-to-noise ratio in dB of `pulse` (n,) at `bpm` (de Haan & Jeanne 2013).

    Power within 0.1 Hz of the rate and its second harmonic, over the rest of the band.
    """
    frequency, power = spectrum(_checked_signal(pulse, fps, low_hz, high_hz), fps, hann=False)
    beat_hz = bpm / 60.0
    near = np.abs(frequency - beat_hz) <= SNR_HALF_WIDTH_HZ
    near |= np.abs(frequency - 2 * beat_hz) <= SNR_HALF_WIDTH_HZ
    rest = (frequency >= low_hz) & (frequency <= high_hz) & ~near
    signal, noise = (max(float(power[part].sum()), 1e-300) for part in (near, rest))
    return float(10.0 * np.log10(signal / noise))


def quality(snr_db: float) -> str:
    """How far a heart rate of this signal-to-noise ratio can be relied on, in a word."""
    if snr_db >= GOOD_SNR_DB:
        return "good"
    return "fair" if snr_db >= FAIR_SNR_DB else "poor: do not rely on it"


def spectrum(signal: np.ndarray, fps: float, hann: bool = True) -> Tuple[np.ndarray, np.ndarray]:
    """(frequency in Hz, power) of `signal` (n,), zero-padded to fine bins."""
    finest = max(2 * len(signal), int(np.ceil(fps * 60.0 / FINEST_BIN_BPM)))
    size = 1 << (finest - 1).bit_length()
    weights = np.hanning(len(signal) + 2)[1:-1] if hann else 1.0
    power = np.abs(np.fft.rfft(signal * weights, size)) ** 2
    return np.fft.rfftfreq(size, 1.0 / fps), power


def _spectral_peak_bpm(signal: np.ndarray, fps: float, low_hz: float, high_hz: float) -> float:
    frequency, power = spectrum(signal, fps, hann=True)
    inside = np.flatnonzero((frequency >= low_hz) & (frequency <= high_hz))
    inside = inside[(inside > 0) & (inside < len(power) - 1)]
    rising = power[inside] >= power[inside - 1]
    falling = power[inside] >= power[inside + 1]
    peaks = inside[rising & falling]
    if len(peaks) == 0:
        # Energy that only leaks in from outside the band is no pulse.
        raise PulseError(f"no spectral peak between {low_hz * 60:g} and {high_hz * 60:g} bpm")
    top = peaks[np.argmax(power[peaks])]
    left, middle, right = np.log(power[top - 1 : top + 2] + 1e-300)
    curvature = left - 2 * middle + right
    shift = 0.5 * (left - right) / curvature if curvature < 0 else 0.0
    refined_hz = frequency[top] + shift * (frequency[1] - frequency[0])
    return float(60.0 * np.clip(refined_hz, low_hz, high_hz))


def _peak_interval_bpm(wave: np.ndarray, fps: float, high_hz: float) -> float:
    middle = wave[1:-1]
    peaks = 1 + np.flatnonzero((middle > wave[:-2]) & (middle >= wave[2:]) & (middle > 0))
    apart = 0.8 * fps / high_hz  # beats closer than this would be above the band
    kept: List[int] = []
    for index in peaks[np.argsort(-wave[peaks], kind="stable")].tolist():
        if all(abs(index - other) >= apart for other in kept):
            kept.append(index)
    if len(kept) < 2:
        raise PulseError("fewer than two pulse peaks; give a longer recording")
    tops = np.sort(kept)
    left, centre, right = wave[tops - 1], wave[tops], wave[tops + 1]
    positions = tops + 0.5 * (left - right) / (left - 2 * centre + right)
    return float(60.0 * fps / np.median(np.diff(positions)))


def _checked_signal(pulse: np.ndarray, fps: float, low_hz: float, high_hz: float) -> np.ndarray:
    """`pulse` as float64 without its straight line, or a PulseError."""
    signal = np.asarray(pulse, dtype=np.float64)
    _check_band(low_hz, high_hz)
    if signal.ndim != 1 or not np.all(np.isfinite(signal)):
        raise PulseError("a pulse is one row of finite numbers")
    _check_rate(fps, high_hz)
    if len(signal) < max(4.0, MIN_CYCLES * fps / low_hz):
        raise PulseError(
            f"{len(signal) / fps:.1f} s of pulse are too short for rates down to "
            f"{low_hz * 60:g} bpm; give at least {MIN_CYCLES / low_hz:.1f} s"
        )
    steps = np.arange(len(signal)) - (len(signal) - 1) / 2.0
    centred = signal - signal.mean()
    line = steps * (centred @ steps) / (steps @ steps)
    residue = centred - line
    if np.max(np.abs(residue)) <= 1e-9 * max(np.max(np.abs(signal)), 1e-30):
        raise PulseError("the pulse is flat; there is no heart rate in it")
    return np.asarray(residue)
