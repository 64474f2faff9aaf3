"""What every dataset gives: recordings, and for each its labels."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.datasets import conventions
from harness.datasets.signals import PLAUSIBLE_BPM, FloatArray, Labels, Signals
from rppg_core.errors import UserError

__all__ = [
    "PLAUSIBLE_BPM",
    "Dataset",
    "FloatArray",
    "Labels",
    "Progress",
    "Recording",
    "Signals",
    "natural_key",
]

# Called with (recordings ready, recordings in all, id of the one just made).
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Recording:
    """One video of one subject; `conditions` say how it was taken (light, motion, ...).

    Neither `video` nor `label_file` need exist: a part of a dataset may not have been fetched.
    """

    id: str
    subject: str
    video: Path
    conditions: Mapping[str, str] = field(default_factory=dict)
    label_file: Path | None = None


class Dataset(ABC):
    """A named set of recordings under one root folder.

    `conventions` are the ways in which this kind can tell the true heart rate, the first being
    the usual one; `convention` is the one in use.
    """

    kind: str
    synthetic = False
    conventions: tuple[str, ...] = conventions.CONVENTIONS

    def __init__(self, name: str, root: Path, convention: str | None = None) -> None:
        """UserError for a convention that this kind of dataset cannot give."""
        self.name = name
        self.root = root
        self.convention = self.conventions[0] if convention is None else convention
        if self.convention not in self.conventions:
            raise UserError(
                f"dataset {name}: labels: {self.kind} has no {convention}; it has: "
                f"{', '.join(self.conventions)}"
            )

    def prepare(self, progress: Progress | None = None) -> None:  # noqa: B027 - optional hook
        """Make whatever must exist before a replay; nothing where the videos are given."""

    def narrow(self, ids: Collection[str]) -> Dataset:
        """This dataset, or one that prepares no more than the recordings of these ids."""
        return self

    @abstractmethod
    def recordings(self) -> list[Recording]:
        """List every recording that has a video or labels, in natural order, opening none.

        UserError if there is none.
        """

    @abstractmethod
    def signals(self, recording: Recording) -> Signals:
        """Parse the recording's label files strictly; UserError says what is wrong with them."""

    def labels(self, recording: Recording) -> Labels:
        """The truth by the convention in use; UserError where the files do not give it."""
        where = str(recording.label_file or f"dataset {self.name}: {recording.id}")
        return conventions.derive(self.signals(recording), self.convention, where, self.conventions)

    def take(self, recording: Recording) -> str:
        """Name what was filmed; recordings by several cameras at once have one take and labels."""
        return recording.id

    def absent(self) -> list[str]:
        """One line for each thing that the whole dataset has and this copy of it has not."""
        return []


def natural_key(text: str) -> list[str | int]:
    """Sort key that puts subject2 before subject10."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"([0-9]+)", text))]
