"""Frames of a face whose skin pulses, with all that makes the pulse hard to see.

Blood absorbs light, so a pulse darkens each channel by a share of its own brightness, in the ratio
of the pulse signature. Around it stand the camera's and the room's disturbances; each is larger
than the pulse, and none has its colour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from harness.datasets.base import FloatArray
from harness.datasets.clips import ClipSpec
from harness.datasets.difficulty import GROUPS_BPM, Scene
from harness.datasets.encoding import Box, Frame
from harness.datasets.light import Light, SensorNoise
from harness.datasets.motion import FULL_HEIGHT_PX, HeadMotion, bounds, sum_scaled
from harness.datasets.physiology import Heartbeat
from harness.datasets.portrait import FACE_BOX, FACE_CENTRE, Image, Pose, compose
from harness.datasets.pulses import PulseSource
from harness.datasets.sheet import Sheet
from harness.datasets.skin import tone_gain

# Relative strength of the pulse in R, G, B (de Haan & van Leest 2014), with green as the unit.
PULSE_RGB = np.array([0.33, 0.77, 0.53]) / 0.77
PULSE_DELAY_S = 0.03  # the wave reaches the chin this much after the forehead

GLOSS, GLOSS_SMOOTHING_S = 0.1, 0.8  # change of the highlights on the skin
SHEEN = 0.5  # of the portrait's highlights stays on a darker skin: they lie on its surface
EXPOSURE = (0.78, 1.0)
HAIR_FOLLOWS = 1.2  # darker skin has darker hair
TONE_EXPOSURE = 0.72  # leaves the palest tone of the scale room for its highlights
COLOUR_CAST = 0.04  # standard deviation of each channel's gain
ZOOM = (1.8, 2.2)  # the face is then 155 to 195 px wide
PLACE_PX = (40.0, 10.0)  # how far the face may be off the middle
FACE_MARGIN_PX = 20.0  # four standard deviations of the motion

# With companions: the first face smaller than alone, the others smaller than the first, each in a
# strip of its own; (middle of the face, edge of the strip), as shares of the width.
GROUP_ZOOM, COMPANION_ZOOM = 0.75, 0.6
COMPANION_PLACES = ((0.1, 0.22), (0.9, 0.78))
SEAM_PX = 12.0
OTHER_BPM = 15.0  # at the least between the wanted pulse and another's


def render_frames(spec: ClipSpec) -> Iterator[Frame]:
    """Yield the clip's frames, upright, RGB (height, width, 3)."""
    people = _people(spec)
    sheet = Sheet(spec, face_box(spec))
    light = Light(spec)
    noise = SensorNoise(spec)
    for index in range(spec.frames):
        lit = people[0][0].frame(index)
        for person, share in people[1:]:
            lit += share * (person.frame(index) - lit)
        sheet.cover(lit, index)
        lit *= light.gain(index)
        yield np.asarray(cv2.add(lit, noise.next(), dtype=cv2.CV_8U), np.uint8)


def face_box(spec: ClipSpec) -> Box:
    """Where the wanted face's skin is in an upright clip, with room for its motion."""
    pose = _pose(spec)
    corners = np.array([pose.place(corner) for corner in FACE_BOX])
    margin = FACE_MARGIN_PX * spec.height / FULL_HEIGHT_PX
    size = (spec.width, spec.height)
    left, top = (int(max(low - margin, 0)) for low in corners.min(axis=0))
    right, bottom = (
        int(min(high + margin, end)) for high, end in zip(corners.max(axis=0), size, strict=True)
    )
    return Box(left, top, right - left, bottom - top)


def companions(spec: ClipSpec) -> list[ClipSpec]:
    """The other people of a clip, each with a rate away from the wanted one's."""
    others = []
    for number in range(spec.scene.companions):
        rng = spec.rng(f"companion {number}")
        rates = [
            rate
            for low, high in GROUPS_BPM.values()
            for rate in np.arange(low, high + 1)
            if abs(rate - spec.bpm) >= OTHER_BPM
        ]
        others.append(
            replace(
                spec,
                seed=int(rng.integers(2**31)),
                bpm=float(rng.choice(rates)),
                skin_tone=float(rng.uniform()),
                mirrored=bool(rng.integers(2)),
                moving=False,
                scene=Scene(rate_hz=spec.scene.rate_hz, variable_rate=False, companions=0, monk=0),
                pulse=PulseSource(),
            )
        )
    return others


def _people(spec: ClipSpec) -> list[tuple[_MovingScene, Image]]:
    """Everyone in the clip, the wanted one first, with their share of each column (width, 1)."""
    pose = _pose(spec)
    people = [(_MovingScene(spec, pose), np.ones((spec.width, 1), np.float32))]
    columns = np.arange(spec.width)[:, None]
    for other, (middle, edge) in zip(companions(spec), COMPANION_PLACES, strict=False):
        zoom = pose.zoom * COMPANION_ZOOM
        placed = Pose(zoom, (middle * spec.width, FACE_CENTRE[1] * zoom), other.mirrored)
        outward = np.sign(middle - edge) * (columns - edge * spec.width)
        share = np.clip(0.5 + outward / SEAM_PX, 0, 1).astype(np.float32)
        people.append((_MovingScene(other, placed), share))
    return people


def _pose(spec: ClipSpec) -> Pose:
    scale = spec.height / FULL_HEIGHT_PX
    rng = spec.rng("pose")
    right, down = rng.uniform(-1, 1, 2) * PLACE_PX * scale
    zoom = float(rng.uniform(*ZOOM)) * scale
    if spec.scene.companions:
        zoom, right = zoom * GROUP_ZOOM, right * 0.5
    across, middle = spec.width / 2 + float(right), spec.height * 0.54 + float(down)
    if spec.scene.companions:
        middle = FACE_CENTRE[1] * zoom  # the picture ends above the head
    return Pose(zoom, (across, middle), spec.mirrored)


class _MovingScene:
    """The portrait with its pulse, highlights and shading, and a head that moves."""

    def __init__(self, spec: ClipSpec, pose: Pose) -> None:
        rng = spec.rng("camera")
        still = compose(pose, spec.width, spec.height)
        gain = tone_gain(spec.skin_tone, spec.scene.monk)
        tone = 1 + still.skin[..., None] * (gain - 1)
        exposure = rng.uniform(*EXPOSURE)
        if spec.scene.monk:
            exposure = TONE_EXPOSURE
            hair = min(1.0, float(gain.mean())) ** HAIR_FOLLOWS
            tone = 1 + still.tinted[..., None] * (gain - 1) + still.hair[..., None] * (hair - 1)
        camera = exposure * (1 + COLOUR_CAST * rng.standard_normal(3))
        self._still = np.asarray(still.rgb * tone * camera, np.float32)
        highlight = _highlight(np.asarray(still.rgb * camera, np.float32), still.skin)
        self._sheen = SHEEN * max(0.0, 1 - float(gain.mean())) if spec.scene.monk else 0.0
        self._motion = HeadMotion(spec, pose)
        self._rows, self._columns = self._motion.reach
        self._skin = bounds(still.skin)
        self._layers, self._weights = self._skin_layers(
            spec, still.skin, still.strength, highlight, spec.heartbeat()
        )
        self._still += self._sheen * highlight[..., None]

    def _skin_layers(
        self, spec: ClipSpec, skin: Image, strength: Image, highlight: Image, beat: Heartbeat
    ) -> tuple[list[Image], FloatArray]:
        """What is added to the skin: four pictures, and their weights (frames, 4)."""
        rows, columns = self._skin
        rgb, skin, strength = (a[rows, columns] for a in (self._still, skin, strength))
        height, width = skin.shape
        pulse = -spec.pulse_amplitude * strength[..., None] * PULSE_RGB * rgb
        # A delay of the wave, to first order, is its slope subtracted.
        delay_s = np.linspace(0, PULSE_DELAY_S, height)[:, None, None]
        shine = (self._sheen * highlight[rows, columns]) if self._sheen else _highlight(rgb, skin)
        across = np.linspace(-1, 1, width)[None, :, None] * rgb * skin[..., None]
        layers = (pulse, -delay_s * pulse, np.repeat(shine[..., None], 3, axis=2), across)
        gloss = spec.noise(spec.rng("gloss"), GLOSS_SMOOTHING_S) * GLOSS
        weights = (beat.wave, beat.slope_hz, gloss, self._motion.shading)
        return [layer.astype(np.float32) for layer in layers], np.stack(weights, axis=1)

    def frame(self, index: int) -> Image:
        """The scene at frame `index` in even light, float RGB (height, width, 3)."""
        rows, columns = self._skin
        frame = self._still.copy()
        frame[rows, columns] = sum_scaled(
            frame[rows, columns], self._layers, self._weights[index].tolist()
        )
        map_x, map_y = self._motion.maps(index)
        moved = cv2.remap(frame, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        frame[self._rows, self._columns] = moved
        return np.asarray(frame, np.float32)


def _highlight(rgb: Image, skin: Image) -> Image:
    """How much brighter than most of it the skin is, (height, width)."""
    face = bounds(skin)
    width = face[1].stop - face[1].start
    bright = cv2.GaussianBlur(rgb.mean(axis=2), (0, 0), width / 40)
    return np.asarray(np.clip(bright - np.quantile(bright[skin > 0.5], 0.7), 0, None) * skin)
