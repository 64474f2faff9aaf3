"""Faces to learn from: drawn ones, no two alike, and the portrait under many lights.

A face here is a picture of twice the network's resolution, with what the pulse, highlights, blinks
and speech may change in it. Colours are those of the Monk skin tone scale (Monk 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from harness.datasets.base import FloatArray
from harness.datasets.portrait import FACE_CENTRE, Image, Pose, compose
from harness.datasets.skin import MONK_RGB

CANVAS_PX = 72  # side; shrunk to 36 after the face has moved, as a camera's pixels are
PORTRAIT_SHARE = 0.4  # of the faces; the rest is drawn
PORTRAIT_SIDE_PX = (120.0, 240.0)  # how much of the portrait a crop shows, in its pixels
PORTRAIT_OFF_PX = 14.0

EXPOSURE = (0.55, 1.05)
DARKEST_SKIN = 38.0  # mean of the channels, 8-bit; below, cameras expose for the face
BRIGHTEST_SKIN = 225.0
COLOUR_CAST = 0.05  # standard deviation of each channel's gain

# Of the portrait, in its pixels from FACE_CENTRE: (place, 0 for eyes and 1 for mouth, radii).
_PORTRAIT_PARTS = (((-21, -26), 0, (13, 6)), ((21, -26), 0, (13, 6)), ((-1, 17), 1, (22, 9)))
# Of a drawn face, in units of its half width: (x, y, width, height, darkness).
_EYE, _BROW = (0.38, -0.18, 0.16, 0.07, 0.65), (0.38, -0.36, 0.22, 0.05, 0.45)
_MOUTH, _NOSE = (0.0, 0.58, 0.26, 0.08, 0.35), (0.0, 0.2, 0.12, 0.16, 0.12)

_Plane = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class CropFace:
    """One face at rest, (72, 72, 3) and (72, 72) float32.

    `rgb` is in 8-bit steps; `skin` is 0 to 1; `strength`, how much of the pulse a pixel shows, has
    a mean of 1 over the skin; `eyes` and `mouth` are 0 to 1 where blinks and speech show.
    """

    rgb: Image
    skin: Image
    strength: Image
    eyes: Image
    mouth: Image


def make_face(rng: np.random.Generator) -> CropFace:
    """A random face; the same generator state gives the same face."""
    if rng.uniform() < PORTRAIT_SHARE:
        return _lit(rng, *_portrait_face(rng))
    return _lit(rng, *_drawn_face(rng))


def field(rng: np.random.Generator, cells: int) -> FloatArray:
    """Smooth noise (72, 72) of unit variance at its nodes, `cells` of them a side."""
    nodes = rng.standard_normal((cells, cells))
    return np.asarray(cv2.resize(nodes, (CANVAS_PX, CANVAS_PX), interpolation=cv2.INTER_CUBIC))


_Parts = tuple[_Plane, _Plane, _Plane, _Plane, _Plane]  # a CropFace's, before it is lit


def _portrait_face(rng: np.random.Generator) -> _Parts:
    side = rng.uniform(*PORTRAIT_SIDE_PX)
    mirrored = bool(rng.integers(2))
    zoom = CANVAS_PX / side
    right, down = CANVAS_PX / 2 + rng.uniform(-1, 1, 2) * PORTRAIT_OFF_PX * zoom
    pose = Pose(zoom, (float(right), float(down)), mirrored)
    scene = compose(pose, CANVAS_PX, CANVAS_PX)
    parts = np.zeros((2, CANVAS_PX, CANVAS_PX))
    for (right_px, down_px), part, (wide, high) in _PORTRAIT_PARTS:
        place = (FACE_CENTRE[0] + right_px, FACE_CENTRE[1] + down_px)
        parts[part] += _blob(*pose.place(place), wide * zoom, high * zoom)
    eyes, mouth = parts
    # Half of the time the skin takes another tone; the pattern of the photograph stays.
    tone = _tone(rng) if rng.uniform() < 0.75 else None
    rgb = scene.rgb.astype(np.float64)
    if tone is not None:
        mean = (rgb * scene.skin[..., None]).sum((0, 1)) / scene.skin.sum()
        rgb *= 1 + scene.skin[..., None] * (tone / mean - 1)
    # The picture's own map says where blood shows; nobody's face is quite like it.
    strength = scene.strength * np.clip(1 + 0.25 * field(rng, 4), 0.2, 2)
    return rgb, scene.skin.astype(np.float64), strength, eyes, mouth


def _drawn_face(rng: np.random.Generator) -> _Parts:
    grid = (np.arange(CANVAS_PX) + 0.5) / CANVAS_PX * 2 - 1
    half_width = rng.uniform(0.38, 0.72)
    centre_x, centre_y = rng.uniform(-0.12, 0.12, 2)
    turn = rng.normal(0, 0.08)
    across, down = np.meshgrid(grid - centre_x, grid - centre_y)
    x = (across * np.cos(turn) + down * np.sin(turn)) / half_width
    y = (down * np.cos(turn) - across * np.sin(turn)) / half_width
    tall = rng.uniform(1.2, 1.5)
    edge = rng.uniform(8, 20)
    head = _sigmoid(edge * (1 - x**2 - (y / tall) ** 2))
    neck = _sigmoid(edge * (rng.uniform(0.5, 0.7) - np.abs(x))) * _sigmoid(edge * (y - 0.8))
    body = _sigmoid(edge * (y - tall * rng.uniform(1.1, 1.35) - 0.15 * x**2))
    hairline = rng.uniform(0.45, 0.9) * tall
    hair = _sigmoid(edge * (-y - hairline + 0.25 * x**2)) * _sigmoid(
        edge * (1.35 - x**2 - (y / tall) ** 2)
    )
    bald = rng.uniform() < 0.15
    hair = hair * (0.0 if bald else 1.0)
    spread = rng.uniform(0.85, 1.15)
    eyes = _pair(x, y, _EYE, spread)
    dark = np.maximum(eyes * _EYE[4], _pair(x, y, _BROW, spread) * rng.uniform(0.1, 1) * _BROW[4])
    mouth = _pair(x, y, _MOUTH, spread)
    dark = np.maximum(dark, np.maximum(mouth * _MOUTH[4], _pair(x, y, _NOSE, spread) * _NOSE[4]))
    bearded = rng.uniform(0.2, 0.8) if rng.uniform() < 0.2 else 0.0
    beard = _sigmoid(8 * (y - 0.35)) * head * bearded
    rgb = _paint(rng, np.maximum(head, neck), np.maximum(dark, beard), hair, body, x)
    skin = np.maximum(head, 0.8 * neck) * (1 - hair) * (1 - body)
    skin = skin * (1 - np.clip(1.5 * np.maximum(dark, beard), 0, 1))
    cheeks = _pair(x, y, (0.45, 0.15, 0.25, 0.22))
    perfused = 0.6 + 0.5 * np.exp(-((y + 0.6) ** 2) * 6) + 0.4 * cheeks
    strength = skin * perfused * np.clip(1 + 0.35 * field(rng, 5), 0.1, 2.5)
    strength *= np.where(y > 0.95 * tall, 0.4, 1.0)
    return rgb, skin, strength, eyes, mouth


def _paint(
    rng: np.random.Generator,
    head: _Plane,
    dark: _Plane,
    hair: _Plane,
    body: _Plane,
    x: _Plane,
) -> _Plane:
    """Background, skin, features, hair and clothes, one over the other."""
    texture = field(rng, int(rng.integers(3, 16)))[..., None]
    behind = _muted(rng, 10, 235) * (1 + rng.uniform(0, 0.35) * texture)
    shade = 1 + 0.14 * field(rng, 5) + 0.05 * field(rng, 18) + rng.uniform(-0.25, 0.25) * x
    shade *= 1 - rng.uniform(0, 0.3) * x**2
    skin = _tone(rng) * np.clip(shade, 0.3, 1.5)[..., None] * (1 - dark)[..., None]
    hair_rgb = rng.uniform(10, 140) * np.array([1.0, 0.85, 0.7])
    hair_rgb = hair_rgb * (1 + 0.2 * field(rng, 20)[..., None])
    clothes = _muted(rng, 15, 230) * (1 + 0.15 * field(rng, 10))[..., None]
    rgb = behind
    for layer, where in ((skin, head), (clothes, body), (hair_rgb, hair)):
        rgb = rgb + where[..., None] * (layer - rgb)
    return np.asarray(rgb)


def _muted(rng: np.random.Generator, low: float, high: float) -> _Plane:
    """A colour of a room: mostly grey."""
    grey, colour = rng.uniform(low, high), rng.uniform(low, high, 3)
    return np.asarray(grey + rng.uniform(0, 0.6) * (colour - grey))


def _lit(
    rng: np.random.Generator,
    rgb: _Plane,
    skin: _Plane,
    strength: _Plane,
    eyes: _Plane,
    mouth: _Plane,
) -> CropFace:
    """The face as a camera exposes it, with the strength scaled to its mean over the skin."""
    gain = rng.uniform(*EXPOSURE) * (1 + COLOUR_CAST * rng.standard_normal(3))
    rgb = rgb * gain
    bright = float((rgb.mean(axis=2) * skin).sum() / skin.sum())
    rgb *= np.clip(bright, DARKEST_SKIN, BRIGHTEST_SKIN) / bright
    strength = strength / (strength.sum() / skin.sum())
    rgb = np.clip(rgb, 2, 252)
    return CropFace(*(part.astype(np.float32) for part in (rgb, skin, strength, eyes, mouth)))


def _tone(rng: np.random.Generator) -> _Plane:
    """A colour between two neighbours of the Monk scale, a little redder or paler than they are."""
    step = rng.uniform(0, len(MONK_RGB) - 1)
    below = int(step)
    colour = MONK_RGB[below] + (step - below) * (MONK_RGB[below + 1] - MONK_RGB[below])
    # The scale's swatches are paler than skin in a photograph, which is redder.
    redder = np.array([1.0, rng.uniform(0.78, 1.0), rng.uniform(0.68, 1.0)])
    return np.asarray(colour * redder)


def _pair(x: _Plane, y: _Plane, part: tuple[float, ...], spread: float = 1) -> _Plane:
    """Soft ellipses at (+-x, y); 1 in their middle."""
    at, down, width, height = part[:4]
    up = ((y - down * spread) / height) ** 2
    sides = (np.exp(-0.5 * (((x - s * at * spread) / width) ** 2 + up)) for s in (-1, 1))
    return np.asarray(np.maximum(*sides))


def _blob(centre_x: float, centre_y: float, radius_x: float, radius_y: float) -> _Plane:
    column, row = np.meshgrid(np.arange(CANVAS_PX), np.arange(CANVAS_PX))
    away = ((column - centre_x) / radius_x) ** 2 + ((row - centre_y) / radius_y) ** 2
    return np.asarray(np.exp(-away))


def _sigmoid(values: _Plane) -> _Plane:
    return 1 / (1 + np.exp(-np.clip(values, -60, 60)))
