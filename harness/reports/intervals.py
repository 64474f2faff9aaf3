"""Confidence intervals as tables write them: short, and without a figure too many."""

from __future__ import annotations

from harness.verdicts.intervals import CONFIDENCE, MIN_SUBJECTS, Interval

INTERVALS_NOTE = (
    f"{100 * CONFIDENCE:g} % bootstrap over subjects; none below {MIN_SUBJECTS} subjects, where it "
    "would claim too much"
)


def written(interval: Interval | None, digits: int = 2) -> str:
    """Both ends, nothing where there is none; large ends have fewer digits."""
    if interval is None:
        return ""
    low, high = (_end(value, digits) for value in (interval.low, interval.high))
    return f"{low}..{high}" if "-" in (low + high) else f"{low}-{high}"


def _end(value: float, digits: int) -> str:
    if abs(value) >= 10:
        digits = min(digits, 1 if abs(value) < 99.95 else 0)
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text  # no minus zero
