"""How much light is on the face, and how fast it moves: measured a few times a second.

What the paper found by hand (dark clips with large movement fail) needs both beside every error.
The 36x36 crop that the model sees anyway is looked at, so that a frame costs a comparison and each
sample some tens of microseconds.
"""

from array import array
from math import isnan
from typing import Dict, List, Optional

import cv2
import numpy as np

from rppg_core.preprocess import SIZE_PX, Square

EVERY_S = 0.25
LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)  # of R, G, B; ITU-R BT.709
LEAST_STRUCTURE = 0.004  # standard deviation of a face too dark or flat to be followed: one step


class Surroundings:
    """Samples of luminance and motion; give it every frame's crop."""

    def __init__(self, enlargement: float) -> None:
        # The face box's part of the crop: what lies around it does not light the face.
        face_px = min(max(int(round(SIZE_PX / enlargement)), SIZE_PX // 2), SIZE_PX)
        edge = (SIZE_PX - face_px) // 2
        self._face = slice(edge, edge + face_px)
        self._fade = cv2.createHanningWindow((face_px, face_px), cv2.CV_32F)
        self._face_share = face_px / SIZE_PX
        self._last: Optional[np.ndarray] = None
        self._last_s = -float("inf")
        self._last_square: Square = (0, 0, 1)
        self._time_s = array("d")
        self._luminance = array("d")
        self._speed = array("d")  # nan for none

    def push(self, time_s: float, small: np.ndarray, square: Square) -> None:
        """Look at `small` (36, 36, 3) in [0, 1], the `square` of the frame shown at `time_s`."""
        if time_s - self._last_s < EVERY_S:
            return
        luma = np.ascontiguousarray(small[self._face, self._face] @ LUMA)
        mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(luma))
        # Faded to its edges, so that only what moves within it counts. (Given the window,
        # phaseCorrelate would write it into the pictures.)
        face = (luma - np.float32(mean)) * self._fade if deviation >= LEAST_STRUCTURE else None
        self._time_s.append(time_s)
        self._luminance.append(mean)
        speed = self._speed_of(face, square, time_s)
        self._speed.append(float("nan") if speed is None else speed)
        self._last, self._last_s, self._last_square = face, time_s, square

    def reset(self) -> None:
        """The face is gone: the next look has nothing to be compared with."""
        self._last = None

    def to_dict(self) -> Dict[str, List[Optional[float]]]:
        """As JSON can hold it, one entry a sample.

        `luminance` is the face's mean luma, 0 to 1 of full scale as encoded in the video; `speed`
        how far the face moves in a second, its box's longer side being 1; None where there was no
        sample before to compare with. Shifts of less than half a pixel of the crop between two
        samples read up to a third too low.
        """
        return {
            "time_s": [round(value, 3) for value in self._time_s],
            "luminance": [round(value, 4) for value in self._luminance],
            "speed": [None if isnan(value) else round(value, 4) for value in self._speed],
        }

    def _speed_of(
        self, face: Optional[np.ndarray], square: Square, time_s: float
    ) -> Optional[float]:
        """The shift of the square, and of the face within it, since the sample before."""
        if face is None or self._last is None:
            return None
        (across, down), _ = cv2.phaseCorrelate(self._last, face)
        px = square[2] / SIZE_PX
        across = across * px + _centre(square, 0) - _centre(self._last_square, 0)
        down = down * px + _centre(square, 1) - _centre(self._last_square, 1)
        moved = float(np.hypot(across, down)) / (square[2] * self._face_share)
        return moved / (time_s - self._last_s)


def _centre(square: Square, axis: int) -> float:
    return square[axis] + square[2] / 2.0
