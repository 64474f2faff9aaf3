"""UBFC-rPPG DATASET_1 (Bobbia et al. 2019): `N-gt/vid.avi` beside `gtdump.xmp`.

The label file is a CSV without a header: time in ms, the sensor's heart rate in bpm, SpO2 in
percent, and contact PPG, about 62 lines a second. It says nothing of the video's frames.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.datasets.base import Dataset, FloatArray, Recording, Signals
from harness.datasets.parsing import check_clock, numbers, read_label_bytes
from harness.datasets.ubfc_tree import absent_parts, list_recordings
from rppg_core.errors import UserError

VIDEO_NAMES = "vid*.avi"  # vid.avi, but some copies have vid-12.avi
LABELS_NAME = "gtdump.xmp"
COLUMNS = ("time", "heart rate", "SpO2", "PPG")
NOMINAL_RATE_HZ = 30.0
SUBJECTS = ("5-gt", "6-gt", "7-gt", "8-gt", "10-gt", "11-gt", "12-gt", "after-exercise")


class Ubfc1Dataset(Dataset):
    """One folder for each subject below a root, as many as there are."""

    kind = "ubfc-rppg-1"

    def recordings(self) -> list[Recording]:
        """List the folders that hold a video or labels."""
        return list_recordings(self.name, self.root, "*", VIDEO_NAMES, LABELS_NAME, SUBJECTS[:2])

    def signals(self, recording: Recording) -> Signals:
        """Read the recording's label file; the frames keep their container's clock."""
        time_s, hr_bpm, _, ppg = read_gtdump(recording.video.parent / LABELS_NAME)
        return Signals(
            ppg=ppg,
            ppg_times_s=time_s,
            hr_bpm=hr_bpm,
            hr_times_s=time_s,
            nominal_rate_hz=NOMINAL_RATE_HZ,
        )

    def absent(self) -> list[str]:
        """Name the subjects, videos and label files that are not here."""
        return absent_parts(self.recordings(), SUBJECTS)


def read_gtdump(path: Path) -> FloatArray:
    """Parse a label file into (4, samples): time in s, bpm, SpO2 in percent, PPG (no unit).

    UserError for anything but lines of four numbers with times in ms.
    """
    lines = read_label_bytes(path).rstrip().splitlines()
    cells = [line.split(b",") for line in lines]
    for number, row in enumerate(cells, 1):
        if len(row) != len(COLUMNS):
            raise UserError(
                f"{path}, line {number}: {len(row)} values instead of {len(COLUMNS)} "
                f"({', '.join(COLUMNS)})"
            )
    if not cells:
        raise UserError(f"{path}: empty; lines of {', '.join(COLUMNS)} expected")
    columns = [
        numbers((cell.strip() for cell in column), f"{path}: {name} column")
        for column, name in zip(zip(*cells, strict=True), COLUMNS, strict=True)
    ]
    columns[0] = columns[0] / 1000
    check_clock(columns[0], str(path))
    return np.stack(columns)
