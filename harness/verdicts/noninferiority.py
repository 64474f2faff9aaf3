"""Heart rates against earlier ones of the same recordings: have the errors grown?

Paired, since recordings differ more from each other than a model from its next version; and over
subjects, since recordings of one person err alike (see ``intervals``). Where new and old are
equal, the change of an absolute error is as likely up as down, but seldom normal: most are near 0,
and a lost lock is 20 bpm. A BCa bootstrap alone calls 2 to 5 % of such equals worse (its skewness
correction follows the one lost lock), Student's t at most 1 %: for variables that are mixtures of
normal ones it errs on the safe side (Bakirov & Szekely 2006; Ibragimov & Mueller 2010, J. Business
& Economic Statistics 28, theorem 1). So the interval here is the wider of both at either end.

One lost lock among 12 recordings widens the interval as far as it moves the mean: that is not
decided here, but named in the gate's message, and caught by the bound on the error itself. Many
lost locks widen it as well; those a sign test sees, which asks how many and not how far.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc, stdtrit

from harness.verdicts.accuracy import HeartRateGroup
from harness.verdicts.change import (
    CONFIDENCE,
    Beyond,
    Change,
    check_margin,
    judge,
    nothing_compared,
)
from harness.verdicts.fidelity import LOCK_BPM
from harness.verdicts.intervals import MIN_SUBJECTS, Interval, bca_interval, draws
from harness.verdicts.outcome import Outcome

RESAMPLES = 5000  # the ends of a 99 % interval lie further out than those of 95 %
FEWEST_SUBJECTS = 4
"""Of two equal systems that fall on one of two spectral peaks as a coin does, 3 subjects all come
out worse in 1.6 % of comparisons, 4 in 0.4."""
SIGN_LEVEL = (1 - CONFIDENCE) / 2
SAME_BPM = 1e-9
"""Errors closer than this are equal: the same pixels through the same model."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PairedError:
    """One recording's heart rate before and now, beside its reference.

    Raises:
        ValueError: one of them is not a finite number.
    """

    recording: str
    subject: str
    reference_bpm: float
    baseline_bpm: float
    estimate_bpm: float

    def __post_init__(self) -> None:
        for value in (self.reference_bpm, self.baseline_bpm, self.estimate_bpm):
            if not math.isfinite(value):
                raise ValueError(f"{self.recording}: {value} is not a finite number")

    @property
    def baseline_error_bpm(self) -> float:
        """The absolute error before."""
        return abs(self.baseline_bpm - self.reference_bpm)

    @property
    def error_bpm(self) -> float:
        """The absolute error now."""
        return abs(self.estimate_bpm - self.reference_bpm)

    @property
    def change_bpm(self) -> float:
        """By how much the absolute error has grown."""
        return self.error_bpm - self.baseline_error_bpm

    @property
    def lost(self) -> bool:
        """Whether it was on the pulse before, and is off both the pulse and what it was now."""
        off = min(self.error_bpm, abs(self.estimate_bpm - self.baseline_bpm))
        return self.baseline_error_bpm <= LOCK_BPM < off

    @property
    def group(self) -> HeartRateGroup:
        """The group of the reference."""
        return HeartRateGroup.of(self.reference_bpm)


def error_change(pairs: Sequence[PairedError], margin_bpm: float) -> Change:
    """Judge whether the mean absolute error has grown by less than a margin, in bpm.

    From 8 subjects on the interval is the wider of a BCa bootstrap over subjects and Student's t.
    Below, it is the wider of t and of the range of the subjects: it passes only if every one of
    them is within the margin, and fails only if every one is worse. Fewer than 4 decide nothing,
    unless nothing changed at all. What the interval leaves undecided fails if, of the subjects
    that moved by more than the margin, so many got worse as of equals would by a coin's chance in
    one of 200 comparisons: 8 of 8, 11 of 12. Raises ValueError for a margin that is not above 0.
    """
    check_margin(margin_bpm, "bpm")
    if not pairs:
        return nothing_compared(margin_bpm)
    changes = np.array([one.change_bpm for one in pairs])
    names, owner = np.unique([one.subject for one in pairs], return_inverse=True)
    sums = np.zeros((len(names), 2))
    np.add.at(sums, owner.ravel(), np.stack([changes, np.ones_like(changes)], axis=1))
    interval = Interval(0.0, 0.0) if np.abs(changes).max() <= SAME_BPM else _interval(sums)
    beyond = Beyond.of(_mean(sums), margin_bpm)
    outcome = judge(interval, margin_bpm)
    if outcome is Outcome.INCONCLUSIVE and _one_sided(beyond):
        outcome = Outcome.FAIL
    return Change(
        outcome=outcome,
        difference=float(changes.mean()),
        interval=interval,
        n=len(pairs),
        subjects=len(names),
        margin=margin_bpm,
        beyond=beyond,
    )


def error_changes(
    pairs: Sequence[PairedError], margin_bpm: float, group_margin_bpm: float
) -> Mapping[HeartRateGroup | None, Change]:
    """Return the change of all recordings under None, and of each group that has any.

    A total that got better may hide a group that got much worse, as in the paper's VIPL-HR-V2.
    """
    found: dict[HeartRateGroup | None, Change] = {None: error_change(pairs, margin_bpm)}
    for group in HeartRateGroup:
        own = [one for one in pairs if one.group is group]
        if own:
            found[group] = error_change(own, group_margin_bpm)
    return found


def _one_sided(beyond: Beyond) -> bool:
    """Whether a coin would seldom let as many get worse (the sign test)."""
    moved = beyond.worse + beyond.better
    return bool(moved and bdtrc(beyond.worse - 1, moved, 0.5) <= SIGN_LEVEL)


def _interval(sums: Array) -> Interval | None:
    """Of the mean over rows, from each subject's sum and number of rows: (subjects, 2)."""
    count = len(sums)
    if count < FEWEST_SUBJECTS:
        return None
    found = _mean(sums.sum(axis=0))
    without = _mean(sums.sum(axis=0) - sums)
    error = math.sqrt((count - 1) / count * float(((without - without.mean()) ** 2).sum()))
    half = float(stdtrit(count - 1, 0.5 + CONFIDENCE / 2)) * error
    low, high = float(found) - half, float(found) + half
    if count < MIN_SUBJECTS:
        each = _mean(sums)
        return Interval(min(low, float(each.min())), max(high, float(each.max())))
    drawn = _mean(draws(count, RESAMPLES) @ sums)
    bootstrap = bca_interval(drawn, float(found), without, CONFIDENCE)
    if bootstrap is None:
        return Interval(low, high)
    return Interval(min(low, bootstrap.low), max(high, bootstrap.high))


def _mean(sums: Array) -> Array:
    """Sums over rows (..., 2), the second of ones, as means."""
    return np.asarray(sums[..., 0] / sums[..., 1])
