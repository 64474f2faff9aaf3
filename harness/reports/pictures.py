"""Small pictures of a face in its frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

HEIGHT_PX = 200


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame `rgb` (height, width, 3) uint8 and the face's box in it: x, y, width, height."""

    rgb: npt.NDArray[np.uint8]
    box: tuple[float, float, float, float]


# (dataset, recording) to a picture, or None where there is none to be had or shown.
PictureOf = Callable[[str, str], Picture | None]


def picture(rgb: npt.NDArray[np.uint8], box: Sequence[float]) -> Picture:
    """A frame (height, width, 3) uint8 made small, and its box with it."""
    scale = min(1.0, HEIGHT_PX / rgb.shape[0])
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    x, y, width, height = (float(value) * scale for value in box)
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return Picture(np.asarray(small, np.uint8), (x, y, width, height))
