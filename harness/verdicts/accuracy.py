"""How far estimated heart rates lie from their references: overall and per heart-rate group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from harness.verdicts.intervals import MIN_SPREAD_FOR_R_BPM, FigureIntervals, figure_intervals

# The paper's three groups of reference heart rates: below 77, 77 to below 90, 90 and above.
MIDDLE_FROM_BPM = 77.0
HIGH_FROM_BPM = 90.0

# Two points always lie on a line: a correlation says nothing before the third.
MIN_RECORDINGS_FOR_R = 3


class HeartRateGroup(str, Enum):
    """The group a recording belongs to by its reference heart rate."""

    LOW = "low"
    MIDDLE = "middle"
    HIGH = "high"

    @classmethod
    def of(cls, reference_bpm: float) -> HeartRateGroup:
        """Return the group of a reference heart rate; a rate on a border is in the upper group."""
        if reference_bpm < MIDDLE_FROM_BPM:
            return cls.LOW
        if reference_bpm < HIGH_FROM_BPM:
            return cls.MIDDLE
        return cls.HIGH


@dataclass(frozen=True)
class Scored:
    """One recording's heart rate beside its reference.

    Raises:
        ValueError: a figure is not finite, or a heart rate is not positive.
    """

    recording: str
    subject: str
    reference_bpm: float
    estimate_bpm: float
    snr_db: float

    def __post_init__(self) -> None:
        for name in ("reference_bpm", "estimate_bpm", "snr_db"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{self.recording}: {name} is {getattr(self, name)}, not a number")
        for name in ("reference_bpm", "estimate_bpm"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{self.recording}: {name} is {getattr(self, name)}, not above 0")

    @property
    def error_bpm(self) -> float:
        """The estimate minus the reference: negative where the estimate is too low."""
        return self.estimate_bpm - self.reference_bpm

    @property
    def group(self) -> HeartRateGroup:
        """The group of the reference, whatever was estimated."""
        return HeartRateGroup.of(self.reference_bpm)


@dataclass(frozen=True)
class AccuracyFigures:
    """Figures over ``n`` recordings; with none every other figure is None.

    ``pearson_r`` is None also for fewer than three recordings, or where one side does not vary.
    """

    n: int
    mae_bpm: float | None = None
    rmse_bpm: float | None = None
    mape_percent: float | None = None
    pearson_r: float | None = None
    mean_snr_db: float | None = None


@dataclass(frozen=True)
class AccuracyReport:
    """The accuracy of one variant on one board over one dataset; every group is present."""

    scored: tuple[Scored, ...]
    overall: AccuracyFigures
    groups: Mapping[HeartRateGroup, AccuracyFigures]

    @cached_property
    def intervals(self) -> Mapping[HeartRateGroup | None, FigureIntervals]:
        """Confidence intervals over subjects: of all recordings under None, and of each group."""
        found: dict[HeartRateGroup | None, FigureIntervals] = {None: intervals(self.scored)}
        for group in HeartRateGroup:
            found[group] = intervals([one for one in self.scored if one.group is group])
        return found

    def worst(self, n: int) -> tuple[Scored, ...]:
        """Return up to ``n`` recordings, the largest absolute error first."""
        by_error = sorted(self.scored, key=lambda one: (-abs(one.error_bpm), one.recording))
        return tuple(by_error[: max(n, 0)])


def score(scored: Sequence[Scored]) -> AccuracyReport:
    """Compare estimates with their references, overall and per group."""
    return AccuracyReport(
        scored=tuple(scored),
        overall=figures(scored),
        groups={
            group: figures([one for one in scored if one.group is group])
            for group in HeartRateGroup
        },
    )


def figures(scored: Sequence[Scored]) -> AccuracyFigures:
    """Figures over some recordings, or windows of recordings."""
    if not scored:
        return AccuracyFigures(n=0)
    reference = np.array([one.reference_bpm for one in scored], dtype=np.float64)
    estimate = np.array([one.estimate_bpm for one in scored], dtype=np.float64)
    error = estimate - reference
    return AccuracyFigures(
        n=len(scored),
        mae_bpm=float(np.mean(np.abs(error))),
        rmse_bpm=float(np.sqrt(np.mean(error**2))),
        mape_percent=float(100 * np.mean(np.abs(error) / reference)),
        pearson_r=_pearson_r(reference, estimate),
        mean_snr_db=float(np.mean([one.snr_db for one in scored])),
    )


def intervals(scored: Sequence[Scored]) -> FigureIntervals:
    """Confidence intervals of those figures, over the subjects of the recordings or windows."""
    return figure_intervals(
        np.array([one.reference_bpm for one in scored], dtype=np.float64),
        np.array([one.estimate_bpm for one in scored], dtype=np.float64),
        np.array([one.snr_db for one in scored], dtype=np.float64),
        [one.subject for one in scored],
    )


def _pearson_r(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float | None:
    if len(a) < MIN_RECORDINGS_FOR_R or min(np.ptp(a), np.ptp(b)) < MIN_SPREAD_FOR_R_BPM:
        return None
    # Rounding can carry the quotient just past 1.
    return float(np.clip(np.corrcoef(a, b)[0, 1], -1.0, 1.0))
