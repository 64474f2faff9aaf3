"""What every dataset gives: recordings, and for each its labels."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# Called with (recordings ready, recordings in all, id of the one just made).
Progress = Callable[[int, int, str], None]

# A resting or exercising person; anything outside is a mistake in a label, not a heart rate.
PLAUSIBLE_BPM = (30.0, 240.0)


@dataclass(frozen=True)
class Recording:
    """One video of one subject; `conditions` say how it was taken (light, motion, ...)."""

    id: str
    subject: str
    video: Path
    conditions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Signals:
    """What a dataset's own files say about one recording, parsed but not repaired.

    Times are in s on one clock; None where the dataset has no such thing. `frame_times_s` (frames,)
    is when each frame was taken; `ppg` (samples,) the contact pulse wave at `ppg_times_s`;
    `hr_bpm` (readings,) the sensor's heart rate at `hr_times_s` (None: one value for all of the
    recording). `nominal_rate_hz` is the frame rate that the dataset's files or authors declare.
    """

    frame_times_s: FloatArray | None = None
    ppg: FloatArray | None = None
    ppg_times_s: FloatArray | None = None
    hr_bpm: FloatArray | None = None
    hr_times_s: FloatArray | None = None
    nominal_rate_hz: float | None = None


@dataclass(frozen=True, eq=False)
class Labels:
    """The truth about one recording.

    `convention` names how `reference_bpm` was derived. `frame_times_s` (frames,) replace the
    container's timestamps and never decrease, but may repeat; `ppg` (frames,) is the contact
    pulse wave at those times. Both are None where the dataset has none.
    """

    reference_bpm: float
    convention: str
    frame_times_s: FloatArray | None = None
    ppg: FloatArray | None = None


class Dataset(ABC):
    """A named set of recordings under one root folder."""

    kind: str
    synthetic = False

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self.root = root

    def prepare(self, progress: Progress | None = None) -> None:  # noqa: B027 - optional hook
        """Make whatever must exist before a replay; nothing where the videos are given."""

    @abstractmethod
    def recordings(self) -> list[Recording]:
        """List every recording in natural order, opening no video; UserError if there is none."""

    @abstractmethod
    def labels(self, recording: Recording) -> Labels:
        """Parse the labels of one recording strictly; UserError says what is wrong with them."""


def natural_key(text: str) -> list[str | int]:
    """Sort key that puts subject2 before subject10."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"([0-9]+)", text))]
