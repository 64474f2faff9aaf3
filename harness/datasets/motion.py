"""How a head moves in a clip."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from harness.datasets.clips import ClipSpec
from harness.datasets.portrait import HEAD_CENTRE, HEAD_RADII, Image, Pose

FULL_HEIGHT_PX = 480  # lengths given in px below are for frames this high

# Standard deviations: (clips at rest, clips with motion).
MOTION_PX = (0.5, 5.0)
TURN_DEG = (0.1, 1.5)
SCALE_CHANGE = (0.0005, 0.008)
MOTION_SMOOTHING_S = (0.5, 0.45)
# The light falls otherwise on a head that turned: change of brightness across it, per radian of
# turn and per px of shift.
SHADING_PER_RAD = 0.6
SHADING_PER_PX = 0.0015


class HeadMotion:
    """Shifts, turns and nears the head as one; what is around it gives way smoothly."""

    def __init__(self, spec: ClipSpec, pose: Pose) -> None:
        rng = spec.rng("motion")
        kind = int(spec.moving)
        shift_x, shift_y, turn, nearing = (
            spec.noise(rng, MOTION_SMOOTHING_S[kind]) for _ in range(4)
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
        self.reach = bounds(follow)
        self._x, self._y, self._follow, self._follow_x, self._follow_y = (
            np.ascontiguousarray(plane[self.reach], np.float32)
            for plane in (x, y, follow, follow * from_x, follow * from_y)
        )

    def maps(self, index: int) -> tuple[Image, Image]:
        """Where each pixel within reach comes from at frame `index`: x and y in the frame."""
        cos, sin = float(self._cos[index]), float(self._sin[index])
        dx, dy = (float(shift) for shift in self._shift[:, index])
        map_x = sum_scaled(self._x, (self._follow, self._follow_x, self._follow_y), (dx, cos, sin))
        map_y = sum_scaled(self._y, (self._follow, self._follow_x, self._follow_y), (dy, -sin, cos))
        return map_x, map_y


def sum_scaled(start: Image, terms: Sequence[Image], factors: Sequence[float]) -> Image:
    """`start` plus each term times its factor."""
    # Not a matrix product: BLAS would start a thread for each core in each rendering process.
    total: Image = start
    for term, factor in zip(terms, factors, strict=True):
        total = np.asarray(cv2.scaleAdd(term, factor, total), np.float32)
    return total


def bounds(mask: npt.NDArray[np.floating]) -> tuple[slice, slice]:
    """Rows and columns of the smallest box around what is above 0."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
