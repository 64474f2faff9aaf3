"""UBFC-rPPG DATASET_2 (Bobbia et al. 2019): `subjectN/vid.avi` beside `ground_truth.txt`.

The label file has three rows with one value for each frame: contact PPG, the sensor's heart rate
in bpm, and time in s. The container says 30 fps whatever the camera did, so frame times are taken
from the third row.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.datasets.base import Dataset, FloatArray, Recording, Signals
from harness.datasets.parsing import check_clock, numbers, read_label_bytes
from harness.datasets.ubfc_tree import absent_parts, list_recordings
from rppg_core.errors import UserError

VIDEO_NAME = "vid.avi"
LABELS_NAME = "ground_truth.txt"
ROW_NAMES = ("PPG", "heart rate", "time")
NOMINAL_RATE_HZ = 30.0
SUBJECTS = tuple(
    f"subject{number}" for number in (1, 3, 4, 5, *range(8, 19), 20, *range(22, 28), *range(30, 50))
)


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The three rows of a label file, each (frames,): PPG (no unit), bpm, s."""

    ppg: FloatArray
    hr_bpm: FloatArray
    time_s: FloatArray


class Ubfc2Dataset(Dataset):
    """`subjectN` folders below a root, as many as there are."""

    kind = "ubfc-rppg-2"

    def recordings(self) -> list[Recording]:
        """List the `subjectN` folders that hold a video or labels."""
        return list_recordings(
            self.name, self.root, "subject*", VIDEO_NAME, LABELS_NAME, SUBJECTS[:2]
        )

    def signals(self, recording: Recording) -> Signals:
        """Read the recording's label file; its one clock is that of the frames."""
        truth = read_ground_truth(recording.video.parent / LABELS_NAME)
        return Signals(
            frame_times_s=truth.time_s,
            ppg=truth.ppg,
            ppg_times_s=truth.time_s,
            hr_bpm=truth.hr_bpm,
            hr_times_s=truth.time_s,
            nominal_rate_hz=NOMINAL_RATE_HZ,
        )

    def absent(self) -> list[str]:
        """Name the subjects, videos and label files that are not here."""
        return absent_parts(self.recordings(), SUBJECTS)


def read_ground_truth(path: Path) -> GroundTruth:
    """Parse a label file; UserError for anything but three equally long rows of numbers."""
    lines = read_label_bytes(path).rstrip().splitlines()
    if len(lines) != len(ROW_NAMES):
        raise UserError(
            f"{path}: {len(lines)} rows instead of {len(ROW_NAMES)} ({', '.join(ROW_NAMES)})"
        )
    rows = [
        numbers(line.split(), f"{path}: {name} row")
        for line, name in zip(lines, ROW_NAMES, strict=True)
    ]
    if len({len(row) for row in rows}) != 1:
        lengths = ", ".join(f"{n} {len(row)}" for n, row in zip(ROW_NAMES, rows, strict=True))
        raise UserError(f"{path}: rows of different length ({lengths})")
    check_clock(rows[2], str(path))
    return GroundTruth(*rows)


def write_ground_truth(path: Path, truth: GroundTruth) -> None:
    """Write a label file as the dataset's authors do: three rows in scientific notation."""
    rows = (truth.ppg, truth.hr_bpm, truth.time_s)
    path.write_text(
        "".join(" ".join(f"{value: .7e}" for value in row) + "\n" for row in rows),
        encoding="ascii",
    )
