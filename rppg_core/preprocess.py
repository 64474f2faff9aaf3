"""Face crops to TS-CAN's two inputs, one frame at a time.

As the published network was trained (Liu et al. 2020, MTTS-CAN): 36x36 RGB by area averaging, in
[1/255, 1]; *motion* is the normalised difference of two frames in units of its standard deviation,
*appearance* the standardised frame. The published code takes mean and deviation over the whole
clip; here they are taken over the last seconds seen, so that a camera and a file share one path.
"""

from collections import deque
from typing import Deque, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from rppg_core.faces import Box

SIZE_PX = 36
DARKEST = 1.0 / 255.0
STATISTICS_FRAMES = 300  # how many of the last frames mean and deviation are taken over
ENLARGEMENT = 1.5  # side of the square crop over the longer side of the face box
MOTION_FLOOR = 1e-6  # deviation of a motionless, noiseless picture
FRAME_FLOOR = 1e-4  # deviation of a picture of one colour

Square = Tuple[int, int, int]  # left, top, side in px


class Sample(NamedTuple):
    """The `difference` of two frames and the earlier `frame`: raw (36, 36, 3) float32."""

    difference: np.ndarray
    frame: np.ndarray


def crop_square(box: Box, width: int, height: int, enlargement: float) -> Square:
    """(left, top, side) in px of the square around `box`, moved and cut to lie in the frame.

    Where there is room the side is a multiple of 36: whole blocks of pixels average exactly, and
    in half the time.
    """
    most = min(width, height)
    side = min(int(round(enlargement * max(box.width, box.height))), most)
    side = max(side - side % SIZE_PX, min(SIZE_PX, most))
    left = int(round(box.x + box.width / 2.0 - side / 2.0))
    top = int(round(box.y + box.height / 2.0 - side / 2.0))
    return min(max(left, 0), width - side), min(max(top, 0), height - side), side


def shrink(rgb: np.ndarray, square: Square, room: Optional[np.ndarray] = None) -> np.ndarray:
    """The square of `rgb` (h, w, 3) uint8 as (36, 36, 3) float32 in [1/255, 1].

    The average is taken in floating point: a pulse is a fraction of one 8-bit step. `room`
    (side, side, 3) float32 is written over, if given: large arrays, taken and given back for every
    frame, leave holes in memory.
    """
    left, top, side = square
    patch = np.empty((side, side, 3), dtype=np.float32) if room is None else room
    np.copyto(patch, rgb[top : top + side, left : left + side])
    small = cv2.resize(patch, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small / 255.0, DARKEST, 1.0), dtype=np.float32)


class Preprocessor:
    """Turns frames and face boxes into samples, and samples into standardised windows.

    The difference of two frames is taken inside one and the same square: when the box moves, the
    frame before is cropped again, so that a moving box is never mistaken for a pulse.
    """

    def __init__(self, enlargement: float = ENLARGEMENT) -> None:
        self.enlargement = enlargement
        self._last_rgb: Optional[np.ndarray] = None
        self._last_small: Optional[np.ndarray] = None
        self._last_square: Optional[Square] = None
        self._room = np.empty((0, 0, 3), dtype=np.float32)
        # Mean and mean square of each frame's difference, then of the frame itself.
        self._moments: Deque[Tuple[float, ...]] = deque(maxlen=STATISTICS_FRAMES)

    @property
    def crop(self) -> Optional[Tuple[np.ndarray, Square]]:
        """The last frame's crop (36, 36, 3) and where it was taken; None at the start of a run."""
        if self._last_small is None or self._last_square is None:
            return None
        return self._last_small, self._last_square

    @property
    def seen(self) -> Optional[Tuple[np.ndarray, np.ndarray]]:
        """The last frame's picture (h, w, 3) and crop (36, 36, 3); None at the start of a run."""
        if self._last_rgb is None or self._last_small is None:
            return None
        return self._last_rgb, self._last_small

    def reset(self) -> None:
        """Forget the last frame: the next one starts a new run of frames."""
        self._last_rgb = self._last_small = self._last_square = None

    def push(self, rgb: np.ndarray, box: Box) -> Optional[Sample]:
        """The sample of this frame against the one before; None for the first of a run."""
        square = crop_square(box, rgb.shape[1], rgb.shape[0], self.enlargement)
        if len(self._room) != square[2]:
            self._room = np.empty((square[2], square[2], 3), dtype=np.float32)
        small = shrink(rgb, square, self._room)
        before = self._last_small
        if before is not None and square != self._last_square and self._last_rgb is not None:
            before = shrink(self._last_rgb, square, self._room)
        self._last_rgb, self._last_small, self._last_square = rgb, small, square
        if before is None:
            return None
        difference = (small - before) / (small + before)
        self._moments.append((*_moments(difference), *_moments(before)))
        return Sample(difference, before)

    def standardise(
        self, differences: np.ndarray, frames: np.ndarray
    ) -> Tuple[np.ndarray, np.ndarray]:
        """(motion, appearance) of raw differences and frames, each (n, 36, 36, 3) float32."""
        shift, shift_square, mean, square = np.mean(self._moments, axis=0).tolist()
        motion = differences / np.float32(max(_deviation(shift, shift_square), MOTION_FLOOR))
        appearance = (frames - np.float32(mean)) / np.float32(
            max(_deviation(mean, square), FRAME_FLOOR)
        )
        return motion.astype(np.float32), appearance.astype(np.float32)


def _moments(values: np.ndarray) -> Tuple[float, float]:
    row = values.ravel()
    return float(row.sum()) / row.size, float(row @ row) / row.size


def _deviation(mean: float, square: float) -> float:
    return float(max(square - mean**2, 0.0) ** 0.5)
