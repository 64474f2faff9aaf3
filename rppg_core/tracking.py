"""The steady box that follows a face between detections."""

from dataclasses import dataclass
from typing import List, NamedTuple, Optional

import numpy as np

from rppg_core.errors import UserError
from rppg_core.faces import Box, Detector, Face

DETECT_EVERY_FRAMES = 60  # as accurate as 10 and 30 on moving heads, at half the cost of 30
SEARCH_EVERY_FRAMES = 5  # while there is no face
HOLD_S = 2.0  # a box outlives its last sighting by this long
STILL_OVERLAP = 0.8  # a detection that agrees this well is jitter and moves nothing
SAME_FACE_OVERLAP = 0.2
CENTRE_WEIGHT = 0.5  # how much being off-centre counts against size, among several faces


@dataclass(frozen=True)
class TrackSettings:
    """How often to look for the face, and how long to trust the last sighting."""

    detect_every_frames: int = DETECT_EVERY_FRAMES
    hold_s: float = HOLD_S

    def __post_init__(self) -> None:
        """Refuse settings that cannot mean anything."""
        if self.detect_every_frames < 1 or not 0 <= self.hold_s < float("inf"):
            raise UserError("detect every 1 frame or more, and hold for 0 s or more")


class Sighting(NamedTuple):
    """Where the face is in this frame: `box` is None while it is lost."""

    box: Optional[Box]
    searched: bool
    found: bool


class FaceTracker:
    """Follows one face: push every frame, get its box."""

    def __init__(self, detector: Detector, settings: Optional[TrackSettings] = None) -> None:
        self._detector = detector
        self._settings = settings or TrackSettings()
        self._box: Optional[Box] = None
        self._seen_s = -float("inf")
        self._next_search = 0
        self.searches = 0
        self.sightings = 0

    def push(self, index: int, time_s: float, rgb: np.ndarray) -> Sighting:
        """The box for frame `index`, shown at `time_s`."""
        searched = index >= self._next_search
        found = searched and self._search(time_s, rgb)
        if searched:
            wait = self._settings.detect_every_frames
            self._next_search = index + (wait if found else min(wait, SEARCH_EVERY_FRAMES))
        if searched and not found and time_s - self._seen_s > self._settings.hold_s:
            self._box = None
        return Sighting(self._box, searched, found)

    def _search(self, time_s: float, rgb: np.ndarray) -> bool:
        self.searches += 1
        if self._box is None:
            faces = self._detector.detect(rgb)
        else:
            faces = self._detector.detect_near(rgb, self._box)
        if not faces:
            return False
        face = self._choose(faces, rgb.shape[1], rgb.shape[0])
        if face is None:
            return False
        self.sightings += 1
        self._seen_s = time_s
        if self._box is None or self._box.overlap(face.box) < STILL_OVERLAP:
            self._box = face.box
        return True

    def _choose(self, faces: List[Face], width: int, height: int) -> Optional[Face]:
        """The face that is followed already, else the largest and most central one."""
        followed = self._box
        if followed is not None:
            nearest = max(faces, key=lambda f: f.box.overlap(followed))
            # A face elsewhere is another person until the followed one is given up.
            return nearest if nearest.box.overlap(followed) >= SAME_FACE_OVERLAP else None
        return max(faces, key=lambda f: _prominence(f.box, width, height))


def _prominence(box: Box, width: int, height: int) -> float:
    across = (box.x + box.width / 2) / width - 0.5
    down = (box.y + box.height / 2) / height - 0.5
    off_centre = min(1.0, 2.0 * float(np.hypot(across, down)))
    return box.width * box.height * (1.0 - CENTRE_WEIGHT * off_centre)
