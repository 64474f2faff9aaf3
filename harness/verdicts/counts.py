"""Work of a replay in instructions, on a board whose clock counts them: no time, and no noise.

A count says how much a board has to do, not how long it takes: processors need more or less than a
nanosecond for an instruction. So nothing here is ever in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.verdicts.latency import INSTRUCTIONS, PERCENTILES, STAGES, RunTimes

PER_MILLION = 1e6


@dataclass(frozen=True)
class StageCount:
    """One stage over all runs, in millions of instructions.

    Percentiles are over its calls, None where it never ran; ``run_minstr_per_frame`` has one mean
    for each run.
    """

    stage: str
    calls: int
    p50_minstr: float | None
    p90_minstr: float | None
    p99_minstr: float | None
    minstr_per_frame: float
    share_percent: float
    run_minstr_per_frame: tuple[float, ...]


@dataclass(frozen=True)
class CountReport:
    """The work of one variant on one board over its runs; ``stages`` is empty without a run."""

    runs: int
    frames: int
    stages: tuple[StageCount, ...]

    @property
    def minstr_per_frame(self) -> float | None:
        """All stages together, mean of a frame."""
        return sum(one.minstr_per_frame for one in self.stages) if self.stages else None

    def largest(self, count: int) -> tuple[StageCount, ...]:
        """Return the stages that take the most, largest first: the next to make faster."""
        return tuple(sorted(self.stages, key=lambda one: -one.minstr_per_frame)[:count])

    def estimate_ms(self, instructions_per_ms: float) -> float | None:
        """Return what a frame might take on a board that does so many; an estimate at best."""
        whole = self.minstr_per_frame
        return None if whole is None else whole * PER_MILLION / instructions_per_ms


def count(runs: Sequence[RunTimes]) -> CountReport:
    """Sum up replays of one variant on one board; stages come in the pipeline's order.

    Raises:
        ValueError: a run that was timed in nanoseconds.
    """
    if any(run.unit != INSTRUCTIONS for run in runs):
        raise ValueError("a run was timed in nanoseconds; those are no instructions")
    rows = {
        stage: [one.frame_ns for run in runs for one in run.stages if one.stage == stage]
        for stage in STAGES
    }
    whole = sum(int(row.sum()) for of_stage in rows.values() for row in of_stage)
    return CountReport(
        runs=len(runs),
        frames=sum(run.frames for run in runs),
        stages=tuple(_figures(stage, found, whole) for stage, found in rows.items() if found),
    )


def slowdown_percent(figure: float, baseline: float) -> float:
    """Return by how much a figure is above a baseline, in percent; below 0 where it is less."""
    return 100.0 * (figure / baseline - 1.0)


def per_stage(report: CountReport) -> Mapping[str, float]:
    """Return millions of instructions a frame by stage, and for ``all`` of them."""
    found = {one.stage: one.minstr_per_frame for one in report.stages}
    return {**found, "all": sum(found.values())} if found else {}


def _figures(stage: str, runs: Sequence[np.ndarray], whole: int) -> StageCount:
    row = np.concatenate(runs)
    calls = row[row > 0]
    p50, p90, p99 = (
        (float(one) / PER_MILLION for one in np.percentile(calls, PERCENTILES))
        if calls.size
        else (None, None, None)
    )
    return StageCount(
        stage=stage,
        calls=int(calls.size),
        p50_minstr=p50,
        p90_minstr=p90,
        p99_minstr=p99,
        minstr_per_frame=float(row.mean()) / PER_MILLION,
        share_percent=100 * int(row.sum()) / whole,
        run_minstr_per_frame=tuple(float(one.mean()) / PER_MILLION for one in runs),
    )
