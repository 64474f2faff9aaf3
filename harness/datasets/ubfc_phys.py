"""UBFC-Phys (Meziati Sabour et al. 2021): `s1/vid_s1_T1.avi` beside `bvp_s1_T1.csv`.

The label file has the pulse wave of an Empatica E4 wristband, one value a line, 64 a second. The
sensor gives no heart rate.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path

import numpy as np

from harness.datasets.base import Dataset, FloatArray, Recording, Signals, natural_key
from harness.datasets.reading import (
    even_times,
    folders,
    missing_files,
    missing_subjects,
    nothing_found,
    read_column,
)
from rppg_core.errors import UserError

SUBJECTS = range(1, 57)
FRAME_RATE_HZ = 35.0
BVP_RATE_HZ = 64.0
# An E4's wave stays below 10,000; its own exports begin with the time, over 1,000,000,000.
LARGEST_BVP = 1e6
TASKS = {
    "T1": {"task": "rest", "motion": "still"},
    "T2": {"task": "speech", "motion": "talking"},
    "T3": {"task": "arithmetic", "motion": "talking"},
}


class UbfcPhysDataset(Dataset):
    """Three tasks for each subject."""

    kind = "ubfc-phys"
    conventions = ("ppg-fft",)

    def recordings(self) -> list[Recording]:
        """List the tasks that have a video or a pulse wave."""
        found = [
            Recording(
                id=f"{subject}_{task}",
                subject=subject,
                video=self._video(subject, task),
                conditions=conditions,
                label_file=self._wave(subject, task),
            )
            for subject in self._subjects
            for task, conditions in TASKS.items()
            if self._video(subject, task).exists() or self._wave(subject, task).exists()
        ]
        if not found:
            raise nothing_found(self.name, self.root, "s1/vid_s1_T1.avi")
        return found

    def signals(self, recording: Recording) -> Signals:
        """Read the pulse wave."""
        path = self._wave(recording.subject, recording.id.removeprefix(recording.subject + "_"))
        wave = read_wave(path)
        return Signals(
            ppg=wave,
            ppg_times_s=even_times(len(wave), BVP_RATE_HZ, f"{path}"),
            nominal_rate_hz=FRAME_RATE_HZ,
        )

    def absent(self) -> list[str]:
        """Name missing subjects of the 56, videos and pulse waves."""
        lines = missing_subjects((int(name[1:]) for name in self._subjects), SUBJECTS, "s{}")
        for subject in self._subjects:
            for task in TASKS:
                files = [self._video(subject, task), self._wave(subject, task)]
                lines += missing_files(f"{subject}_{task}", files)
        return lines

    def _video(self, subject: str, task: str) -> Path:
        return self.root / subject / f"vid_{subject}_{task}.avi"

    def _wave(self, subject: str, task: str) -> Path:
        return self.root / subject / f"bvp_{subject}_{task}.csv"

    @cached_property
    def _subjects(self) -> list[str]:
        names = [n for n in folders(self.root, self.name) if re.fullmatch(r"s[1-9][0-9]*", n)]
        return sorted(names, key=natural_key)


def read_wave(path: Path) -> FloatArray:
    """Return the pulse wave (samples,) in a label file."""
    wave = read_column(path, None)
    if np.abs(wave).max() > LARGEST_BVP:
        raise UserError(f"{path}: holds a value too large for a pulse wave; is it another file?")
    return wave
