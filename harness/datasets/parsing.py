"""What the readers share: strict numbers out of text, and saying what is not there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from harness.datasets.base import FloatArray
from rppg_core.errors import UserError

MIN_DURATION_S = 2.0  # shorter than two beats at 60 bpm: no rate can be told
# Outside these the times are not in the unit they should be in, or are not one for each frame.
FRAME_RATE_LIMITS_HZ = (5.0, 1000.0)
LONGEST_GAP_NAMED = 3  # a longer run of missing subjects takes one line
_NUMBER_CHARACTERS = frozenset("0123456789+-.eE")
_BLANKS = frozenset(" \t\r\n")


def one_line(error: BaseException) -> str:
    """Return what an exception says, without its line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


def read_text(path: Path) -> str:
    """Return a label file's text with plain line ends; UserError if it is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such label file; fetch it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a label file ({one_line(error)})") from None


def parse_numbers(words: Sequence[str], where: str) -> FloatArray:
    """Turn words into finite numbers; UserError, beginning with `where`, if one is none."""
    # float() takes nan, inf and 1_000 too; none of them is a measured value.
    if not (_NUMBER_CHARACTERS | _BLANKS).issuperset("".join(words)):
        raise UserError(f"{where} holds something that is not a number")
    try:
        values = np.array([float(word) for word in words], dtype=np.float64)
    except ValueError:
        raise UserError(f"{where} holds something that is not a number") from None
    return finite(values, where)


def finite(values: FloatArray, where: str) -> FloatArray:
    """Return `values` if all are numbers that can have been measured."""
    if not np.isfinite(values).all():
        raise UserError(f"{where} holds something that is not a finite number")
    return values


def read_column(path: Path, header: str | None) -> FloatArray:
    """Read a file of one number a line, below the line `header` where there is one."""
    lines = read_text(path).strip().split("\n")
    if header is not None:
        if lines[0].strip().strip('"') != header:
            raise UserError(
                f"{path}: starts with {lines[0].strip()[:40]!r}; a column {header!r} expected"
            )
        lines = lines[1:]
    if not lines or lines == [""]:
        raise UserError(f"{path}: holds no values; fetch it again")
    return parse_numbers(lines, f"{path}:")


def check_frame_times(times_s: FloatArray, where: str) -> FloatArray:
    """Return times (frames,) that do not go back and are as dense as a camera's."""
    _check_order(times_s, where)
    duration_s = _duration_s(times_s, where)
    rate_hz = (len(times_s) - 1) / duration_s
    low, high = FRAME_RATE_LIMITS_HZ
    if not low <= rate_hz <= high:
        raise UserError(
            f"{where}: {rate_hz:.4g} frames a second are no video; its times are in another unit, "
            "or some are missing"
        )
    return times_s


def even_times(samples: int, rate_hz: float, where: str) -> FloatArray:
    """Return times in s of samples taken at a known rate; UserError if they are too few."""
    times_s = np.arange(samples) / rate_hz
    _duration_s(times_s, where)
    return times_s


def _check_order(times_s: FloatArray, where: str) -> None:
    back = np.diff(times_s) < 0
    if back.any():
        at = int(np.argmax(back)) + 1
        raise UserError(
            f"{where}: time goes back from {times_s[at - 1]:.6g} to {times_s[at]:.6g} s at value "
            f"{at + 1}; fetch it again"
        )


def _duration_s(times_s: FloatArray, where: str) -> float:
    duration_s = float(times_s[-1] - times_s[0]) if len(times_s) else 0.0
    if not duration_s >= MIN_DURATION_S:
        raise UserError(f"{where}: {duration_s:.2f} s; at least {MIN_DURATION_S:g} s are needed")
    return duration_s


def folders(root: Path, dataset: str) -> list[str]:
    """Return the names of the folders in a dataset's root; UserError if it is none."""
    try:
        return [entry.name for entry in root.iterdir() if entry.is_dir()]
    except FileNotFoundError:
        raise UserError(f"dataset {dataset}: no folder {root}; correct its root") from None
    except OSError as error:
        raise UserError(f"dataset {dataset}: {root} cannot be read ({error.strerror})") from None


def nothing_found(dataset: str, root: Path, layout: str) -> UserError:
    """Return the error for a root in which nothing looks like the dataset."""
    return UserError(f"dataset {dataset}: no {layout} in {root}; correct its root")


def missing_subjects(found: Iterable[int], expected: Iterable[int], prefix: str) -> list[str]:
    """Return a line for each subject not there, or for a long run of them."""
    there = set(found)
    runs: list[list[int]] = []
    for number in expected:
        if number in there:
            continue
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    lines = []
    for run in runs:
        if len(run) > LONGEST_GAP_NAMED:
            lines.append(f"{prefix}{run[0]} to {prefix}{run[-1]}: {len(run)} subjects not there")
        else:
            lines += [f"{prefix}{number}: subject not there" for number in run]
    return lines


def missing_files(recording: str, files: Iterable[Path], root: Path) -> list[str]:
    """Return a line for each of a recording's files that is not there."""
    return [
        f"{recording}: no {path.relative_to(root).as_posix()}"
        for path in files
        if not path.exists()
    ]
