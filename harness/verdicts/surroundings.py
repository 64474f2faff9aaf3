"""Classes of light and motion, by what was measured on the face while it was replayed."""

from __future__ import annotations

from dataclasses import dataclass

# Mean luma of the face in the video, of full scale. Cameras expose a face in even light at 0.35 to
# 0.6; very dark skin in such light lies near the lower limit. This is brightness in the picture,
# not lux: a camera that brightens a dark room shows it as noise instead.
DARK_BELOW = 0.2
BRIGHT_FROM = 0.7
# Face widths a second. Sitting faces measured 0.003 to 0.006, gently moving ones 0.035 and more.
MOVING_FROM = 0.02
# With the face missing from a larger share of the frames it counts as lost for a while.
FACE_LOST_ABOVE = 0.02

LIGHTS = ("dark", "normal", "bright")
MOTIONS = ("still", "moving")


@dataclass(frozen=True)
class Surroundings:
    """A recording's mean ``luminance`` (0 to 1) and ``speed`` (face widths a second).

    Each is None where it could not be measured. ``face_share`` is that of frames with a face.
    """

    luminance: float | None
    speed: float | None
    face_share: float | None

    @property
    def light(self) -> str | None:
        """Dark, normal or bright."""
        if self.luminance is None:
            return None
        if self.luminance < DARK_BELOW:
            return LIGHTS[0]
        return LIGHTS[1] if self.luminance < BRIGHT_FROM else LIGHTS[2]

    @property
    def motion(self) -> str | None:
        """Still or moving."""
        return None if self.speed is None else MOTIONS[self.speed >= MOVING_FROM]

    @property
    def face(self) -> str | None:
        """Whether the face was there throughout."""
        if self.face_share is None:
            return None
        return "lost for a while" if self.face_share < 1 - FACE_LOST_ABOVE else "throughout"
