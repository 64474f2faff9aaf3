"""Every figure of a case by name: what the history keeps, and what boards are compared by.

A figure of a part is NAME.PART: `mae_bpm.high`, `ms_per_frame.predict`. A board whose clock counts
instructions has `minstr` for `ms`, and no real-time factor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.replays import CaseRun
from harness.verdicts.accuracy import AccuracyFigures, HeartRateGroup, score
from harness.verdicts.intervals import FigureIntervals, Interval
from harness.verdicts.latency import (
    INSTRUCTIONS,
    NS_PER_MS,
    PERCENTILES,
    STAGES,
    RunTimes,
)

UNITS = {"ns": ("ms", NS_PER_MS), INSTRUCTIONS: ("minstr", 1e6)}
"""For what the records count, the unit of the figures and how many make one."""


@dataclass(frozen=True)
class Figure:
    """A figure, with its 95 % interval over subjects where there is one."""

    value: float
    interval: Interval | None = None


def unit_of(run: CaseRun) -> str:
    """Return `ms` or `minstr`."""
    return UNITS[run.unit][0]


def figures_of(run: CaseRun) -> dict[str, Figure]:
    """Return the figures of a case; what was not measured has none."""
    return {**dict(_accuracy(run)), **dict(_speed(run)), **dict(_size(run))}


def frame_costs(times: RunTimes) -> np.ndarray:
    """Return what each frame of a replay took over all stages, (frames,), in ms or M instr."""
    costs = np.stack([one.frame_ns for one in times.stages])
    return np.asarray(costs.sum(axis=0) / UNITS[times.unit][1])


def _accuracy(run: CaseRun) -> Iterator[tuple[str, Figure]]:
    report = score(run.scored)
    yield from _errors(report.overall, report.intervals[None], "")
    for group in HeartRateGroup:
        yield from _errors(report.groups[group], report.intervals[group], f".{group.value}")


def _errors(
    figures: AccuracyFigures, sure: FigureIntervals, part: str
) -> Iterator[tuple[str, Figure]]:
    for name in ("mae_bpm", "rmse_bpm", "pearson_r", "mean_snr_db"):
        value = getattr(figures, name)
        if value is not None:
            yield name + part, Figure(value, getattr(sure, name))


def _speed(run: CaseRun) -> Iterator[tuple[str, Figure]]:
    if not run.times:
        return
    unit, size = UNITS[run.unit]
    whole = np.concatenate([frame_costs(one) for one in run.times])
    yield f"{unit}_per_frame", Figure(float(whole.mean()))
    yield from _percentiles(whole, unit, "")
    for place, stage in enumerate(STAGES):
        cost = np.concatenate([one.stages[place].frame_ns for one in run.times]) / size
        yield f"{unit}_per_frame.{stage}", Figure(float(cost.mean()))
        yield f"share_percent.{stage}", Figure(float(100 * cost.sum() / whole.sum()))
        yield from _percentiles(cost[cost > 0], unit, f".{stage}")
    if run.unit != INSTRUCTIONS:
        took_s = sum(one.processing_s for one in run.times)
        yield "real_time_factor", Figure(took_s / sum(one.media_s for one in run.times))


def _percentiles(costs: np.ndarray, unit: str, part: str) -> Iterator[tuple[str, Figure]]:
    """Of the frames, or of a stage's calls."""
    if costs.size:
        for level, value in zip(PERCENTILES, np.percentile(costs, PERCENTILES), strict=True):
            yield f"p{level}_{unit}{part}", Figure(float(value))


def _size(run: CaseRun) -> Iterator[tuple[str, Figure]]:
    if run.model_bytes is not None:
        yield "model_bytes", Figure(float(run.model_bytes))
    records = [one.record.raw for one in run.replays if one.record.ok]
    peaks = [raw["peak_memory_bytes"] for raw in records if "peak_memory_bytes" in raw]
    if peaks:
        yield "peak_memory_bytes", Figure(float(max(peaks)))
    # A meter has a reading for the whole replay, start and end of the program among it.
    metered = [
        (float(raw["health"]["joules"]), one.record.duration_s)
        for one in run.replays
        if one.record.ok and "joules" in (raw := one.record.raw).get("health", {})
    ]
    if metered and len(metered) == len(records):
        joules, media_s = (sum(column) for column in zip(*metered, strict=True))
        yield "joules_per_media_s", Figure(joules / media_s)
