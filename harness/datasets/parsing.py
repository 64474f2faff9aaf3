"""Reading label files strictly: what is not a plain finite number is the file's mistake."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from harness.datasets.signals import FloatArray
from rppg_core.errors import UserError

MAX_LABEL_BYTES = 64_000_000  # a thousand times a minute's labels; more is some other file
MIN_DURATION_S = 2.0  # shorter than two beats at 60 bpm: no rate can be told
# Outside these a clock does not count seconds, or has not one value for each sample.
RATE_LIMITS_HZ = (5.0, 1000.0)
_NUMBER_BYTES = b"0123456789+-.eE"


def read_label_bytes(path: Path) -> bytes:
    """All of a label file; UserError where it is absent, unreadable or far too large."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_LABEL_BYTES + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such label file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read as a label file ({error})") from None
    if len(content) > MAX_LABEL_BYTES:
        raise UserError(f"{path}: more than {MAX_LABEL_BYTES // 10**6} MB; not a label file")
    return content


def numbers(words: Iterable[bytes], where: str) -> FloatArray:
    """The numbers (n,) that `words` write; UserError, starting with `where`, for anything else."""
    words = list(words)
    # float() takes nan, inf and 1_000 too; none of them is a measured value.
    if b"".join(words).translate(None, _NUMBER_BYTES):
        raise UserError(f"{where} holds something that is not a number")
    try:
        values = np.fromiter(map(float, words), np.float64, len(words))
    except ValueError:
        raise UserError(f"{where} holds something that is not a number") from None
    if not np.isfinite(values).all():
        raise UserError(f"{where} holds a number too large to be measured")
    return values


def check_clock(time_s: FloatArray, where: str) -> None:
    """UserError unless `time_s` (n,) is a clock in s: never back, at a rate that sensors have."""
    steps_s = np.diff(time_s)
    if (steps_s < 0).any():
        at = int(np.argmax(steps_s < 0)) + 1
        raise UserError(
            f"{where}: time goes back from {time_s[at - 1]:.6g} to {time_s[at]:.6g} s at value "
            f"{at + 1}; times must not decrease"
        )
    duration_s = float(time_s[-1] - time_s[0]) if len(time_s) else 0.0
    rate_hz = (len(time_s) - 1) / duration_s if duration_s > 0 else 0.0
    low, high = RATE_LIMITS_HZ
    if duration_s > 0 and not low <= rate_hz <= high:
        raise UserError(
            f"{where}: {rate_hz:.4g} values a second is no sensor's rate; are its times in the "
            "unit that the dataset uses?"
        )
    if duration_s < MIN_DURATION_S:
        raise UserError(
            f"{where}: {duration_s:.2f} s of labels; at least {MIN_DURATION_S:g} needed"
        )
