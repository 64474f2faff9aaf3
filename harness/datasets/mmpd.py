"""MMPD (Tang et al. 2023): `subject1/p1_0.mat`, ... with frames, contact PPG and how it was taken.

A file holds `video` (frames, height, width, 3), RGB as 0 to 1 or as 8-bit steps, `GT_ppg` with one
value for each frame, and eight words on light, motion and person. Frames are 30 a second. What a
board replays is a lossless copy of `video`, made once by `prepare` in the user's cache; making one
takes as much memory as the file's frames, 1.7 GB for a minute.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.datasets.base import Dataset, FloatArray, Progress, Recording, Signals, natural_key
from harness.datasets.encoding import Frame
from harness.datasets.lossless import SUFFIX, write_lossless
from harness.datasets.matlab import read_shapes, read_variables
from harness.datasets.reading import (
    even_times,
    folders,
    missing_subjects,
    nothing_found,
)
from harness.datasets.synthetic import default_root
from rppg_core.errors import UserError

SUBJECTS = range(1, 34)
TRIALS = range(20)
FRAME_RATE_HZ = 30
VIDEO, PPG = "video", "GT_ppg"
WORDS = ("light", "motion", "exercise", "skin_color", "gender", "glasser", "hair_cover", "makeup")
LENGTH_TOLERANCE = 0.01  # of the frames; a PPG of another length has another clock
AFTER_EXERCISE = " (after exercise)"
LIGHTS = {"nature": "natural"}
# "Watching Videos" is what the first release calls walking (its authors' own correction).
MOTIONS = {"stationary": "still", "watching videos": "walking"}
CONVERTER = b"ffv1 1"  # whatever changes in how copies are made makes new ones
SAMPLED_BYTES = 1 << 16
SAMPLES = 6
FRAMES_AT_ONCE = 32
_FILE = re.compile(r"p([1-9][0-9]*)_([0-9]+)\.mat")


@dataclass(frozen=True, eq=False)
class Trial:
    """A file without its frames; `shape` is that of the video, `words` how it was taken."""

    ppg: FloatArray
    shape: tuple[int, int, int, int]
    words: dict[str, str]


class MmpdDataset(Dataset):
    """Twenty trials for each of 33 subjects; copies of the videos lie in `cache`."""

    kind = "mmpd"
    conventions = ("ppg-fft",)

    def __init__(self, *args: Any, cache: Path | None = None, **options: Any) -> None:
        """Take what every dataset takes, and where the copies go if not to the user's cache."""
        super().__init__(*args, **options)
        self._cache = cache or default_root().parent / "mmpd"
        self._unreadable: dict[str, str] = {}  # why, by id
        self._expected: Collection[str] | None = None

    def recordings(self) -> list[Recording]:
        """List the files; one that cannot be read has no conditions."""
        if not self._files:
            raise nothing_found(self.name, self.root, "subject1/p1_0.mat")
        return [
            Recording(
                id=path.stem,
                subject=path.parent.name,
                video=_copy_of(path, self._cache),
                conditions=self._conditions.get(path.stem, {}),
                label_file=path,
            )
            for path in self._files
        ]

    def signals(self, recording: Recording) -> Signals:
        """Read the contact PPG."""
        path = self._file(recording)
        ppg = read_trial(path).ppg
        return Signals(
            ppg=ppg,
            ppg_times_s=even_times(len(ppg), FRAME_RATE_HZ, f"{path}: {PPG}"),
            nominal_rate_hz=float(FRAME_RATE_HZ),
        )

    def absent(self) -> list[str]:
        """Name missing subjects of the 33, missing trials, and files that cannot be read."""
        there = {path.stem for path in self._files}
        subjects = sorted({int(path.parent.name[7:]) for path in self._files})
        lines = missing_subjects(subjects, SUBJECTS, "subject{}")
        lines += [
            f"p{subject}_{trial}: not here"
            for subject in subjects
            for trial in TRIALS
            if f"p{subject}_{trial}" not in there
        ]
        self._conditions  # noqa: B018 - reads the files, which finds those that cannot be
        return lines + [f"{name}: {why}" for name, why in sorted(self._unreadable.items())]

    def narrow(self, ids: Collection[str]) -> MmpdDataset:
        """Copy no other videos: a minute takes some 100 MB."""
        part = copy(self)
        part._expected = ids
        return part

    def prepare(self, progress: Progress | None = None) -> None:
        """Copy the videos that are not yet copied; files that cannot be read are left out."""
        wanted = self._expected
        recordings = [one for one in self.recordings() if wanted is None or one.id in wanted]
        for ready, recording in enumerate(recordings, 1):
            if not recording.video.exists() and recording.id in self._conditions:
                try:
                    copy_video(self._file(recording), recording.video)
                except UserError as error:
                    self._unreadable[recording.id] = str(error)
                    continue
                except OSError as error:
                    raise UserError(
                        f"dataset {self.name}: cannot write into {self._cache} ({error}); "
                        "free some space, or set XDG_CACHE_HOME to a larger disk"
                    ) from None
                if progress is not None:
                    progress(ready, len(recordings), recording.id)

    def _file(self, recording: Recording) -> Path:
        return self.root / recording.subject / f"{recording.id}.mat"

    @cached_property
    def _files(self) -> list[Path]:
        names = [n for n in folders(self.root, self.name) if re.fullmatch("subject[1-9][0-9]*", n)]
        found = (path for name in names for path in (self.root / name).iterdir())
        kept = [
            path
            for path in found
            if (match := _FILE.fullmatch(path.name)) and path.parent.name[7:] == match[1]
        ]
        return sorted(kept, key=lambda path: natural_key(path.stem))

    @cached_property
    def _conditions(self) -> dict[str, dict[str, str]]:
        """How each readable file was taken."""
        found = {}
        for path in self._files:
            try:
                found[path.stem] = _conditions(read_trial(path).words)
            except UserError as error:
                self._unreadable[path.stem] = str(error)
        return found


def read_trial(path: Path) -> Trial:
    """Read all but the frames; UserError if the PPG does not belong to them."""
    shape = read_shapes(path).get(VIDEO, ())
    if len(shape) != 4 or shape[3] != 3 or 0 in shape:
        raise UserError(f"{path}: no {VIDEO!r} of (frames, height, width, 3) in it; fetch it again")
    found = read_variables(path, (PPG, *WORDS))
    ppg = found.get(PPG)
    if ppg is None or ppg.dtype.kind not in "iuf" or ppg.size != max(ppg.shape, default=0):
        raise UserError(f"{path}: no row of numbers {PPG!r} in it; fetch it again")
    if abs(ppg.size - shape[0]) > LENGTH_TOLERANCE * shape[0]:
        raise UserError(
            f"{path}: {ppg.size} values of {PPG!r} for {shape[0]} frames; there must be one for "
            "each"
        )
    words = {name: _word(found[name]) for name in WORDS if name in found}
    values = ppg.ravel().astype(np.float64)
    if not np.isfinite(values).all():
        raise UserError(f"{path}: {PPG!r} holds something that is not a finite number")
    return Trial(values, (shape[0], shape[1], shape[2], 3), words)


def copy_video(path: Path, target: Path) -> None:
    """Write a file's frames to `target` losslessly. Raises OSError where that cannot be written."""
    read_trial(path)
    video = read_variables(path, (VIDEO,))[VIDEO]
    write_lossless(_frames(video, path), target, FRAME_RATE_HZ)


def _frames(video: npt.NDArray[Any], path: Path) -> Iterator[Frame]:
    factor = _steps_per_unit(video, path)
    for start in range(0, len(video), FRAMES_AT_ONCE):
        # The file has the frames innermost: a block is first taken out, then turned in the cache.
        block = np.ascontiguousarray(video.T[..., start : start + FRAMES_AT_ONCE])
        block = np.ascontiguousarray(block.T)
        if factor:
            block = np.rint(block * factor)
        yield from block.astype(np.uint8)


def _steps_per_unit(video: npt.NDArray[Any], path: Path) -> float:
    """Return what takes the video's values to 8-bit steps; 0 where they are such."""
    if video.dtype == np.uint8:
        return 0.0
    if video.dtype.kind != "f":
        raise UserError(f"{path}: its frames are {video.dtype}, neither 8-bit nor 0 to 1")
    low, high = float(video.min()), float(video.max())
    if not (low >= 0 and high <= 255):  # also of nan
        raise UserError(f"{path}: its frames run from {low:g} to {high:g}; 0 to 1 expected")
    return 255.0 if high <= 1 else 1.0


def _copy_of(path: Path, cache: Path) -> Path:
    """Return where the copy of a file's video belongs.

    The name stands for the file's size, time and samples of its content: a whole hash would take
    minutes for a listing.
    """
    try:
        found = path.stat()
        digest = hashlib.sha256(CONVERTER + f"{found.st_size} {found.st_mtime_ns}".encode())
        with path.open("rb") as stream:
            for sample in range(SAMPLES):
                stream.seek(found.st_size * sample // SAMPLES)
                digest.update(stream.read(SAMPLED_BYTES))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return cache / (digest.hexdigest()[:32] + SUFFIX)


def _word(value: npt.NDArray[Any]) -> str:
    return str(value.ravel()[0]).strip() if value.size == 1 else ""


def _conditions(words: dict[str, str]) -> dict[str, str]:
    """The words of a file in the vocabulary of all datasets."""
    motion = words.get("motion", "").lower()
    exercised = motion.endswith(AFTER_EXERCISE) or words.get("exercise") == "True"
    motion = motion.removesuffix(AFTER_EXERCISE)
    light = words.get("light", "").lower()
    found = {
        "lighting": LIGHTS.get(light, light),
        "motion": MOTIONS.get(motion, motion),
        "skin_type": f"fitzpatrick-{words['skin_color']}" if words.get("skin_color") else "",
        "task": "after-exercise" if exercised else "rest",
        "gender": words.get("gender", "").lower(),
        "glasses": _yes_no(words.get("glasser")),
        "hair_cover": _yes_no(words.get("hair_cover")),
        "makeup": _yes_no(words.get("makeup")),
        "device": "phone",
    }
    return {name: word.replace(" ", "-") for name, word in found.items() if word}


def _yes_no(word: str | None) -> str:
    return {"True": "yes", "False": "no"}.get(word or "", "")
