"""COHFACE (Heusch et al. 2017): `1/0/data.avi` beside `data.hdf5`, which has the pulse at 256 Hz.

Of a subject's four sessions the first two are lit by a lamp, the last two by daylight. The sensor
gives no heart rate.
"""

from __future__ import annotations

from functools import cached_property
from numbers import Real
from pathlib import Path

import h5py
import numpy as np

from harness.datasets.base import Dataset, FloatArray, Recording, Signals, natural_key
from harness.datasets.reading import (
    even_times,
    folders,
    missing_files,
    missing_subjects,
    nothing_found,
    one_line,
)
from rppg_core.errors import UserError

SUBJECTS = range(1, 41)
VIDEO_NAME, LABELS_NAME = "data.avi", "data.hdf5"
PULSE, RATE = "pulse", "sample-rate-hz"
PULSE_RATE_HZ = 256.0
FRAME_RATE_HZ = 20.0
LIGHTING = {"0": "lamp", "1": "lamp", "2": "natural", "3": "natural"}


class CohfaceDataset(Dataset):
    """Four sessions for each subject."""

    kind = "cohface"
    conventions = ("ppg-fft",)

    def recordings(self) -> list[Recording]:
        """List the sessions that have a video or labels."""
        found = [
            Recording(
                id=f"{subject}/{session}",
                subject=subject,
                video=self.root / subject / session / VIDEO_NAME,
                conditions={"lighting": lighting, "motion": "still", "device": "webcam"},
                label_file=self.root / subject / session / LABELS_NAME,
            )
            for subject in self._subjects
            for session, lighting in LIGHTING.items()
            if any((self.root / subject / session / n).exists() for n in (VIDEO_NAME, LABELS_NAME))
        ]
        if not found:
            raise nothing_found(self.name, self.root, f"1/0/{VIDEO_NAME}")
        return found

    def signals(self, recording: Recording) -> Signals:
        """Read the pulse wave."""
        path = recording.video.parent / LABELS_NAME
        pulse, rate_hz = read_pulse(path)
        return Signals(
            ppg=pulse,
            ppg_times_s=even_times(len(pulse), rate_hz, f"{path}"),
            nominal_rate_hz=FRAME_RATE_HZ,
        )

    def absent(self) -> list[str]:
        """Name missing subjects of the 40, videos and label files."""
        lines = missing_subjects(map(int, self._subjects), SUBJECTS, "{}")
        for subject in self._subjects:
            for session in LIGHTING:
                files = [self.root / subject / session / name for name in (VIDEO_NAME, LABELS_NAME)]
                lines += missing_files(f"{subject}/{session}", files)
        return lines

    @cached_property
    def _subjects(self) -> list[str]:
        names = [name for name in folders(self.root, self.name) if name.isdecimal()]
        return sorted(names, key=natural_key)


def read_pulse(path: Path) -> tuple[FloatArray, float]:
    """Return the pulse wave (samples,) and its samples a second."""
    if not path.exists():
        raise UserError(f"{path}: no such label file; fetch it")
    try:
        with h5py.File(path, "r") as file:
            pulse, rate = file[PULSE][()], file.attrs.get(RATE, PULSE_RATE_HZ)
    except Exception as error:  # HDF5 has no error of its own for a damaged file
        raise UserError(
            f"{path}: no {PULSE!r} can be read from it as HDF5 ({one_line(error)}); fetch it again"
        ) from None
    if not isinstance(pulse, np.ndarray) or pulse.ndim != 1 or pulse.dtype.kind not in "iuf":
        raise UserError(f"{path}: {PULSE!r} is not a row of numbers; fetch it again")
    if not isinstance(rate, Real) or not 1 <= float(rate) <= 1e5:
        raise UserError(f"{path}: {RATE!r} is {str(rate)[:40]!r}, which is no rate in Hz")
    if not np.isfinite(pulse).all():
        raise UserError(f"{path}: {PULSE!r} holds something that is not a finite number")
    return pulse.astype(np.float64), float(rate)
