"""VIPL-HR-V2 as the RePSS challenge gave it out (Li et al. 2020): `train/7/video1.mp4.avi`, ...

Beside the five videos of a subject lies `gt.csv`: a header of the videos' names, their mean heart
rates in bpm, and their mean frame rates. There is no pulse wave and there are no frame times.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from harness.datasets.base import Dataset, Recording, Signals, natural_key
from harness.datasets.parsing import RATE_LIMITS_HZ, numbers
from harness.datasets.reading import (
    folders,
    missing_files,
    missing_subjects,
    nothing_found,
    read_lines,
)
from rppg_core.errors import UserError

LABELS_NAME = "gt.csv"
VIDEO_SUFFIX = ".mp4.avi"
VIDEOS = tuple(f"video{number}" for number in range(1, 6))
ROWS = ("Heart rate", "fps_mean")


class ViplHrV2Dataset(Dataset):
    """Subjects are numbered folders in `train`, or in the root itself."""

    kind = "vipl-hr-v2"
    conventions = ("hr-row",)

    def recordings(self) -> list[Recording]:
        """List five videos for every labelled subject, and every video of the others."""
        found = [
            Recording(
                id=f"{subject.name}/{video}",
                subject=subject.name,
                video=subject / (video + VIDEO_SUFFIX),
                label_file=subject / LABELS_NAME,
            )
            for subject in self._subjects
            for video in _videos(subject)
        ]
        if not found:
            raise nothing_found(self.name, self._folder, f"N/{LABELS_NAME} or N/video1.mp4.avi")
        return found

    def signals(self, recording: Recording) -> Signals:
        """Read the recording's column of its subject's label file."""
        path = recording.video.parent / LABELS_NAME
        columns = read_gt(path)
        video = recording.video.name.removesuffix(VIDEO_SUFFIX)
        if video not in columns:
            raise UserError(f"{path}: no column {video}; it has {', '.join(columns)}")
        bpm, rate_hz = columns[video]
        return Signals(hr_bpm=np.array([bpm]), nominal_rate_hz=rate_hz)

    def absent(self) -> list[str]:
        """Name subjects missing between the first and the last, and missing files."""
        there = [int(subject.name) for subject in self._subjects]
        lines = missing_subjects(there, range(1, max(there, default=0) + 1), "{}")
        for subject in self._subjects:
            lines += missing_files(subject.name, [subject / LABELS_NAME])
            for video in VIDEOS:
                file = subject / (video + VIDEO_SUFFIX)
                lines += missing_files(f"{subject.name}/{video}", [file])
        return lines

    @property
    def _folder(self) -> Path:
        return self.root / "train" if (self.root / "train").is_dir() else self.root

    @cached_property
    def _subjects(self) -> list[Path]:
        names = [name for name in folders(self._folder, self.name) if name.isdecimal()]
        return [self._folder / name for name in sorted(names, key=natural_key)]


def read_gt(path: Path) -> dict[str, tuple[float, float]]:
    """Return (heart rate in bpm, frames a second) of each video in a label file."""
    rows = [[cell.strip() for cell in line.split(b",")] for line in read_lines(path)]
    if [row[0].decode("ascii", "replace") for row in rows] != ["", *ROWS]:
        raise UserError(f"{path}: rows must begin with '', {ROWS[0]!r} and {ROWS[1]!r}")
    videos = [cell.decode("ascii", "replace") for cell in rows[0][1:]]
    if not videos or len(set(videos)) != len(videos) or not set(videos) <= set(VIDEOS):
        raise UserError(f"{path}: its columns must be {', '.join(VIDEOS)}, each once")
    if {len(row) for row in rows} != {len(rows[0])}:
        raise UserError(f"{path}: rows of different length")
    bpm, rate_hz = (
        numbers(row[1:], f"{path}: row {name!r}") for name, row in zip(ROWS, rows[1:], strict=True)
    )
    low, high = RATE_LIMITS_HZ
    if not ((low <= rate_hz) & (rate_hz <= high)).all():
        raise UserError(f"{path}: row {ROWS[1]!r} holds something that is no frame rate")
    return dict(zip(videos, zip(bpm.tolist(), rate_hz.tolist(), strict=True), strict=True))


def _videos(subject: Path) -> list[str]:
    if (subject / LABELS_NAME).exists():
        return list(VIDEOS)
    return [video for video in VIDEOS if (subject / (video + VIDEO_SUFFIX)).exists()]
