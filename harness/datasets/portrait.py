"""The face that synthetic clips show, and where on it blood can be seen.

The portrait is NASA's of Eileen Collins (S93-25642, public domain), which scikit-image ships.
Its coordinates below are pixels of that 512 x 512 picture, as (x, y).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]
Point = tuple[float, float]

FACE_BOX: tuple[Point, Point] = ((170.0, 76.0), (280.0, 192.0))  # all skin, ears and neck too
FACE_CENTRE: Point = (224.0, 128.0)
HEAD_CENTRE: Point = (226.0, 105.0)
HEAD_RADII: Point = (88.0, 104.0)  # hair, face and chin, with a little room

_FACE = (
    (184, 84), (200, 79), (225, 81), (250, 89), (266, 94), (270, 112), (268, 135), (261, 151),
    (253, 164), (240, 174), (224, 178), (208, 174), (195, 163), (187, 150), (182, 130), (181, 108),
)  # fmt: skip
_NECK = ((187, 155), (210, 176), (240, 176), (256, 162), (253, 185), (232, 189), (200, 184))
_EARS = (((171, 117), (182, 117), (183, 132), (176, 130)), ((268, 128), (279, 128), (270, 138)))
# Ellipses (centre, radii): what shows no pulse, and what of it is not even of skin's colour.
_FEATURES = (
    ((202, 101), (13, 7)), ((246, 103), (13, 7)),  # eyes
    ((198, 91), (14, 3)), ((247, 94), (14, 3)),  # brows
    ((223, 145), (26, 11)), ((223, 132), (13, 4)),  # mouth, nostrils
)  # fmt: skip
_EYES_AND_TEETH = (((202, 101), (8, 4)), ((246, 103), (8, 4)), ((222, 144), (15, 4)))
# Forehead and cheeks are the best perfused: (centre, radii, added strength).
_STRONG = (
    ((224, 86), (38, 9), 0.8), ((196, 121), (14, 14), 0.7), ((254, 124), (14, 14), 0.7),
)  # fmt: skip
_STRENGTH_ELSEWHERE = 0.6
_STRENGTH_NECK = 0.3
_EYES_SHADE = 0.35  # eyes and teeth take on less of a skin's shade
_HAIR_COLOUR = 36.0  # how much redder than blue hair is, in 8-bit steps
_FEATHER_PX = 1.5  # softness of the edges of skin
_STRONG_FEATHER_PX = 6.0


@dataclass(frozen=True)
class Pose:
    """Where the portrait stands in a frame: pixels a portrait pixel, place of the face, mirror."""

    zoom: float
    face_px: Point
    mirrored: bool

    def matrix(self) -> npt.NDArray[np.float64]:
        """Affine map (2, 3) from portrait to frame coordinates."""
        sign = -1.0 if self.mirrored else 1.0
        scale = np.array([sign * self.zoom, self.zoom])
        return np.column_stack([np.diag(scale), np.array(self.face_px) - scale * FACE_CENTRE])

    def place(self, point: Point) -> Point:
        """Frame coordinates of a point of the portrait."""
        x, y = self.matrix() @ (*point, 1.0)
        return float(x), float(y)


@dataclass(frozen=True, eq=False)
class Scene:
    """A still frame: RGB (h, w, 3) in 0-255, skin (h, w) in 0-1, and the pulse's strength (h, w).

    The strength is 1 on the average of the face's skin and 0 off skin. `tinted` (h, w) in 0-1 is
    skin and, less so, eyes and teeth in its shade; `hair` (h, w) is hair.
    """

    rgb: Image
    skin: Image
    strength: Image
    tinted: Image
    hair: Image


def compose(pose: Pose, width: int, height: int) -> Scene:
    """Place the portrait in a frame of `width` x `height`."""
    matrix = pose.matrix()
    rgb = cv2.warpAffine(
        _portrait(),
        matrix,
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT,
    )
    skin, strength, tinted, hair = (
        cv2.warpAffine(mask, matrix, (width, height), flags=cv2.INTER_LINEAR)
        for mask in (*_skin_masks(), *_retouch_masks())
    )
    return Scene(
        np.clip(rgb, 0, 255).astype(np.float32),
        skin.astype(np.float32),
        strength.astype(np.float32),
        tinted.astype(np.float32),
        hair.astype(np.float32),
    )


@lru_cache(maxsize=1)
def _portrait() -> Image:
    # Slow to import, and only rendering needs it.
    from skimage import data  # noqa: PLC0415

    return np.asarray(data.astronaut(), dtype=np.float32)


@lru_cache(maxsize=1)
def _skin_masks() -> tuple[Image, Image]:
    """Skin and pulse strength over the portrait, each (512, 512)."""
    face = _polygon(_FACE) * (1 - _union(_FEATURES))
    neck = _polygon(_NECK) * (1 - _polygon(_FACE))
    strength = np.full((512, 512), _STRENGTH_ELSEWHERE, np.float32)
    for centre, radii, added in _STRONG:
        strength += added * _ellipse(centre, radii, _STRONG_FEATHER_PX)
    strength = strength * face
    strength /= strength.sum() / face.sum()
    whole = np.maximum.reduce([_polygon(part) for part in (_FACE, _NECK, *_EARS)])
    skin = whole * (1 - _union(_EYES_AND_TEETH))
    return skin, np.maximum(strength, _STRENGTH_NECK * neck)


@lru_cache(maxsize=1)
def _retouch_masks() -> tuple[Image, Image]:
    """Where a retouched skin tone and its hair go, each (512, 512)."""
    whole = np.maximum.reduce([_polygon(part) for part in (_FACE, _NECK, *_EARS)])
    tinted = whole * (1 - _EYES_SHADE * _union(_EYES_AND_TEETH))
    # Hair is what is brown on a head: the wall behind it is grey.
    red, _, blue = cv2.split(cv2.GaussianBlur(_portrait(), (0, 0), 1.0))
    brown = np.clip((red - blue - _HAIR_COLOUR) / _HAIR_COLOUR + 0.5, 0, 1)
    head = _ellipse((224, 95), (96, 108), 4.0)
    head[150:] *= np.clip(1 - np.arange(362)[:, None] / 40, 0, 1)
    return tinted.astype(np.float32), np.asarray(brown * head * (1 - whole), np.float32)


def _union(ellipses: tuple[tuple[tuple[int, int], tuple[int, int]], ...]) -> Image:
    return np.asarray(np.maximum.reduce([_ellipse(*ellipse, _FEATHER_PX) for ellipse in ellipses]))


def _polygon(points: tuple[tuple[int, int], ...]) -> Image:
    mask = np.zeros((512, 512), np.float32)
    cv2.fillPoly(mask, [np.array(points, np.int32)], 1.0)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), _FEATHER_PX), np.float32)


def _ellipse(centre: tuple[int, int], radii: tuple[int, int], feather_px: float) -> Image:
    mask = np.zeros((512, 512), np.float32)
    cv2.ellipse(mask, centre, radii, 0, 0, 360, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), feather_px), np.float32)
