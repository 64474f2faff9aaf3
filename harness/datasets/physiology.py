"""A simulated heart: beats with their natural variation, and the wave each sends into the skin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d

from harness.datasets.base import FloatArray

# One beat as two Gaussians over the cardiac cycle, systolic peak and its reflection (the form of
# Tang et al. 2020): (height, centre, width), centre and width as fractions of the cycle. These
# leave a dicrotic notch between the two, and a second harmonic of a quarter of the first: in the
# skin of the face a beat is rounder than at a finger.
BEAT_SHAPE = ((1.0, 0.22, 0.13), (0.40, 0.52, 0.08))

# Respiratory sinus arrhythmia: the heart speeds up with every breath (Task Force 1996, HF band).
BREATHING_HZ = (0.2, 0.3)
ARRHYTHMIA_BPM = (0.8, 2.0)  # amplitude
DRIFT_BPM = 1.5  # standard deviation of the slow change of rate
DRIFT_SMOOTHING_S = 4.0
# Breathing also changes how much blood a beat brings to the skin.
BREATHING_DEPTH = 0.1


@dataclass(frozen=True, eq=False)
class Heartbeat:
    """A pulse sampled at every frame, each array (frames,).

    `wave` has no mean and a peak-to-peak of about 1, rising with blood volume; `slope_hz` is its
    time derivative in 1/s; `bpm` the rate of the moment, with the asked mean; `phase_beats` counts
    beats, whole at each systolic peak.
    """

    wave: FloatArray
    slope_hz: FloatArray
    bpm: FloatArray
    phase_beats: FloatArray


@dataclass(frozen=True, eq=False)
class Rhythm:
    """A heart's beats, from which its wave follows at any time.

    At `time_s` (samples,), `cycle` is beats since some start, `bpm` their rate and `depth` the
    share of blood that they bring.
    """

    time_s: FloatArray
    cycle: FloatArray
    bpm: FloatArray
    depth: FloatArray

    def at(self, time_s: FloatArray) -> Heartbeat:
        """The pulse at `time_s` (frames,), none of them outside the rhythm's own."""
        cycle, bpm, depth = (
            np.interp(time_s, self.time_s, values) for values in (self.cycle, self.bpm, self.depth)
        )
        wave, slope = beat_wave(cycle)
        return Heartbeat(wave * depth, slope * depth * bpm / 60, bpm, cycle - _peak_cycle())


def simulate(rng: np.random.Generator, mean_bpm: float, frames: int, fps: float) -> Heartbeat:
    """Simulate `frames` samples of a heart whose mean rate is `mean_bpm`."""
    beats = simulate_rhythm(rng, mean_bpm, frames, fps)
    return beats.at(beats.time_s)


def simulate_rhythm(rng: np.random.Generator, mean_bpm: float, frames: int, fps: float) -> Rhythm:
    """The rhythm of a heart whose mean rate is `mean_bpm`, known at `frames` times."""
    time_s = np.arange(frames) / fps
    breath = np.sin(2 * np.pi * (rng.uniform(*BREATHING_HZ) * time_s + rng.uniform()))
    bpm = rng.uniform(*ARRHYTHMIA_BPM) * breath
    bpm += DRIFT_BPM * smooth_noise(rng, frames, DRIFT_SMOOTHING_S * fps)
    bpm += mean_bpm - bpm.mean()
    cycle = rng.uniform() + np.cumsum(bpm / 60 / fps)
    return Rhythm(time_s, cycle, bpm, 1 + BREATHING_DEPTH * breath)


def beat_wave(cycle: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Wave (mean 0, peak-to-peak 1) at `cycle`, in beats since the start, and its slope a beat."""
    fine, _ = _gaussians(np.arange(0, 1, 1e-3))
    wave, slope = _gaussians(cycle)
    return (wave - fine.mean()) / np.ptp(fine), slope / np.ptp(fine)


def smooth_noise(rng: np.random.Generator, samples: int, smoothing: float) -> FloatArray:
    """Gaussian noise (samples,) of unit variance, smoothed over `smoothing` samples."""
    # Starting outside keeps the filter's edges out of what is returned.
    margin = int(4 * smoothing) + 1
    noise = gaussian_filter1d(rng.standard_normal(samples + 2 * margin), smoothing)
    # The variance that a Gaussian filter leaves of white noise; of the sample's own, a short clip
    # would always use up its whole range.
    gain = np.sqrt(2 * np.sqrt(np.pi) * smoothing)
    return np.asarray(noise[margin : margin + samples] * gain)


@lru_cache(maxsize=1)
def _peak_cycle() -> float:
    """Where in the cycle the wave is highest."""
    fine = np.arange(0, 1, 1e-4)
    return float(fine[np.argmax(_gaussians(fine)[0])])


def _gaussians(cycle: FloatArray) -> tuple[FloatArray, FloatArray]:
    wave, slope = np.zeros_like(cycle), np.zeros_like(cycle)
    for height, centre, width in BEAT_SHAPE:
        # The nearest copy of the periodic bump; 0.5 cycles away it has faded.
        distance = (cycle - centre + 0.5) % 1 - 0.5
        bump = height * np.exp(-0.5 * (distance / width) ** 2)
        wave += bump
        slope -= bump * distance / width**2
    return wave, slope
