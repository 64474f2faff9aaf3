"""A sheet that hides the face for a while: what a hand, a cup or a passer-by does."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from harness.datasets.clips import ClipSpec
from harness.datasets.encoding import Box
from harness.datasets.portrait import Image

AT = 0.4  # when it comes, as a share of the clip
LONGEST_SHARE = 0.25  # of the clip
SLIDE_S = 0.4
COLOUR = (150.0, 158.0, 170.0)
SHADES, SHADES_PX = 6.0, 25.0  # its unevenness, in 8-bit steps, and its grain
WOBBLE_PX = 2.0


class Sheet:
    """Slides up over `face`, stays, and slides down again, in a clip that asks for it."""

    def __init__(self, spec: ClipSpec, face: Box) -> None:
        self._face = face
        time_s = spec.times_s()
        end_s = float(time_s[-1])
        hidden_s = min(spec.scene.hidden_s, LONGEST_SHARE * end_s)
        self._cover = np.zeros(len(time_s))
        if hidden_s:
            since = time_s - AT * end_s
            slide = np.minimum(since, hidden_s - since) / SLIDE_S + 0.5
            self._cover = np.clip(slide, 0, 1)
            rng = spec.rng("sheet")
            grain = cv2.GaussianBlur(
                rng.standard_normal((spec.height, spec.width)), (0, 0), SHADES_PX
            )
            shades = SHADES * grain / grain.std()
            self._picture = np.asarray(shades[..., None] + np.array(COLOUR), np.float32)
            self._wobble = WOBBLE_PX * spec.noise(rng, 0.4)

    @property
    def visible(self) -> npt.NDArray[np.bool_]:
        """Whether more than half of the face can be seen, (frames,)."""
        return np.asarray(self._cover < 0.5)

    def cover(self, frame: Image, index: int) -> None:
        """Draw the sheet into `frame` (height, width, 3) as it is at `index`."""
        share = self._cover[index]
        if not share:
            return
        height, width = frame.shape[:2]
        face, wobble = self._face, int(self._wobble[index])
        left = max(face.left - face.width // 5 + wobble, 0)
        right = min(face.left + face.width * 6 // 5 + wobble, width)
        # From below the chin to above the forehead.
        low, high = face.top + face.height, max(face.top - face.height // 4, 0)
        top = int(low + share * (high - low)) + wobble
        top = max(top, 0)
        frame[top:, left:right] = self._picture[: height - top, left:right]
