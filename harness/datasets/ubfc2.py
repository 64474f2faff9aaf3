"""UBFC-rPPG DATASET_2 (Bobbia et al. 2019): `subjectN/vid.avi` beside `ground_truth.txt`.

The label file has three rows with one value for each frame: contact PPG, the sensor's heart rate
in bpm, and time in s. The container says 30 fps whatever the camera did, so frame times are taken
from the third row.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from harness.datasets.base import (
    PLAUSIBLE_BPM,
    Dataset,
    FloatArray,
    Labels,
    Recording,
    natural_key,
)
from rppg_core.errors import UserError
from rppg_core.postprocess import heart_rate

Convention = Literal["ppg-fft", "hr-row"]

VIDEO_NAME = "vid.avi"
LABELS_NAME = "ground_truth.txt"
ROW_NAMES = ("PPG", "heart rate", "time")
MIN_DURATION_S = 2.0  # shorter than two beats at 60 bpm: no rate can be told
# Outside these the time row is not in seconds, or is not one value a frame.
FRAME_RATE_LIMITS_HZ = (5.0, 1000.0)
_NUMBER_CHARACTERS = frozenset("0123456789+-.eE")


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The three rows of a label file, each (frames,): PPG (no unit), bpm, s."""

    ppg: FloatArray
    hr_bpm: FloatArray
    time_s: FloatArray


class Ubfc2Dataset(Dataset):
    """`subjectN` folders below a root; those without a video are left out."""

    kind = "ubfc-rppg-2"

    def __init__(self, name: str, root: Path, convention: Convention = "ppg-fft") -> None:
        super().__init__(name, root)
        self.convention: Convention = convention

    def recordings(self) -> list[Recording]:
        """List the `subjectN` folders that hold a video."""
        if not self.root.is_dir():
            raise UserError(f"dataset {self.name}: no folder {self.root}; correct its root")
        found = sorted(self.root.glob("subject*/" + VIDEO_NAME), key=lambda p: natural_key(str(p)))
        if not found:
            raise UserError(
                f"dataset {self.name}: no subjectN/{VIDEO_NAME} in {self.root}; "
                "root must be the folder that holds subject1, subject3, ..."
            )
        return [Recording(id=p.parent.name, subject=p.parent.name, video=p) for p in found]

    def labels(self, recording: Recording) -> Labels:
        """Read the recording's label file by the dataset's convention."""
        path = recording.video.parent / LABELS_NAME
        truth = read_ground_truth(path)
        return Labels(
            reference_bpm=reference_bpm(truth, self.convention, path),
            convention=self.convention,
            frame_times_s=truth.time_s,
            ppg=truth.ppg,
        )


def read_ground_truth(path: Path) -> GroundTruth:
    """Parse a label file; UserError for anything but three equally long rows of numbers."""
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        raise UserError(f"{path}: no such label file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a label file ({error})") from None
    lines = text.rstrip().split("\n") if text.strip() else []
    if len(lines) != len(ROW_NAMES):
        raise UserError(
            f"{path}: {len(lines)} rows instead of {len(ROW_NAMES)} ({', '.join(ROW_NAMES)})"
        )
    rows = [
        _numbers(line, f"{path}: {name} row") for line, name in zip(lines, ROW_NAMES, strict=True)
    ]
    if len({len(row) for row in rows}) != 1:
        lengths = ", ".join(f"{n} {len(row)}" for n, row in zip(ROW_NAMES, rows, strict=True))
        raise UserError(f"{path}: rows of different length ({lengths})")
    _check_times(rows[2], path)
    return GroundTruth(*rows)


def write_ground_truth(path: Path, truth: GroundTruth) -> None:
    """Write a label file as the dataset's authors do: three rows in scientific notation."""
    rows = (truth.ppg, truth.hr_bpm, truth.time_s)
    path.write_text(
        "".join(" ".join(f"{value: .7e}" for value in row) + "\n" for row in rows),
        encoding="ascii",
    )


def reference_bpm(truth: GroundTruth, convention: Convention, path: Path) -> float:
    """Heart rate of a whole recording; UserError, naming `path`, where there is none to be had."""
    bpm = float(truth.hr_bpm.mean()) if convention == "hr-row" else _ppg_rate_bpm(truth, path)
    low, high = PLAUSIBLE_BPM
    if not low <= bpm <= high:
        raise UserError(f"{path}: heart rate {bpm:.1f} bpm ({convention}) is not a person's")
    return bpm


def _ppg_rate_bpm(truth: GroundTruth, path: Path) -> float:
    """Spectral heart rate of the contact PPG, on a uniform grid of the recording's mean rate."""
    # Buffered sensor values come as several with one time; the first is the one taken then.
    time_s, first = np.unique(truth.time_s, return_index=True)
    ppg = truth.ppg[first]
    largest = np.abs(ppg).max()
    ppg = ppg / largest if largest > 0 else ppg
    grid_s = np.linspace(time_s[0], time_s[-1], len(truth.time_s))
    rate_hz = (len(grid_s) - 1) / (time_s[-1] - time_s[0])
    try:
        return heart_rate(np.interp(grid_s, time_s, ppg), float(rate_hz))
    except UserError as error:
        raise UserError(f"{path}: no heart rate in the PPG row: {error}") from None


def _numbers(line: str, where: str) -> FloatArray:
    words = line.split()
    # float() takes nan, inf and 1_000 too; none of them is a measured value.
    if not all(_NUMBER_CHARACTERS.issuperset(word) for word in words):
        raise UserError(f"{where} holds something that is not a number")
    try:
        values = np.array([float(word) for word in words], dtype=np.float64)
    except ValueError:
        raise UserError(f"{where} holds something that is not a number") from None
    if not np.isfinite(values).all():
        raise UserError(f"{where} holds a number too large to be measured")
    return values


def _check_times(time_s: FloatArray, path: Path) -> None:
    if (np.diff(time_s) < 0).any():
        at = int(np.argmax(np.diff(time_s) < 0)) + 1
        raise UserError(
            f"{path}: time goes back from {time_s[at - 1]:.6g} to {time_s[at]:.6g} s at value "
            f"{at + 1}; the time row must not decrease"
        )
    duration_s = float(time_s[-1] - time_s[0]) if len(time_s) else 0.0
    if not duration_s >= MIN_DURATION_S:
        raise UserError(f"{path}: {duration_s:.2f} s of labels; at least {MIN_DURATION_S:g} needed")
    rate_hz = (len(time_s) - 1) / duration_s
    low, high = FRAME_RATE_LIMITS_HZ
    if not low <= rate_hz <= high:
        raise UserError(
            f"{path}: {rate_hz:.4g} values a second is no frame rate; is the time row in seconds?"
        )
