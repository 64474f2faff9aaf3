"""All that one clip is made from, and its clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.datasets.base import FloatArray
from harness.datasets.difficulty import PLAIN, Scene
from harness.datasets.physiology import Heartbeat, smooth_noise
from harness.datasets.pulses import OWN_HEART, PulseSource, beats_at
from harness.datasets.skin import nearest_monk, tone_gain

FPS = 30  # unless the scene says otherwise; also the rate at which disturbances are drawn
TICKS_HZ = 90_000  # of the clock in an mp4
PACE, PACE_SMOOTHING_S = 0.2, 2.0  # a variable rate follows the light
JITTER = 0.08  # standard deviation of a frame's length
DROPPED = 0.02  # share of frames that are left out


@dataclass(frozen=True)
class ClipSpec:
    """All that a clip is made from; two equal specs give the same frames.

    `pulse_amplitude` is the peak-to-peak share of green that the mean facial skin loses at a
    beat; `skin_tone` runs from 0, the portrait's own, to 1, the darkest.
    """

    id: str
    width: int
    height: int
    frames: int
    seed: int
    bpm: float
    moving: bool
    pulse_amplitude: float
    skin_tone: float
    mirrored: bool
    difficulty: str = ""
    scene: Scene = PLAIN
    pulse: PulseSource = OWN_HEART

    def times_s(self) -> FloatArray:
        """When each frame is taken, (frames,), from 0."""
        rate_hz = self.scene.rate_hz
        if not self.scene.variable_rate:
            return np.arange(self.frames) / rate_hz
        rng = self.rng("clock")
        steps = np.exp(PACE * smooth_noise(rng, self.frames, PACE_SMOOTHING_S * rate_hz))
        steps *= np.exp(JITTER * rng.standard_normal(self.frames))
        steps[rng.uniform(size=self.frames) < DROPPED] *= 2
        steps[0] = 0
        time_s = np.cumsum(steps) * (self.frames - 1) / rate_hz / steps.sum()
        return np.asarray(np.round(time_s * TICKS_HZ) / TICKS_HZ)

    def heartbeat(self) -> Heartbeat:
        """The clip's pulse, one value for each frame."""
        return beats_at(self.pulse, self.rng("heart"), self.bpm, self.times_s())

    def rng(self, purpose: str) -> np.random.Generator:
        """A stream of its own for each purpose, so that one cannot shift another's numbers."""
        return np.random.default_rng([self.seed, *purpose.encode()])

    def noise(self, rng: np.random.Generator, smoothing_s: float) -> FloatArray:
        """Smooth noise of unit variance (frames,), the same process at any frame rate."""
        time_s = self.times_s()
        samples = int(np.ceil(time_s[-1] * FPS - 1e-6)) + 1
        drawn = smooth_noise(rng, samples, smoothing_s * FPS)
        return np.interp(time_s, np.arange(samples) / FPS, drawn)

    def conditions(self) -> dict[str, str]:
        """How the clip is taken, in the words of `Recording.conditions`."""
        monk = self.scene.monk or nearest_monk(tone_gain(self.skin_tone, 0))
        return {
            "difficulty": self.difficulty or ("motion" if self.moving else "still"),
            "motion": "moving" if self.moving else "still",
            **self.scene.conditions(),
            "skin_type": f"monk{monk}",
            "pulse": self.pulse.kind,
        }
