"""PURE (Stricker et al. 2014): a folder of PNG images for each recording, `01-01` to `10-06`.

`01-01.json` has the time of every image and, 60 times a second, the oximeter's wave and pulse
rate, all in ns of one clock. The file lies beside the folder of images or in it, and the images in
`01-01` or in `01-01/01-01`, as the archive was unpacked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harness.datasets.base import Dataset, FloatArray, Recording, Signals
from harness.datasets.parsing import check_clock, read_label_bytes
from harness.datasets.reading import folders, missing_subjects, nothing_found, one_line
from rppg_core.errors import UserError

SUBJECTS = range(1, 11)
NEVER_TAKEN = "06-02"  # the authors' own set has 59 of 60
FRAME_RATE_HZ = 30.0
IMAGE_SUFFIX = ".png"
IMAGES, SAMPLES = "/Image", "/FullPackage"
NS_PER_S = 10**9
MOTIONS = {
    "01": "still",
    "02": "talking",
    "03": "slow-translation",
    "04": "fast-translation",
    "05": "small-rotation",
    "06": "medium-rotation",
}
_NAME = re.compile(r"([0-9]{2})-(0[1-6])")


class PureDataset(Dataset):
    """Six kinds of head motion for each of ten subjects."""

    kind = "pure"
    conventions = ("ppg-fft", "hr-row", "hr-row-repaired")

    def recordings(self) -> list[Recording]:
        """List what has images or labels."""
        found = [
            Recording(
                id=name,
                subject=name[:2],
                video=_images(self.root, name),
                conditions={"motion": MOTIONS[name[3:]], "lighting": "natural"},
                label_file=_labels(self.root, name),
            )
            for name in self._names()
        ]
        if not found:
            raise nothing_found(self.name, self.root, "01-01/01-01.json and 01-01/*.png")
        return found

    def signals(self, recording: Recording) -> Signals:
        """Read the recording's JSON file; times start at the first image."""
        path = _labels(self.root, recording.id)
        if path is None:
            raise UserError(f"{self.root / recording.id}: no {recording.id}.json; fetch it")
        return read_labels(path)

    def absent(self) -> list[str]:
        """Name missing subjects of the ten, recordings, images and label files."""
        names = self._names()
        lines = missing_subjects((int(name[:2]) for name in names), SUBJECTS, "{:02d}")
        for subject in sorted({name[:2] for name in names}):
            for name in (f"{subject}-{motion}" for motion in MOTIONS):
                if name not in names and name != NEVER_TAKEN:
                    lines.append(f"{name}: not here")
        for name in names:
            if not _has_images(_images(self.root, name)):
                lines.append(f"{name}: no images")
            if _labels(self.root, name) is None:
                lines.append(f"{name}: no {name}.json")
        return lines

    def _names(self) -> list[str]:
        beside = (path.stem for path in self.root.glob("*.json"))
        names = {*folders(self.root, self.name), *beside}
        return [
            name
            for name in sorted(names)
            if _NAME.fullmatch(name)
            and (_labels(self.root, name) or _has_images(_images(self.root, name)))
        ]


def read_labels(path: Path) -> Signals:
    """Parse a label file; UserError for anything but times in ns and finite readings."""
    try:
        content = json.loads(read_label_bytes(path))
    except (ValueError, RecursionError) as error:  # a wrong encoding is a ValueError too
        raise UserError(f"{path}: not JSON ({one_line(error)}); fetch it again") from None
    images_ns = sorted(_time_ns(entry, path) for entry in _entries(content, IMAGES, path))
    # Packets of the sensor may be stored out of turn; each carries its own time.
    samples = sorted(_samples(content, path), key=lambda sample: sample[0])
    frame_times_s = _seconds(images_ns, images_ns[0])
    check_clock(frame_times_s, f"{path}: {IMAGES}")
    sample_times_s = _seconds([sample[0] for sample in samples], images_ns[0])
    if sample_times_s[0] > frame_times_s[-1] or sample_times_s[-1] < 0:
        raise UserError(f"{path}: its images and its pulse wave are of different times")
    return Signals(
        frame_times_s=frame_times_s,
        ppg=_column([sample[1] for sample in samples], path),
        ppg_times_s=sample_times_s,
        hr_bpm=_column([sample[2] for sample in samples], path),
        hr_times_s=sample_times_s,
        nominal_rate_hz=FRAME_RATE_HZ,
    )


def _samples(content: Any, path: Path) -> Iterator[tuple[int, float, float]]:
    for entry in _entries(content, SAMPLES, path):
        value = entry.get("Value")
        if not isinstance(value, dict):
            raise UserError(f"{path}: an entry of {SAMPLES} has no Value")
        yield (
            _time_ns(entry, path),
            _number(value, "waveform", path),
            _number(value, "pulseRate", path),
        )


def _entries(content: Any, key: str, path: Path) -> list[dict[str, Any]]:
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{path}: no list {key!r} in it; is it a label file of PURE?")
    if not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{path}: {key!r} holds something without a Timestamp")
    return entries


def _time_ns(entry: dict[str, Any], path: Path) -> int:
    time_ns = entry.get("Timestamp")
    if type(time_ns) is not int or not 0 <= time_ns < 2**63:
        raise UserError(f"{path}: a Timestamp is {str(time_ns)[:40]!r}, not whole ns")
    return time_ns


def _number(value: dict[str, Any], key: str, path: Path) -> float:
    number = value.get(key)
    if type(number) is float:
        return number
    if type(number) is not int or abs(number) > 2**53:
        raise UserError(f"{path}: {key} is {str(number)[:40]!r}, not a number")
    return float(number)


def _column(values: list[float], path: Path) -> FloatArray:
    column = np.array(values, dtype=np.float64)
    if not np.isfinite(column).all():
        raise UserError(f"{path}: {SAMPLES} holds something that is not a finite number")
    return column


def _seconds(times_ns: list[int], start_ns: int) -> FloatArray:
    """Times in s since `start_ns`, subtracted as integers: a float64 cannot hold ns since 1970."""
    return np.array([time_ns - start_ns for time_ns in times_ns], dtype=np.float64) / NS_PER_S


def _labels(root: Path, name: str) -> Path | None:
    candidates = (root / name / f"{name}.json", root / f"{name}.json")
    return next((path for path in candidates if path.is_file()), None)


def _images(root: Path, name: str) -> Path:
    """Return where the images are or, if there are none, where they should be."""
    return root / name if _has_images(root / name) else root / name / name


def _has_images(folder: Path) -> bool:
    return folder.is_dir() and any(p.suffix.lower() == IMAGE_SUFFIX for p in folder.iterdir())
