"""Where a clip's pulse comes from: our own simulated heart, NeuroKit2's, or a contact sensor.

NeuroKit2 (Makowski et al. 2021, MIT licence) brings pandas and scikit-learn, 150 MB; it is an
optional extra. Contact pulses are read from label files of UBFC-rPPG DATASET_2.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

import numpy as np
from scipy.ndimage import gaussian_filter1d

from harness.datasets.base import FloatArray, natural_key
from harness.datasets.physiology import Heartbeat, simulate_rhythm
from harness.datasets.ubfc2 import read_ground_truth
from rppg_core.errors import UserError
from rppg_core.postprocess import heart_rate

Kind = Literal["simulated", "neurokit2", "contact"]
SIMULATED: Final = "simulated"
NEUROKIT: Final = "neurokit2"
CONTACT: Final = "contact"

_BAND_HZ = (0.6, 3.3)  # of any heart at rest or at work
_GRID_HZ = 250.0  # sampled waves are brought to this rate
_BASELINE_S = 1.0  # what changes more slowly than this is no pulse but the sensor's baseline
_MARGIN_S = 3.0  # of wave on either side of a clip, for the edges of filters and beats
_LARGEST_GAP_S = 0.2  # a contact wave with a hole larger than this is not used there
_STEADY_BPM = 12.0  # nor where its two halves differ by more than this
_STEP_S = 2.0  # between two stretches of a contact recording that a clip may take
_EARLIEST_PEAK = 0.6  # of a beat's length after the one before


@dataclass(frozen=True)
class PulseSource:
    """One clip's pulse; `file`, `start_s` and `digest` are a contact wave's."""

    kind: Kind = SIMULATED
    file: str = ""
    start_s: float = 0.0
    digest: str = ""


OWN_HEART = PulseSource()


@dataclass(frozen=True)
class Stretch:
    """A part of a contact recording that a clip can take its pulse from, and its rate."""

    source: PulseSource
    bpm: float


def beats_at(
    source: PulseSource, rng: np.random.Generator, mean_bpm: float, time_s: FloatArray
) -> Heartbeat:
    """The pulse (frames,) at `time_s`, which starts at 0; contact pulses have their own rate."""
    if source.kind == CONTACT:
        wave_s, wave = _contact_wave(Path(source.file))
        return sampled_beats(wave_s - source.start_s, wave, time_s)
    if source.kind == NEUROKIT:
        return sampled_beats(*_neurokit_wave(rng, mean_bpm, float(time_s[-1])), time_s)
    # The rhythm is drawn at a fixed rate, whatever the camera's.
    grid_hz = 30
    beats = simulate_rhythm(rng, mean_bpm, int(np.ceil(time_s[-1] * grid_hz - 1e-6)) + 1, grid_hz)
    return beats.at(time_s)


def sampled_beats(wave_s: FloatArray, wave: FloatArray, time_s: FloatArray) -> Heartbeat:
    """The pulse at `time_s` (frames,) of a wave sampled at `wave_s` (samples,), which is longer.

    Beats are told by their systolic peaks; between two the phase runs evenly.
    """
    # Slow to import, and only waves from elsewhere need them.
    from scipy.interpolate import CubicSpline  # noqa: PLC0415
    from scipy.signal import find_peaks  # noqa: PLC0415

    first, last = max(wave_s[0], time_s[0] - _MARGIN_S), min(wave_s[-1], time_s[-1] + _MARGIN_S)
    grid_s = np.arange(first, last, 1 / _GRID_HZ)
    smooth = CubicSpline(wave_s, wave)(grid_s)
    smooth = smooth - gaussian_filter1d(smooth, _BASELINE_S * _GRID_HZ)
    low, high = np.percentile(smooth, (2, 98))
    smooth /= high - low
    period_s = 60 / heart_rate(smooth[:: int(_GRID_HZ / 25)], 25.0, *_BAND_HZ)
    peaks, _ = find_peaks(smooth, distance=_EARLIEST_PEAK * period_s * _GRID_HZ, prominence=0.3)
    if len(peaks) < 3:
        raise UserError("a contact pulse without beats; give cleaner label files")
    peak_s = grid_s[peaks]
    # One beat more at each end, as long as its neighbour, and so on to the edge.
    before = np.arange(peak_s[0], first - period_s, -(peak_s[1] - peak_s[0]))[:0:-1]
    after = np.arange(peak_s[-1], last + period_s, peak_s[-1] - peak_s[-2])[1:]
    beat_s = np.concatenate([before, peak_s, after])
    phase = np.arange(len(beat_s), dtype=np.float64)
    spline = CubicSpline(grid_s, smooth)
    bpm = 60 * np.interp(time_s, (beat_s[1:] + beat_s[:-1]) / 2, 1 / np.diff(beat_s))
    inside = spline(time_s)
    return Heartbeat(
        inside - inside.mean(), spline(time_s, 1), bpm, np.interp(time_s, beat_s, phase)
    )


def contact_stretches(folder: Path, seconds: float) -> list[Stretch]:
    """The usable stretches of `seconds` in the label files below `folder`.

    UserError if there is none, or a file is not a label file.
    """
    paths = sorted(folder.rglob("*.txt"), key=lambda path: natural_key(str(path)))
    found = [stretch for path in paths for stretch in _stretches(path, seconds)]
    if not found:
        raise UserError(
            f"pulses: no label files (subjectN/ground_truth.txt) with {seconds + 2 * _MARGIN_S:g} s"
            f" of steady pulse in {folder}"
        )
    return found


def require(kind: str) -> None:
    """UserError if what a source of pulses needs is not installed."""
    if kind == NEUROKIT and find_spec("neurokit2") is None:
        raise UserError("pulses: neurokit2 is not installed; pip install 'rppg-bench[pulses]'")


def _stretches(path: Path, seconds: float) -> list[Stretch]:
    wave_s, wave = _contact_wave(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    starts = np.arange(_MARGIN_S, wave_s[-1] - seconds - _MARGIN_S, _STEP_S)
    found = []
    for start in starts:
        inside = (wave_s > start - _MARGIN_S) & (wave_s < start + seconds + _MARGIN_S)
        if np.diff(wave_s[inside]).max() > _LARGEST_GAP_S:
            continue
        grid_s = start + np.arange(0, seconds, 1 / 25)
        even = np.interp(grid_s, wave_s, wave)
        half = len(even) // 2
        try:
            rates = [heart_rate(part, 25.0, *_BAND_HZ) for part in (even, even[:half], even[half:])]
        except UserError:
            continue  # nothing of a pulse here
        if abs(rates[1] - rates[2]) < _STEADY_BPM:
            source = PulseSource(CONTACT, str(path), round(float(start), 3), digest)
            found.append(Stretch(source, round(rates[0], 2)))
    return found


def _contact_wave(path: Path) -> tuple[FloatArray, FloatArray]:
    """Times from 0 and values of a label file's PPG, each (samples,)."""
    truth = read_ground_truth(path)
    # Buffered sensor values come as several with one time; the first is the one taken then.
    time_s, first = np.unique(truth.time_s, return_index=True)
    return time_s - time_s[0], truth.ppg[first]


def _neurokit_wave(
    rng: np.random.Generator, mean_bpm: float, seconds: float
) -> tuple[FloatArray, FloatArray]:
    """Times and values of a simulated finger pulse whose mean rate over 0 to `seconds` is asked."""
    require(NEUROKIT)
    import neurokit2  # noqa: PLC0415 (slow to import)

    # Stretched in time at the end, so that the rate is exact; so there is more than enough of it.
    duration_s = int(1.3 * seconds + 4 * _MARGIN_S)
    wave = neurokit2.ppg_simulate(
        duration=duration_s,
        sampling_rate=int(_GRID_HZ),
        heart_rate=mean_bpm,
        frequency_modulation=float(rng.uniform(0.02, 0.08)),
        ibi_randomness=0.02,
        motion_amplitude=0,
        powerline_amplitude=0,
        random_state=int(rng.integers(2**31)),
    )
    time_s = np.arange(len(wave)) / _GRID_HZ - 2 * _MARGIN_S
    within = np.linspace(0, seconds, 1000)
    phase = sampled_beats(time_s, wave, within).phase_beats
    actual_bpm = 60 * (phase[-1] - phase[0]) / seconds
    return time_s * actual_bpm / mean_bpm, np.asarray(wave)
