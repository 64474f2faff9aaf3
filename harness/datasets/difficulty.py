"""What makes a clip hard, by name. A new difficulty is one line of `DIFFICULTIES`.

Each differs from `still` in what it is named after and in nothing else, so that a figure that
falls has one cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rppg_core.errors import UserError

Lighting = Literal["even", "dark", "drift", "flicker"]
Rates = dict[str, tuple[float, float]]

# Ranges of the mean heart rate, clear of the group boundaries 77 and 90 by more than the drift
# within a clip can move its spectral peak.
GROUPS_BPM: Rates = {"low": (49.0, 74.0), "middle": (80.0, 87.0), "high": (94.0, 143.0)}
# The ends of what hearts do, beyond the band that post-processing looks at by default.
WIDE_GROUPS_BPM: Rates = {"low": (40.0, 48.0), "middle": (80.0, 87.0), "high": (145.0, 180.0)}


@dataclass(frozen=True)
class Scene:
    """How a clip is taken; the defaults are an even room and a good camera.

    `flicker` is the depth of a flickering lamp, as a share of its light. `bitrate_kbps` of 0 is
    the project's own encoding, which keeps the pulse; any other is x264 as cameras and calls use
    it. `turned_deg` is how far the container says to turn the picture clockwise. `companions` are
    other faces, with pulses of their own. Once for `hidden_s` the face is covered. `monk` is a
    tone of the Monk scale, 0 one near the portrait's own.
    """

    lighting: Lighting = "even"
    flicker: float = 0.0
    rate_hz: int = 30
    variable_rate: bool = False
    bitrate_kbps: int = 0
    turned_deg: int = 0
    companions: int = 0
    hidden_s: int = 0
    monk: int = 0

    @property
    def video_name(self) -> str:
        """AVI, as UBFC-rPPG has it, unless the clip needs what AVI cannot hold."""
        return "vid.mp4" if self.variable_rate or self.turned_deg else "vid.avi"

    def conditions(self) -> dict[str, str]:
        """The scene in the words of `Recording.conditions`."""
        return {
            "lighting": self.lighting,
            "flicker": f"{100 * self.flicker:g} %",
            "frame_rate": "variable" if self.variable_rate else str(self.rate_hz),
            "compression": f"h264-{self.bitrate_kbps}k" if self.bitrate_kbps else "h264-fine",
            "rotation": str(self.turned_deg),
            "faces": str(1 + self.companions),
            "face_hidden_s": str(self.hidden_s),
        }


PLAIN = Scene()


@dataclass(frozen=True)
class Difficulty:
    """Clips with one thing hard about them: its scenes, from easy to hard, each in turn."""

    scenes: tuple[Scene, ...] = (PLAIN,)
    moving: bool = False
    groups: tuple[tuple[str, tuple[float, float]], ...] = tuple(GROUPS_BPM.items())


DIFFICULTIES: dict[str, Difficulty] = {
    "still": Difficulty(),
    "motion": Difficulty(moving=True),
    "dark": Difficulty((Scene(lighting="dark"),)),
    "dark-motion": Difficulty((Scene(lighting="dark"),), moving=True),
    "drift": Difficulty((Scene(lighting="drift"),)),
    "flicker": Difficulty(
        tuple(Scene(lighting="flicker", flicker=depth) for depth in (0.002, 0.01, 0.03))
    ),
    "compressed": Difficulty(tuple(Scene(bitrate_kbps=rate) for rate in (2000, 800, 300))),
    "low-rate": Difficulty(tuple(Scene(rate_hz=rate) for rate in (15, 10))),
    "variable-rate": Difficulty((Scene(rate_hz=24, variable_rate=True),)),
    "rotated": Difficulty(tuple(Scene(turned_deg=turn) for turn in (90, 180, 270))),
    "several-faces": Difficulty((Scene(companions=2),)),
    "face-lost": Difficulty(tuple(Scene(hidden_s=length) for length in (2, 4))),
    "skin-tones": Difficulty(tuple(Scene(monk=tone) for tone in range(1, 11))),
    "wide-rates": Difficulty(groups=tuple(WIDE_GROUPS_BPM.items())),
}


def check_names(names: Sequence[str]) -> None:
    """UserError, listing what there is, unless all are names of difficulties."""
    for name in names:
        if name not in DIFFICULTIES:
            raise UserError(f"no difficulty {name!r}; there are: {', '.join(DIFFICULTIES)}")
