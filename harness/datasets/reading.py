"""What the readers of published datasets share: columns, folders, and saying what is not there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from harness.datasets.base import FloatArray
from harness.datasets.parsing import MIN_DURATION_S, numbers, read_label_bytes
from rppg_core.errors import UserError

LONGEST_RUN_NAMED = 3  # a longer run of missing subjects takes one line
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def one_line(error: BaseException) -> str:
    """Return what an exception says, without its line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


def read_lines(path: Path) -> list[bytes]:
    """Return a text file's lines, stripped, without blank ones at its end; UserError if none."""
    return _lines(_text(path), path)


def read_column(path: Path, header: str | None) -> FloatArray:
    """Read a file of one number a line, below the line `header` where there is one.

    A last line without its line end is left out: it may be half of a number.
    """
    text = _text(path)
    lines = _lines(text, path)
    if header is not None:
        if lines[0].strip(b'"') != header.encode():
            raise UserError(f"{path}: starts with {_shown(lines[0])}; a column {header!r} expected")
        lines = lines[1:]
    values = numbers(lines, f"{path}: the column")
    if not text[-1:].isspace():
        values = values[:-1]
    if not len(values):
        raise UserError(f"{path}: no whole line of values; fetch it again")
    return values


def _text(path: Path) -> bytes:
    return read_label_bytes(path).removeprefix(_BYTE_ORDER_MARK)


def _lines(text: bytes, path: Path) -> list[bytes]:
    lines = text.rstrip().splitlines()
    if not lines:
        raise UserError(f"{path}: empty; fetch it again")
    return [line.strip() for line in lines]


def even_times(samples: int, rate_hz: float, where: str) -> FloatArray:
    """Return times in s of samples taken at a known rate; UserError if they are too few."""
    duration_s = (samples - 1) / rate_hz
    if duration_s < MIN_DURATION_S:
        raise UserError(
            f"{where}: {max(duration_s, 0):.2f} s of labels; at least {MIN_DURATION_S:g} needed"
        )
    return np.arange(samples) / rate_hz


def folders(root: Path, dataset: str) -> list[str]:
    """Return the names of the folders in a dataset's root; UserError if it is none."""
    try:
        with os.scandir(root) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        raise UserError(f"dataset {dataset}: no folder {root}; correct its root") from None
    except OSError as error:
        raise UserError(f"dataset {dataset}: cannot list {root} ({error.strerror})") from None


def nothing_found(dataset: str, root: Path, layout: str) -> UserError:
    """Return the error for a root in which nothing looks like the dataset."""
    return UserError(f"dataset {dataset}: no {layout} in {root}; correct its root")


def missing_subjects(found: Iterable[int], expected: Iterable[int], name: str) -> list[str]:
    """Return a line for each subject not there, or for a long run of them.

    `name` is what a subject's folder is called, with {} for its number.
    """
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
        if len(run) > LONGEST_RUN_NAMED:
            ends = f"{name.format(run[0])} to {name.format(run[-1])}"
            lines.append(f"{ends}: not here ({len(run)} subjects)")
        else:
            lines += [f"{name.format(number)}: not here" for number in run]
    return lines


def missing_files(recording: str, files: Iterable[Path]) -> list[str]:
    """Return a line for each of a recording's files that is not there."""
    return [f"{recording}: no {path.name}" for path in files if not path.exists()]


def _shown(word: bytes) -> str:
    return repr(word[:40].decode("ascii", "replace"))
