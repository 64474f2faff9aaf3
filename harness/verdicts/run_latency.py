"""Times against earlier ones: has it become slower?

A replay is one run. Frames of a run are not independent, and each run is some percent off as a
whole (clock, cache, memory layout), so run is compared with run: one mean per frame of each, paired
by recording, on a logarithmic scale, where a slow-down is a shift.

A whole session is off as well (what else the board does, how warm it is), and runs of one session
cannot tell by how much: so a comparison of single sessions takes that from a self-test of the
board, and one of several takes it from them. The intervals are of Student's t, with the degrees of
freedom of a sum of variances by Satterthwaite (1946).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from harness.verdicts.change import CONFIDENCE, Change, check_margin, judge, nothing_compared
from harness.verdicts.intervals import Interval
from harness.verdicts.outcome import Outcome

Runs = Mapping[str, Sequence[float]]
"""For each recording one mean per frame (ms, or M instr) of each run. The runs that stand at the
same place of every recording are those of one session."""

Array = npt.NDArray[np.float64]
TAIL = 0.5 + CONFIDENCE / 2
EXACT = 1e9  # degrees of freedom of a variance that is known
SESSIONS_TELL = 4
"""Degrees of freedom from which sessions themselves tell what they differ by; with 2, an interval
that allowed for so poor an estimate would be twice as wide, and decide nothing."""

ASSUMED_AS = 4
"""What is assumed of how far sessions lie apart weighs as much as so many sessions more."""


@dataclass(frozen=True)
class Variance:
    """A variance (of logarithms), and the degrees of freedom it was estimated with."""

    value: float
    freedom: float

    def times(self, factor: float) -> Variance:
        """Return it of something scaled by the root of a factor."""
        return Variance(self.value * factor, self.freedom)


@dataclass(frozen=True)
class Spread:
    """What runs of one recording differ by within a session, and sessions as a whole.

    ``session`` is what the means of a session over all recordings differ by, single runs' part
    among it; None where no two sessions are of one side.
    """

    run: Variance | None
    session: Variance | None


def slowdown(
    baseline: Runs,
    now: Runs,
    margin_percent: float,
    session_sd_percent: float = 0.0,
    session_freedom: float = EXACT,
) -> Change:
    """Judge whether the time per frame has grown by less than a margin, in percent.

    Args:
        baseline: earlier runs; only recordings of both are compared.
        now: the runs to judge.
        margin_percent: what may be added.
        session_sd_percent: how far whole sessions lie apart (standard deviation), beyond what
            their single runs do; 0 where that is not known. Then it is told from the sessions
            where there are enough (6 on both sides together), and else taken for none.
        session_freedom: the degrees of freedom it was estimated with, its sessions less one.

    Raises:
        ValueError: a margin or a figure that is not above 0.
    """
    check_margin(margin_percent, "%")
    pairs = _pairs(baseline, now)
    if not pairs:
        return nothing_compared(margin_percent)
    shift = float(np.mean([new.mean() - old.mean() for old, new in pairs]))
    given = Variance((session_sd_percent / 100) ** 2, session_freedom)
    half = _half_width(pairs, given)
    return Change(
        outcome=judge(interval := _interval(shift, half), margin_percent),
        difference=_percent(shift),
        interval=interval,
        n=len(pairs),
        subjects=sum(len(new) for _, new in pairs),
        margin=margin_percent,
    )


def counts_added(baseline: Runs, now: Runs, margin_percent: float) -> Change:
    """Judge the same of instructions, which do not vary: what is measured is what it is.

    The interval is the range over recordings, and decides nothing.
    """
    shifts = np.array([_percent(new.mean() - old.mean()) for old, new in _pairs(baseline, now)])
    if not shifts.size:
        return nothing_compared(margin_percent)
    difference = float(shifts.mean())
    return Change(
        outcome=Outcome.of(difference <= margin_percent),
        difference=difference,
        interval=Interval(float(shifts.min()), float(shifts.max())),
        n=len(shifts),
        subjects=len(shifts),
        margin=margin_percent,
    )


def geometric_mean(runs: Runs, also_in: Runs) -> float | None:
    """Mean per frame over the recordings of both: a slow-down in percent is that of such means."""
    logs = [
        _logs(found).mean()
        for name, found in runs.items()
        if len(found) and len(also_in.get(name, ()))
    ]
    return math.exp(float(np.mean(logs))) if logs else None


def spread_of(runs: Runs) -> Spread:
    """Return what the runs of one side differ by."""
    return _spread([(rows, rows[:0]) for rows in map(_logs, runs.values()) if rows.size])


def session_sd_percent(runs: Runs) -> float:
    """Return how far whole sessions lie apart beyond what their runs do; 0 if none is seen."""
    found, count = spread_of(runs), len(runs)
    if found.session is None:
        return 0.0
    within = found.run.value / count if found.run else 0.0
    return 100 * math.sqrt(max(0.0, found.session.value - within))


def pooled_session_sd(
    assumed_percent: float, seen_percent: float, freedom: int
) -> tuple[float, float]:
    """Return how far sessions lie apart, in percent, and the degrees of freedom of that.

    What a few sessions show is a poor estimate, so it is weighed with what was assumed; ``freedom``
    is how many sessions there are beyond one of a side. Without any the assumption is taken for
    known.
    """
    if not freedom:
        return assumed_percent, EXACT
    squares = ASSUMED_AS * assumed_percent**2 + freedom * seen_percent**2
    return math.sqrt(squares / (ASSUMED_AS + freedom)), float(ASSUMED_AS + freedom)


def _half_width(pairs: Sequence[tuple[Array, Array]], given: Variance) -> float | None:
    """Half the interval of the mean shift, in logarithms; None where nothing tells the noise."""
    count = len(pairs)
    per_mean = sum(1 / _sessions(pairs, side) for side in (0, 1))
    spread = _spread(pairs)
    if spread.run is None:  # one recording: its runs are its sessions
        return None if spread.session is None else _quantile([spread.session.times(per_mean)])
    within = spread.run.times(per_mean / count)
    if given.value > 0:
        return _quantile([within, given.times(per_mean)])
    if spread.session is not None and spread.session.freedom >= SESSIONS_TELL:
        whole = spread.session.times(per_mean)
        return max(_quantile([within]), _quantile([whole]))
    return _quantile([within])


def _spread(pairs: Sequence[tuple[Array, Array]]) -> Spread:
    """Of rows of logarithms (runs,), two for each recording, the second maybe empty.

    Single runs differ by what is left once each recording's and each session's mean is taken off,
    and by what the shifts of recordings differ by. Where recordings have unequal numbers of runs
    their shifts alone tell, and sessions nothing.
    """
    count = len(pairs)
    squares, freedom, apart, sessions = 0.0, 0, 0.0, 0
    even = all(len({len(pair[side]) for pair in pairs}) == 1 for side in (0, 1))
    for side in (0, 1) if even else ():
        rows = np.stack([pair[side] for pair in pairs])  # (recordings, sessions)
        if rows.shape[1] > 1:
            means = rows.mean(axis=0)
            left = rows - means - rows.mean(axis=1, keepdims=True) + rows.mean()
            squares += float((left**2).sum())
            freedom += (count - 1) * (rows.shape[1] - 1)
            apart += float(((means - means.mean()) ** 2).sum())
            sessions += rows.shape[1] - 1
    if count > 1 and all(old.size and new.size for old, new in pairs):
        shifts = np.array([new.mean() - old.mean() for old, new in pairs])
        each = sum(1 / _sessions(pairs, side) for side in (0, 1))
        squares += float(((shifts - shifts.mean()) ** 2).sum()) / each
        freedom += count - 1
    return Spread(
        run=Variance(squares / freedom, freedom) if freedom else None,
        session=Variance(apart / sessions, sessions) if sessions else None,
    )


def _quantile(variances: Sequence[Variance]) -> float:
    """Half the interval of a mean whose variance is the sum of these."""
    whole = sum(one.value for one in variances)
    if whole == 0:
        return 0.0
    freedom = whole**2 / sum(one.value**2 / one.freedom for one in variances)
    return float(stdtrit(freedom, TAIL)) * math.sqrt(whole)


def _sessions(pairs: Sequence[tuple[Array, Array]], side: int) -> int:
    """How many runs each recording has on one side, at least."""
    return max(1, min(len(pair[side]) for pair in pairs))


def _pairs(baseline: Runs, now: Runs) -> list[tuple[Array, Array]]:
    """Logarithms of the runs, old and new, of each recording that has both."""
    both = [(_logs(baseline[name]), _logs(now[name])) for name in baseline if name in now]
    return [(old, new) for old, new in both if old.size and new.size]


def _logs(runs: Sequence[float]) -> Array:
    """Logarithms of the runs of a recording."""
    taken = np.asarray(runs, dtype=np.float64)
    if not (np.isfinite(taken).all() and (taken > 0).all()):
        raise ValueError(f"a run of {taken.min()} a frame is no measurement")
    return np.log(taken)


def _interval(shift: float, half: float | None) -> Interval | None:
    return None if half is None else Interval(_percent(shift - half), _percent(shift + half))


def _percent(shift: float) -> float:
    return 100 * math.expm1(shift)
