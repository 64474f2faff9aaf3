"""What may be concluded from a measurement: four outcomes, and the result of one gate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from harness.verdicts.intervals import Interval


class Outcome(str, Enum):
    """A verdict.

    INCONCLUSIVE: there is too little data for the margin asked; INVALID: the board was not in a
    state to be measured. Neither has passed, and neither says that anything is wrong.
    """

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"

    @classmethod
    def of(cls, passed: bool) -> Outcome:
        """Return the outcome of a figure that was simply held against a bound."""
        return cls.PASS if passed else cls.FAIL


MAKING = "making"
"""What stands for a stage where the model's files are at fault; what of their making follows."""
LOADING = "loading"
"""What a process does before its first frame: libraries, model and detector."""
GRAVEST_FIRST = (Outcome.FAIL, Outcome.INVALID, Outcome.INCONCLUSIVE, Outcome.PASS)


@dataclass(frozen=True)
class GateResult:
    """One figure against one threshold.

    ``figure`` is None where there was nothing to measure, ``threshold`` where none was set; such
    a result has not passed. ``message`` is one line for a person. Where a baseline was compared
    with, ``baseline`` is its figure, ``interval`` that of the difference from it, in the unit of
    ``threshold``. ``stage`` is the pipeline's stage to look at, where the gate can name one.
    ``remark`` is what a person should know beside the figure and its bound.
    """

    gate: str
    figure: float | None
    threshold: float | None
    outcome: Outcome
    message: str
    baseline: float | None = None
    interval: Interval | None = None
    stage: str | None = None
    remark: str = ""

    @property
    def passed(self) -> bool:
        """Whether the figure was measured and lies within its bound."""
        return self.outcome is Outcome.PASS


def gravest(results: Iterable[GateResult]) -> Outcome:
    """Return the outcome of several gates together; without any there was nothing to object to."""
    found = {one.outcome for one in results}
    return next((one for one in GRAVEST_FIRST if one in found), Outcome.PASS)
