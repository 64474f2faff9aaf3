"""VIPL-HR (Niu et al. 2018): `p1/v1/source1/` with video.avi, gt_HR.csv, wave.csv and time.txt.

The containers say 25 fps whatever the camera did; `time.txt` has each frame's time in ms. The
phone's videos (source2) have none, nor any other clock but the container's. The oximeter's files
have no times: its heart rate is one row a second, its wave 60 a second (CONTEC CMS60C).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from harness.datasets.base import Dataset, FloatArray, Recording, Signals, natural_key
from harness.datasets.parsing import check_clock
from harness.datasets.reading import (
    even_times,
    folders,
    missing_files,
    missing_subjects,
    nothing_found,
    read_column,
)
from rppg_core.errors import UserError

SUBJECTS = range(1, 108)
VIDEO_NAME, HR_NAME, WAVE_NAME, TIMES_NAME = "video.avi", "gt_HR.csv", "wave.csv", "time.txt"
HR_HEADER, WAVE_HEADER = "HR", "Wave"
HR_RATE_HZ, WAVE_RATE_HZ = 1.0, 60.0
PHONE = "source2"
# (device, frames a second) of each source, from the authors.
SOURCES = {
    "source1": ("webcam", 25.0),
    PHONE: ("phone", 30.0),
    "source3": ("realsense", 30.0),
    "source4": ("realsense-nir", 30.0),
}
STILL = {"lighting": "lamp", "motion": "still"}
# What was done in each scenario; some were taken twice (v1-2).
SCENARIOS = {
    "v1": STILL,
    "v2": {**STILL, "motion": "moving"},
    "v3": {**STILL, "motion": "talking"},
    "v4": {**STILL, "lighting": "dark"},
    "v5": {**STILL, "lighting": "bright"},
    "v6": {**STILL, "distance": "far"},
    "v7": {**STILL, "task": "after-exercise"},
    "v8": {**STILL, "device": "handheld-phone"},
    "v9": {**STILL, "motion": "moving", "device": "handheld-phone"},
}
_SCENARIO = re.compile(r"(v[1-9])(-[2-9])?")


class ViplHrV1Dataset(Dataset):
    """One recording for each subject, scenario and camera."""

    kind = "vipl-hr-v1"
    conventions = ("ppg-fft", "hr-row", "hr-row-repaired")

    def recordings(self) -> list[Recording]:
        """List the folders of a source that hold a video or a heart rate."""
        found = [
            _recording(source, self.root)
            for source in self._sources
            if any((source / name).exists() for name in (VIDEO_NAME, HR_NAME, WAVE_NAME))
        ]
        if not found:
            raise nothing_found(self.name, self.root, f"p1/v1/source1/{VIDEO_NAME}")
        return found

    def signals(self, recording: Recording) -> Signals:
        """Read the oximeter's files and the frame times; a missing wave is None."""
        folder = recording.video.parent
        hr_bpm = _column(folder / HR_NAME, HR_HEADER)
        wave = _column(folder / WAVE_NAME, WAVE_HEADER)
        if hr_bpm is None and wave is None:
            raise UserError(f"{folder}: neither {HR_NAME} nor {WAVE_NAME}; fetch them")
        if wave is None:
            wave_times_s = None
        else:
            wave_times_s = even_times(len(wave), WAVE_RATE_HZ, f"{folder / WAVE_NAME}")
        return Signals(
            frame_times_s=_frame_times_s(folder),
            ppg=wave,
            ppg_times_s=wave_times_s,
            hr_bpm=hr_bpm,
            hr_times_s=None if hr_bpm is None else np.arange(len(hr_bpm)) / HR_RATE_HZ,
            nominal_rate_hz=SOURCES[folder.name][1],
        )

    def take(self, recording: Recording) -> str:
        """Name subject and scenario: the cameras filmed at once, over one oximeter."""
        return recording.video.parent.parent.relative_to(self.root).as_posix()

    def absent(self) -> list[str]:
        """Name subjects and scenarios not there, and missing files of the sources that are."""
        lines = missing_subjects((int(name[1:]) for name in self._subjects), SUBJECTS, "p{}")
        there = {(source.parts[-3], source.parts[-2][:2]) for source in self._sources}
        lines += [
            f"{subject}/{scenario}: not here"
            for subject in self._subjects
            for scenario in SCENARIOS
            if (subject, scenario) not in there
        ]
        for source in self._sources:
            names = [VIDEO_NAME, HR_NAME, WAVE_NAME]
            if source.name != PHONE:
                names.append(TIMES_NAME)
            recording = source.relative_to(self.root).as_posix()
            lines += missing_files(recording, [source / name for name in names])
        return lines

    @cached_property
    def _subjects(self) -> list[str]:
        names = [n for n in folders(self.root, self.name) if re.fullmatch(r"p[1-9][0-9]*", n)]
        return sorted(names, key=natural_key)

    @cached_property
    def _sources(self) -> list[Path]:
        return [s for subject in self._subjects for s in self._sources_of(subject)]

    def _sources_of(self, subject: str) -> Iterator[Path]:
        folder = self.root / subject
        for scenario in sorted(folders(folder, self.name), key=natural_key):
            if _SCENARIO.fullmatch(scenario):
                for source in sorted(folders(folder / scenario, self.name)):
                    if source in SOURCES:
                        yield folder / scenario / source


def _recording(source: Path, root: Path) -> Recording:
    subject, scenario = source.parts[-3:-1]
    return Recording(
        id=source.relative_to(root).as_posix(),
        subject=subject,
        video=source / VIDEO_NAME,
        label_file=source / HR_NAME,
        conditions={"device": SOURCES[source.name][0], **SCENARIOS[scenario[:2]]},
    )


def _column(path: Path, header: str) -> FloatArray | None:
    return read_column(path, header) if path.exists() else None


def _frame_times_s(folder: Path) -> FloatArray | None:
    if folder.name == PHONE:
        return None
    path = folder / TIMES_NAME
    times_ms = read_column(path, None)
    times_s: FloatArray = (times_ms - times_ms[0]) / 1000
    check_clock(times_s, f"{path}")
    return times_s
