"""The light on a clip's frames, and the noise of the camera that takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.datasets.clips import ClipSpec
from harness.datasets.portrait import Image

# Shares of the light's brightness, each with the time over which it is smoothed.
LIGHT_TILT, LIGHT_TILT_SMOOTHING_S = 0.01, 1.5  # from one side of the frame to the other
LIGHT_TINT, LIGHT_TINT_SMOOTHING_S = 0.002, 2.0  # each channel by itself: white balance
LIGHT_DRIFT_SMOOTHING_S = 1.5
FLICKER, FLICKER_SMOOTHING_S = 0.001, 0.08  # all channels alike, reaching into the pulse's band

# Noise of the sensor for each of R, G, B, in 8-bit steps.
SENSOR_NOISE = np.array([1.5, 1.2, 1.8])
_NOISE_SHIFTS = 256  # how far a frame's window into the noise field may be moved


@dataclass(frozen=True)
class Lamp:
    """A lighting by its numbers: shares of brightness, noise in multiples of a well lit sensor's.

    `drift` is smooth; `steps` is the size of sudden changes, one every `STEP_EVERY_S`, as of a
    lamp or a cloud.
    """

    brightness: float = 1.0
    noise: float = 1.0
    drift: float = 0.015
    steps: float = 0.0


LAMPS = {
    "even": Lamp(),
    "dark": Lamp(brightness=0.2, noise=1.6),  # the gain is turned up, as a camera does
    "drift": Lamp(drift=0.08, steps=0.15),
    "flicker": Lamp(),
}
STEP_EVERY_S, STEP_LENGTH_S = 5.0, 0.3
# Flicker of the mains that beats with the shutter, in bands that run over the frame.
BEAT_HZ = (0.8, 2.4)  # inside the band of heart rates, where it does harm
BANDS = 1.2  # of flicker over the frame's height: a shutter that takes 10 ms at 120 Hz


class Light:
    """The light on the whole frame: drift, steps, tilt, tint and flicker."""

    def __init__(self, spec: ClipSpec) -> None:
        rng, lamp = spec.rng("light"), LAMPS[spec.scene.lighting]
        even = 1 + lamp.drift * spec.noise(rng, LIGHT_DRIFT_SMOOTHING_S)
        even += FLICKER * spec.noise(rng, FLICKER_SMOOTHING_S)
        tint = [LIGHT_TINT * spec.noise(rng, LIGHT_TINT_SMOOTHING_S) for _ in range(3)]
        self._tilt = LIGHT_TILT * spec.noise(rng, LIGHT_TILT_SMOOTHING_S)
        self._across = np.linspace(-0.5, 0.5, spec.width)[:, None]
        lamp_rng = spec.rng("lamp")
        even += lamp.steps * _steps(spec, lamp_rng)
        self._channels = np.clip((even + np.stack(tint)).T, 0.3, 1.4) * lamp.brightness
        self._beat = spec.scene.flicker
        cycle = lamp_rng.uniform(*BEAT_HZ) * spec.times_s() + lamp_rng.uniform()
        bands = BANDS * np.arange(spec.height)[:, None, None] / spec.height
        self._cycle, self._bands = cycle, bands

    def gain(self, index: int) -> Image:
        """Gain at frame `index`: (width, 3) of every row, or (height, width, 3)."""
        gain = self._channels[index] * (1 + self._tilt[index] * self._across)
        if self._beat:
            band = np.sin(2 * np.pi * (self._cycle[index] + self._bands))
            gain = gain * (1 + self._beat * band)
        return np.asarray(gain, np.float32)


class SensorNoise:
    """White noise; each frame is a window at random into one field, far cheaper than drawing."""

    def __init__(self, spec: ClipSpec) -> None:
        self._rng = spec.rng("noise")
        self._shape = (spec.height, spec.width)
        shape = (spec.height + _NOISE_SHIFTS, spec.width + _NOISE_SHIFTS, 3)
        steps = SENSOR_NOISE * LAMPS[spec.scene.lighting].noise
        self._field = self._rng.standard_normal(shape, np.float32) * steps.astype(np.float32)

    def next(self) -> Image:
        """The next frame's noise (height, width, 3), in 8-bit steps."""
        top, left = self._rng.integers(_NOISE_SHIFTS, size=2)
        height, width = self._shape
        return np.asarray(self._field[top : top + height, left : left + width])


def _steps(spec: ClipSpec, rng: np.random.Generator) -> np.ndarray:
    """Light that jumps between levels of -1 to 1, (frames,)."""
    time_s = spec.times_s()
    level = np.zeros(len(time_s))
    at_s, now = rng.uniform(1, STEP_EVERY_S), 0.0
    while at_s < time_s[-1]:
        to = rng.uniform(-1, 1)
        level += (to - now) * np.clip((time_s - at_s) / STEP_LENGTH_S, 0, 1)
        at_s, now = at_s + STEP_EVERY_S * rng.uniform(0.5, 1.5), to
    return level
