"""Heart rates of windows of a recording, made again from its record and held to the truth there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.verdicts.accuracy import Scored
from rppg_core.pipeline import MOST_LOST
from rppg_core.postprocess import (
    HeartRate,
    PulseError,
    PulseSettings,
    heart_rate_from_derivative,
)

Array = npt.NDArray[np.float64]
Span = tuple[float, float]  # start and end in s on the recording's clock


@dataclass(frozen=True)
class WindowPlan:
    """Windows of ``length_s``, one every ``step_s``."""

    name: str
    length_s: float
    step_s: float


WHOLE = "whole"
# 30 s, as the field reports long windows, side by side; 10 s, as a live display, sliding.
PLANS = (WindowPlan("30 s", 30.0, 30.0), WindowPlan("10 s", 10.0, 1.0))


@dataclass(frozen=True)
class WindowScores:
    """One recording's windows under one plan.

    ``silent`` windows gave no heart rate (no face, no pulse) and ``untold`` ones have no truth;
    neither is in ``scored``. ``own_truth`` of the scored ones are held to the truth of the window,
    the others to that of the whole recording.
    """

    scored: tuple[Scored, ...]
    own_truth: int
    silent: int = 0
    untold: int = 0


def spans(times_s: Array, plan: WindowPlan) -> list[Span]:
    """The plan's windows that lie wholly within a recording with frames at `times_s` (n,)."""
    if len(times_s) < 2:
        return []
    period_s = _period_s(times_s)
    # The last frame lasts as long as the others.
    room_s = float(times_s[-1] - times_s[0]) + 1.5 * period_s - plan.length_s
    count = int(np.floor(room_s / plan.step_s)) + 1 if room_s >= 0 else 0
    starts_s = float(times_s[0]) + plan.step_s * np.arange(count)
    return [(round(start, 4), round(start + plan.length_s, 4)) for start in starts_s.tolist()]


def window_rate(
    derivative: Array, times_s: Array, lost: npt.NDArray[np.bool_], span: Span, pulse: PulseSettings
) -> HeartRate | None:
    """Heart rate within `span` of the model's output (n,) by the same chain as on a board.

    None where the face is missing from most of it, or it shows no pulse.
    """
    half_s = 0.5 * _period_s(times_s)
    start, end = np.searchsorted(times_s, (span[0] - half_s, span[1] - half_s))
    if end - start < 2 or lost[start:end].mean() > MOST_LOST:
        return None
    try:
        return heart_rate_from_derivative(derivative[start:end], times_s[start:end], pulse)
    except PulseError:
        return None


def score_windows(
    whole: Scored,
    rates: Sequence[tuple[Span, HeartRate | None]],
    truth_bpm: Mapping[Span, float | None] | None,
) -> WindowScores:
    """Hold windows' heart rates to the truth there.

    Without `truth_bpm` each is held to that of `whole`. A window that it has as None was looked at
    and has no truth, and so is not scored; one that it lacks is held to that of `whole`.
    """
    scored, own, silent, untold = [], 0, 0, 0
    for span, rate in rates:
        known = truth_bpm is not None and span in truth_bpm
        truth = truth_bpm[span] if truth_bpm is not None and known else whole.reference_bpm
        if truth is None:
            untold += 1
        elif rate is None:
            silent += 1
        else:
            own += known
            name = f"{whole.recording} at {span[0]:g} s"
            scored.append(Scored(name, whole.subject, truth, rate.bpm, rate.snr_db))
    return WindowScores(tuple(scored), own, silent, untold)


def _period_s(times_s: Array) -> float:
    return float(times_s[-1] - times_s[0]) / (len(times_s) - 1)
