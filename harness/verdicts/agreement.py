"""Agreement of estimated with true heart rates (Bland & Altman 1986, 1999)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.verdicts.accuracy import Scored

LIMITS_SD = 1.96
# A standard deviation of fewer differences says nothing of where the next will lie.
MIN_FOR_LIMITS = 3


@dataclass(frozen=True)
class Agreement:
    """The mean error and the limits that 95 % of normal errors lie within, in bpm.

    The limits are None for fewer than three recordings.
    """

    n: int
    bias_bpm: float | None
    low_bpm: float | None
    high_bpm: float | None


def agreement(scored: Sequence[Scored]) -> Agreement:
    """Bias and limits of agreement over whole recordings."""
    errors = np.array([one.error_bpm for one in scored], dtype=np.float64)
    if not len(errors):
        return Agreement(0, None, None, None)
    bias = float(errors.mean())
    if len(errors) < MIN_FOR_LIMITS:
        return Agreement(len(errors), bias, None, None)
    reach = LIMITS_SD * float(errors.std(ddof=1))
    return Agreement(len(errors), bias, bias - reach, bias + reach)
