"""Whether something became worse than it was: by how much, how surely, and what follows.

Three answers, by a 99 % confidence interval of new minus old and a margin. It holds (PASS) where
the whole interval lies below the margin: non-inferiority, as of a drug against the one in use. It
is worse (FAIL) where the whole interval lies above 0, unless it holds. Else there is too little
data for that margin (INCONCLUSIVE). Two equal systems are so called worse in at most 1 of 200
comparisons, and one worse by the margin or more is let pass as seldom.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.verdicts.intervals import Interval
from harness.verdicts.outcome import Outcome

CONFIDENCE = 0.99
# More than this is no advice, and a difference of about the margin would need any number.
MOST_ADVISED = 10_000


@dataclass(frozen=True)
class Beyond:
    """How many subjects moved by more than the margin, to the worse and to the better."""

    worse: int
    better: int

    @classmethod
    def of(cls, changes: npt.NDArray[np.float64], margin: float) -> Beyond:
        """Count the changes (subjects,), those above 0 being worse."""
        return cls(int((changes > margin).sum()), int((changes < -margin).sum()))


@dataclass(frozen=True)
class Change:
    """New minus old, in bpm or in percent, as is the margin.

    ``difference`` is None where nothing could be compared, ``interval`` where there is none. ``n``
    counts what was compared, ``subjects`` what of it is independent: people, or runs; ``beyond``
    is of people only.
    """

    outcome: Outcome
    difference: float | None
    interval: Interval | None
    n: int
    subjects: int
    margin: float
    beyond: Beyond | None = None

    @property
    def needed(self) -> int | None:
        """About how many ``subjects`` would decide it, if the next ones were like these.

        None where it is decided, or where that cannot be told.
        """
        if self.outcome is not Outcome.INCONCLUSIVE or self.difference is None or not self.interval:
            return None
        worse = self.difference >= self.margin
        spare = self.difference if worse else self.margin - max(self.difference, 0.0)
        end = self.interval.low if worse else self.interval.high
        if spare <= 0 or not math.isfinite(end):
            return None
        wanted = self.subjects * (abs(end - self.difference) / spare) ** 2
        return max(self.subjects + 1, math.ceil(wanted)) if wanted <= MOST_ADVISED else None


def judge(interval: Interval | None, margin: float) -> Outcome:
    """Return what follows from an interval of new minus old; without one, nothing does."""
    if interval is None:
        return Outcome.INCONCLUSIVE
    if interval.high < margin:
        return Outcome.PASS
    return Outcome.FAIL if interval.low > 0 else Outcome.INCONCLUSIVE


def nothing_compared(margin: float) -> Change:
    """Return the answer where there was nothing to compare."""
    return Change(Outcome.INCONCLUSIVE, None, None, 0, 0, margin)


def check_margin(margin: float, unit: str) -> None:
    """Raise ValueError for a margin that nothing could be within."""
    if not margin > 0:
        raise ValueError(f"a margin of {margin} {unit} is none; give more than 0")
