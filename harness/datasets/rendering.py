"""Frames of a face whose skin pulses, with all that makes the pulse hard to see.

Blood absorbs light, so a pulse darkens each channel by a share of its own brightness, in the ratio
of the pulse signature. Around it stand the camera's and the room's disturbances; each is larger
than the pulse, and none has its colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from harness.datasets.base import FloatArray
from harness.datasets.encoding import Box, Frame
from harness.datasets.physiology import Heartbeat, simulate, smooth_noise
from harness.datasets.portrait import FACE_BOX, HEAD_CENTRE, HEAD_RADII, Image, Pose, compose

FPS = 30
FULL_HEIGHT_PX = 480  # lengths given in px below are for frames this high

# Relative strength of the pulse in R, G, B (de Haan & van Leest 2014), with green as the unit.
PULSE_RGB = np.array([0.33, 0.77, 0.53]) / 0.77
PULSE_DELAY_S = 0.03  # the wave reaches the chin this much after the forehead

# Head motion, standard deviations: (clips at rest, clips with motion).
MOTION_PX = (0.5, 5.0)
TURN_DEG = (0.1, 1.5)
SCALE_CHANGE = (0.0005, 0.008)
MOTION_SMOOTHING_S = (0.5, 0.45)
# The light falls otherwise on a head that turned: change of brightness across it, per radian of
# turn and per px of shift.
SHADING_PER_RAD = 0.6
SHADING_PER_PX = 0.0015

# The light, as shares of its brightness.
LIGHT_DRIFT, LIGHT_DRIFT_SMOOTHING_S = 0.015, 1.5
LIGHT_TILT, LIGHT_TILT_SMOOTHING_S = 0.01, 1.5  # from one side of the frame to the other
LIGHT_TINT, LIGHT_TINT_SMOOTHING_S = 0.002, 2.0  # each channel by itself: white balance
FLICKER, FLICKER_SMOOTHING_S = 0.001, 0.08  # all channels alike, reaching into the pulse's band
GLOSS, GLOSS_SMOOTHING_S = 0.1, 0.8  # strength of the highlights on the skin

# Noise of the sensor for each of R, G, B, in 8-bit steps.
SENSOR_NOISE = np.array([1.5, 1.2, 1.8])
_NOISE_SHIFTS = 256  # how far a frame's window into the noise field may be moved

# Skin of the darkest tone against the portrait's own, for R, G, B. Haar cascades lose a face that
# is darker without being lit otherwise: at (0.81, 0.76, 0.73) they found it in half of the frames.
DARKEST_TONE = np.array([0.87, 0.83, 0.81])
EXPOSURE = (0.78, 1.0)
COLOUR_CAST = 0.04  # standard deviation of each channel's gain
ZOOM = (1.8, 2.2)  # the face is then 155 to 195 px wide
PLACE_PX = (40.0, 10.0)  # how far the face may be off the middle
FACE_MARGIN_PX = 20.0  # four standard deviations of MOTION_PX


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

    def heartbeat(self) -> Heartbeat:
        """The clip's pulse, one value for each frame."""
        return simulate(self.rng("heart"), self.bpm, self.frames, FPS)

    def rng(self, purpose: str) -> np.random.Generator:
        """A stream of its own for each purpose, so that one cannot shift another's numbers."""
        return np.random.default_rng([self.seed, *purpose.encode()])


def render_frames(spec: ClipSpec) -> Iterator[Frame]:
    """Yield the clip's frames, RGB (height, width, 3)."""
    scene = _MovingScene(spec)
    light = _Light(spec)
    noise = _SensorNoise(spec)
    for index in range(spec.frames):
        lit = scene.frame(index)
        lit *= light.gain(index)
        yield np.asarray(cv2.add(lit, noise.next(), dtype=cv2.CV_8U), np.uint8)


def face_box(spec: ClipSpec) -> Box:
    """Where the face's skin is in a clip, with room for its motion."""
    pose = _pose(spec)
    corners = np.array([pose.place(corner) for corner in FACE_BOX])
    margin = FACE_MARGIN_PX * spec.height / FULL_HEIGHT_PX
    size = (spec.width, spec.height)
    left, top = (int(max(low - margin, 0)) for low in corners.min(axis=0))
    right, bottom = (
        int(min(high + margin, end)) for high, end in zip(corners.max(axis=0), size, strict=True)
    )
    return Box(left, top, right - left, bottom - top)


def _pose(spec: ClipSpec) -> Pose:
    scale = spec.height / FULL_HEIGHT_PX
    rng = spec.rng("pose")
    right, down = rng.uniform(-1, 1, 2) * PLACE_PX * scale
    return Pose(
        zoom=float(rng.uniform(*ZOOM)) * scale,
        face_px=(spec.width / 2 + float(right), spec.height * 0.54 + float(down)),
        mirrored=spec.mirrored,
    )


class _MovingScene:
    """The portrait with its pulse, highlights and shading, and a head that moves."""

    def __init__(self, spec: ClipSpec) -> None:
        pose = _pose(spec)
        rng = spec.rng("camera")
        still = compose(pose, spec.width, spec.height)
        tone = 1 + spec.skin_tone * still.skin[..., None] * (DARKEST_TONE - 1)
        camera = rng.uniform(*EXPOSURE) * (1 + COLOUR_CAST * rng.standard_normal(3))
        self._still = np.asarray(still.rgb * tone * camera, np.float32)
        beat = spec.heartbeat()
        self._motion = _HeadMotion(spec, pose)
        self._rows, self._columns = self._motion.reach
        self._skin = _bounds(still.skin)
        self._layers, self._weights = self._skin_layers(spec, still.skin, still.strength, beat)

    def _skin_layers(
        self, spec: ClipSpec, skin: Image, strength: Image, beat: Heartbeat
    ) -> tuple[list[Image], FloatArray]:
        """What is added to the skin: four pictures, and their weights (frames, 4)."""
        rows, columns = self._skin
        rgb, skin, strength = (a[rows, columns] for a in (self._still, skin, strength))
        height, width = skin.shape
        pulse = -spec.pulse_amplitude * strength[..., None] * PULSE_RGB * rgb
        # A delay of the wave, to first order, is its slope subtracted.
        delay_s = np.linspace(0, PULSE_DELAY_S, height)[:, None, None]
        bright = cv2.GaussianBlur(rgb.mean(axis=2), (0, 0), width / 40)
        highlight = np.clip(bright - np.quantile(bright[skin > 0.5], 0.7), 0, None) * skin
        across = np.linspace(-1, 1, width)[None, :, None] * rgb * skin[..., None]
        layers = (pulse, -delay_s * pulse, np.repeat(highlight[..., None], 3, axis=2), across)
        gloss = smooth_noise(spec.rng("gloss"), spec.frames, GLOSS_SMOOTHING_S * FPS) * GLOSS
        weights = (beat.wave, beat.slope_hz, gloss, self._motion.shading)
        return [layer.astype(np.float32) for layer in layers], np.stack(weights, axis=1)

    def frame(self, index: int) -> Image:
        """The scene at frame `index` in even light, float RGB (height, width, 3)."""
        rows, columns = self._skin
        frame = self._still.copy()
        frame[rows, columns] = _sum_scaled(
            frame[rows, columns], self._layers, self._weights[index].tolist()
        )
        map_x, map_y = self._motion.maps(index)
        moved = cv2.remap(frame, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        frame[self._rows, self._columns] = moved
        return np.asarray(frame, np.float32)


class _HeadMotion:
    """Shifts, turns and nears the head as one; what is around it gives way smoothly."""

    def __init__(self, spec: ClipSpec, pose: Pose) -> None:
        rng = spec.rng("motion")
        kind = int(spec.moving)
        smoothing = MOTION_SMOOTHING_S[kind] * FPS
        shift_x, shift_y, turn, nearing = (
            smooth_noise(rng, spec.frames, smoothing) for _ in range(4)
        )
        scale = spec.height / FULL_HEIGHT_PX
        angle = np.deg2rad(TURN_DEG[kind]) * turn
        size = 1 + SCALE_CHANGE[kind] * nearing
        # From a place in the frame back to where it came from, relative to the head's centre.
        self._cos, self._sin = np.cos(angle) / size - 1, np.sin(angle) / size
        self._shift = -MOTION_PX[kind] * scale * np.stack([shift_x, shift_y * 0.7])
        self.shading = SHADING_PER_RAD * angle + SHADING_PER_PX * MOTION_PX[kind] * shift_x
        self._plan_field(spec, pose)

    def _plan_field(self, spec: ClipSpec, pose: Pose) -> None:
        x, y = np.meshgrid(np.arange(spec.width), np.arange(spec.height))
        centre_x, centre_y = pose.place(HEAD_CENTRE)
        from_x, from_y = x - centre_x, y - centre_y
        radius = np.hypot(
            from_x / (HEAD_RADII[0] * pose.zoom), from_y / (HEAD_RADII[1] * pose.zoom)
        )
        # Whole within the head, none at 1.5 times its size, and smooth between.
        along = np.clip((1.5 - radius) / 0.5, 0, 1)
        follow = along**2 * (3 - 2 * along)
        self.reach = _bounds(follow)
        self._x, self._y, self._follow, self._follow_x, self._follow_y = (
            np.ascontiguousarray(plane[self.reach], np.float32)
            for plane in (x, y, follow, follow * from_x, follow * from_y)
        )

    def maps(self, index: int) -> tuple[Image, Image]:
        """Where each pixel within reach comes from at frame `index`: x and y in the frame."""
        cos, sin = float(self._cos[index]), float(self._sin[index])
        dx, dy = (float(shift) for shift in self._shift[:, index])
        map_x = _sum_scaled(self._x, (self._follow, self._follow_x, self._follow_y), (dx, cos, sin))
        map_y = _sum_scaled(
            self._y, (self._follow, self._follow_x, self._follow_y), (dy, -sin, cos)
        )
        return map_x, map_y


class _Light:
    """The light on the whole frame: drift, tilt, tint and flicker."""

    def __init__(self, spec: ClipSpec) -> None:
        rng = spec.rng("light")
        frames = spec.frames

        def noise(smoothing_s: float) -> FloatArray:
            return smooth_noise(rng, frames, smoothing_s * FPS)

        even = 1 + LIGHT_DRIFT * noise(LIGHT_DRIFT_SMOOTHING_S)
        even += FLICKER * noise(FLICKER_SMOOTHING_S)
        tint = [LIGHT_TINT * noise(LIGHT_TINT_SMOOTHING_S) for _ in range(3)]
        self._channels = (even + np.stack(tint)).T
        self._tilt = LIGHT_TILT * noise(LIGHT_TILT_SMOOTHING_S)
        self._across = np.linspace(-0.5, 0.5, spec.width)[:, None]

    def gain(self, index: int) -> Image:
        """Gain (width, 3) of every row at frame `index`."""
        gain = self._channels[index] * (1 + self._tilt[index] * self._across)
        return np.asarray(gain, np.float32)


class _SensorNoise:
    """White noise; each frame is a window at random into one field, far cheaper than drawing."""

    def __init__(self, spec: ClipSpec) -> None:
        self._rng = spec.rng("noise")
        self._shape = (spec.height, spec.width)
        shape = (spec.height + _NOISE_SHIFTS, spec.width + _NOISE_SHIFTS, 3)
        self._field = self._rng.standard_normal(shape, np.float32) * SENSOR_NOISE.astype(np.float32)

    def next(self) -> Image:
        top, left = self._rng.integers(_NOISE_SHIFTS, size=2)
        height, width = self._shape
        return np.asarray(self._field[top : top + height, left : left + width])


def _sum_scaled(start: Image, terms: Sequence[Image], factors: Sequence[float]) -> Image:
    # Not a matrix product: BLAS would start a thread for each core in each rendering process.
    total: Image = start
    for term, factor in zip(terms, factors, strict=True):
        total = np.asarray(cv2.scaleAdd(term, factor, total), np.float32)
    return total


def _bounds(mask: npt.NDArray[np.floating]) -> tuple[slice, slice]:
    """Rows and columns of the smallest box around what is above 0."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
