"""A few numbers of what each stage hands to the next, so that two records tell where they part.

Equal face boxes and unequal pulses leave open whether the picture, the crop or the model is at
fault. About once a second the mean and standard deviation of each colour are kept: of the picture
as it was decoded, of the crop, and of the model's two inputs.
"""

from array import array
from typing import Any, Dict

import cv2
import numpy as np

VERSION = 1
EVERY_FRAMES = 30  # by number, not time: a wrong clock must not move them
SPARSE = 8  # of the picture every eighth row and column is looked at
PARTS = ("picture", "crop", "motion", "appearance")
VALUES = 6  # three means, three deviations


class Fingerprints:
    """Give it the newest frame of a predicted window, whenever it is due."""

    def __init__(self) -> None:
        self._next = 0
        self._frames = array("q")
        self._values = {part: array("d") for part in PARTS}  # VALUES of each frame

    def due(self, frame: int) -> bool:
        """Whether frame number `frame` is to be looked at."""
        return frame >= self._next

    def push(self, frame: int, **parts: np.ndarray) -> None:
        """Look at the `PARTS` of a frame, each (h, w, 3): the picture uint8, the others float32."""
        self._next = frame + EVERY_FRAMES
        self._frames.append(frame)
        picture = np.ascontiguousarray(parts["picture"][::SPARSE, ::SPARSE])
        for part, values in self._values.items():
            shown = picture if part == "picture" else parts[part]
            values.frombytes(np.concatenate(cv2.meanStdDev(shown)).tobytes())

    def to_dict(self) -> Dict[str, Any]:
        """As JSON can hold it: for each part and frame three means, then three deviations.

        The picture's are in 8-bit steps, the crop's in shares of full scale, the inputs' as the
        model is fed them.
        """
        rows = {
            part: np.asarray(values).reshape(-1, VALUES).round(5).tolist()
            for part, values in self._values.items()
        }
        return {"version": VERSION, "frame": list(self._frames), **rows}
