"""What is wrong with a recording's labels, and which truths that makes wrong. Pure functions.

Thresholds are set between what UBFC-rPPG's own files show where nothing is wrong with them and
what would change a heart rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from harness.datasets.conventions import CONVENTIONS, HR_ROW, HR_ROW_REPAIRED, PPG_FFT
from harness.datasets.ppg_defects import clipped_samples, flat_s
from harness.datasets.repair import LEAP_BPM, RepairedRow
from harness.datasets.signals import PLAUSIBLE_BPM, FloatArray, Signals

# Means of clean files lie within 3.2 % of 30 fps once their gaps are left out.
RATE_TOLERANCE = 0.05
UNIT_FACTOR = 3.0  # a clock this far off counts something else than seconds
GAP_S = 0.5  # a beat at 120 bpm; in clean files longer ones are rare
LOST_S = 2.0  # longer than any gap in UBFC's files: a part of the recording is missing
REPEATS_SHARE = 0.05  # of the samples; clean files have one or none
# The two need not agree, one being a mean and the other a mode: 8.8 bpm apart at most in UBFC.
DISAGREEMENT_BPM = 20.0
SPAN_TOLERANCE_S = 1.0
MAX_GLITCH_SHARE = 0.05  # more are no exceptions but how the row is
FLAT_LEAST_S = 1.5  # a beat at 40 bpm
CLIPPED_SHARE = 0.03  # at one end; 0.010 at most in clean files

UNREPAIRED, REPAIRED, HARMLESS, NOTE = "unrepaired", "repaired", "harmless", "note"


@dataclass(frozen=True)
class Container:
    """What a video's container says of itself; None where it does not."""

    frames: int | None
    rate_hz: float | None


@dataclass(frozen=True)
class Defect:
    """One thing that is wrong, with `count` samples (or gaps, or recordings) that show it.

    `spoils` are the conventions that it makes wrong, `mended` those that undo or avoid it. One
    with neither is too small to matter to a heart rate.
    """

    code: str
    count: int
    text: str
    spoils: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()

    def state(self, convention: str) -> str:
        """What it means to the truth by a convention."""
        if convention in self.spoils:
            return UNREPAIRED
        if convention in self.mended:
            return REPAIRED
        return HARMLESS if self.spoils or self.mended else NOTE


def find_defects(
    signals: Signals,
    row: RepairedRow | None,
    references: Mapping[str, float | None],
    container: Container | None = None,
) -> list[Defect]:
    """Everything wrong with one recording's labels.

    `row` is its heart-rate row after repair and `references` its heart rates, as far as there are
    any; `container` is what its video says of itself.
    """
    found = [*_clock_defects(signals), *_rate_defects(signals, container)]
    found += _length_defects(signals, container)
    if row is not None:
        found += _row_defects(row)
    if signals.ppg is not None and signals.ppg_times_s is not None:
        found += _ppg_defects(signals.ppg, signals.ppg_times_s)
    return found + _disagreement(references)


def _row_defects(row: RepairedRow) -> list[Defect]:
    found = []
    total = len(row.bpm)
    wraps, glitches, outside = (
        int(part.sum()) for part in (row.wrapped, row.glitches, row.outside)
    )
    low, high = PLAUSIBLE_BPM
    mend = ((HR_ROW,), (HR_ROW_REPAIRED,))
    neither = ((HR_ROW, HR_ROW_REPAIRED), ())
    if wraps:
        text = f"{wraps} of {total} readings over 127 bpm wrapped"
        found.append(Defect("hr-wrap", wraps, text, *mend))
    if glitches:
        often = glitches > max(MAX_GLITCH_SHARE * total, 1)
        text = f"{glitches} of {total} readings leap and come back"
        found.append(Defect("hr-glitch", glitches, text, *(neither if often else mend)))
    if outside:
        text = f"{outside} of {total} readings outside {low:g}-{high:g} bpm"
        most = 2 * outside > total
        found.append(Defect("hr-range", outside, text, *(neither if most else mend)))
    leaps = int((np.abs(np.diff(row.usable)) > 2 * LEAP_BPM).sum())
    if leaps:
        text = f"{leaps} leaps of over {2 * LEAP_BPM:g} bpm between readings"
        found.append(Defect("hr-leap", leaps, text, *neither))
    return found


def _ppg_defects(ppg: FloatArray, times_s: FloatArray) -> list[Defect]:
    found = []
    if len(ppg) != len(times_s) or len(ppg) < 2:
        return []  # said as a difference of lengths
    still_s = flat_s(ppg, times_s, FLAT_LEAST_S)
    if still_s > 0:
        text = f"no pulse for {still_s:.1f} of {times_s[-1] - times_s[0]:.1f} s"
        found.append(Defect("ppg-flat", round(still_s), text, (PPG_FFT,)))
    for end, count in zip(("top", "bottom"), clipped_samples(ppg), strict=True):
        if count > CLIPPED_SHARE * len(ppg):
            text = f"{count} of {len(ppg)} samples cut off at the {end}"
            found.append(Defect("ppg-clipped", count, text, (PPG_FFT,)))
    return found


def _clock_defects(signals: Signals) -> list[Defect]:
    found = []
    for name, times_s, spoils in _clocks(signals):
        steps_s = np.diff(times_s)
        back, repeats = int((steps_s < 0).sum()), int((steps_s == 0).sum())
        gaps_s = steps_s[steps_s > GAP_S]
        if back:
            text = f"{name} time goes back {back} times"
            found.append(Defect("time-back", back, text, spoils))
        if repeats:
            many = repeats > REPEATS_SHARE * len(times_s)
            text = f"{repeats} of {len(times_s)} {name} times repeat"
            found.append(Defect("time-repeats", repeats, text, spoils if many else ()))
        # A row of one reading a second or slower has no gaps but its own pace.
        if len(gaps_s) and np.median(steps_s) < GAP_S:
            lost = gaps_s.max() > LOST_S
            text = f"{len(gaps_s)} over {GAP_S:g} s in {name} time, up to {gaps_s.max():.2f} s"
            found.append(Defect("time-jumps", len(gaps_s), text, spoils if lost else ()))
    return found


def _rate_defects(signals: Signals, container: Container | None) -> list[Defect]:
    """Frame rates that differ: by timestamps, as declared by the dataset, in the container."""
    in_file = None if container is None else container.rate_hz
    times_s, nominal = signals.frame_times_s, signals.nominal_rate_hz
    if times_s is None:
        if in_file is None or nominal is None or _alike(in_file, nominal):
            return []
        text = f"container {in_file:.4g} fps, {nominal:.4g} declared"
        return [Defect("rate-container", 1, text, CONVENTIONS)]
    rate_hz = _rate_hz(times_s)
    found = []
    for code, name, other in (
        ("rate", "nominal", nominal),
        ("rate-container", "container", in_file),
    ):
        if rate_hz is None or other is None or _alike(rate_hz, other):
            continue
        text = f"{rate_hz:.4g} fps by timestamps, {name} {other:.4g}"
        wild = max(rate_hz / other, other / rate_hz) > UNIT_FACTOR
        found.append(Defect(code, 1, text, *((CONVENTIONS, ()) if wild else ((), CONVENTIONS))))
    return found


def _length_defects(signals: Signals, container: Container | None) -> list[Defect]:
    found = []
    frames_s = signals.frame_times_s
    in_file = None if container is None else container.frames
    if frames_s is not None and in_file is not None and len(frames_s) != in_file:
        off = abs(len(frames_s) - in_file)
        text = f"{in_file} frames in the video, {len(frames_s)} times"
        found.append(Defect("length", off, text, CONVENTIONS))
    for name, values, times_s, spoils in (
        ("PPG", signals.ppg, signals.ppg_times_s, (PPG_FFT,)),
        ("heart-rate", signals.hr_bpm, signals.hr_times_s, (HR_ROW, HR_ROW_REPAIRED)),
    ):
        if values is None or times_s is None:
            continue
        if len(values) != len(times_s):
            text = f"{len(values)} {name} values, {len(times_s)} times"
            found.append(Defect("length", abs(len(values) - len(times_s)), text, spoils))
            continue
        if times_s is frames_s:
            continue
        if len(times_s) < 2:
            continue
        missing_s = _uncovered_s(frames_s, times_s, container, signals.nominal_rate_hz)
        if missing_s > SPAN_TOLERANCE_S + float(np.median(np.diff(times_s))):
            text = f"{missing_s:.1f} s of the video have no {name} values"
            found.append(Defect("length", round(missing_s), text, spoils))
    return found


def _uncovered_s(
    frames_s: FloatArray | None,
    times_s: FloatArray,
    container: Container | None,
    nominal_hz: float | None,
) -> float:
    """How much of the video lies before or after `times_s`, in s; 0 where it is not known."""
    if frames_s is not None and len(frames_s):
        return float(max(times_s[0] - frames_s[0], 0) + max(frames_s[-1] - times_s[-1], 0))
    if container is None or not container.frames:
        return 0.0
    rate_hz = container.rate_hz or nominal_hz
    video_s = container.frames / rate_hz if rate_hz else 0.0
    return max(video_s - float(times_s[-1] - times_s[0]), 0.0)


def _disagreement(references: Mapping[str, float | None]) -> list[Defect]:
    row = references.get(HR_ROW_REPAIRED, references.get(HR_ROW))
    ppg = references.get(PPG_FFT)
    if row is None or ppg is None or abs(row - ppg) <= DISAGREEMENT_BPM:
        return []
    text = f"{row:.1f} bpm by the row, {ppg:.1f} by the PPG"
    return [Defect("hr-ppg", 1, text, CONVENTIONS)]


def _clocks(signals: Signals) -> Iterable[tuple[str, FloatArray, tuple[str, ...]]]:
    """Each distinct clock once, with its name and the conventions that go by it."""
    seen: list[FloatArray] = []
    for name, times_s, spoils in (
        ("frame", signals.frame_times_s, CONVENTIONS),
        ("PPG", signals.ppg_times_s, (PPG_FFT,)),
        ("heart-rate", signals.hr_times_s, (HR_ROW, HR_ROW_REPAIRED)),
    ):
        if times_s is None or len(times_s) < 2 or any(times_s is one for one in seen):
            continue
        seen.append(times_s)
        yield name, times_s, spoils


def _rate_hz(times_s: FloatArray) -> float | None:
    """Mean rate of a clock, its gaps left out; None for a clock that stands."""
    steps_s = np.diff(times_s)
    short = steps_s <= GAP_S
    # A clock that has hardly anything but gaps counts something else than seconds.
    steps_s = steps_s[short] if 2 * np.count_nonzero(short) > len(steps_s) else steps_s
    total_s = float(steps_s.sum())
    return len(steps_s) / total_s if total_s > 0 else None


def _alike(rate_hz: float, other_hz: float) -> bool:
    return abs(rate_hz - other_hz) <= RATE_TOLERANCE * other_hz
