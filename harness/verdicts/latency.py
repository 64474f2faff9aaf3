"""Where the time of a replay goes: per stage, call and frame, and against the video's length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Stage = Literal["decode", "detect", "preprocess", "predict", "postprocess"]
STAGES: tuple[str, ...] = get_args(Stage)
"""The pipeline's stages, in the order a frame passes them."""

PERCENTILES = (50, 90, 99)
NS_PER_MS = 1e6
NS_PER_S = 1e9
NANOSECONDS, INSTRUCTIONS = "ns", "instructions"
"""What ``RunTimes`` may count; the latter is summed up by ``counts`` and is no time."""


@dataclass(frozen=True, eq=False)
class StageTimes:
    """What one stage took for every frame of one replay.

    Args:
        stage: one of ``STAGES``.
        frame_ns: (frames,) integers; 0 on frames on which the stage did not run, so that the
            calls of a stage are its entries above 0.

    Raises:
        ValueError: an unknown stage, no frame, or times that are not whole numbers from 0 up.
    """

    stage: str
    frame_ns: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise ValueError(f"unknown stage {self.stage!r}; stages are {', '.join(STAGES)}")
        times = np.asarray(self.frame_ns)
        if times.ndim != 1 or times.size == 0 or not np.issubdtype(times.dtype, np.integer):
            raise ValueError(f"{self.stage}: times must be a row of whole ns, one per frame")
        if times.min() < 0:
            raise ValueError(f"{self.stage}: a time of {times.min()} ns is below 0")
        object.__setattr__(self, "frame_ns", times.astype(np.int64))

    @property
    def total_ns(self) -> int:
        """The time of the stage over all frames."""
        return int(self.frame_ns.sum())


@dataclass(frozen=True)
class RunTimes:
    """One replay of one recording: its stages over the same frames, and the media's length.

    Raises:
        ValueError: no stage or one given twice, unequal frame counts, no time measured at all,
            or a media length that is not a positive number.
    """

    recording: str
    media_s: float
    stages: tuple[StageTimes, ...]
    unit: str = NANOSECONDS

    def __post_init__(self) -> None:
        if self.unit not in (NANOSECONDS, INSTRUCTIONS):
            raise ValueError(f"{self.recording}: {self.unit!r} is no unit of stage times")
        names = [one.stage for one in self.stages]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"{self.recording}: stages must be given once each, got {names}")
        if len({len(one.frame_ns) for one in self.stages}) != 1:
            raise ValueError(f"{self.recording}: the stages cover unequal numbers of frames")
        if not (np.isfinite(self.media_s) and self.media_s > 0):
            raise ValueError(f"{self.recording}: a media length of {self.media_s} s is no length")
        if not any(one.total_ns for one in self.stages):
            raise ValueError(f"{self.recording}: no stage took any time: nothing was measured")

    @property
    def frames(self) -> int:
        """How many frames were replayed."""
        return len(self.stages[0].frame_ns)

    @property
    def processing_s(self) -> float:
        """The time of all stages, decoding among them."""
        return sum(one.total_ns for one in self.stages) / NS_PER_S

    @property
    def real_time_factor(self) -> float:
        """Processing time over media time; below 1 keeps up with a camera."""
        return self.processing_s / self.media_s


@dataclass(frozen=True)
class StageFigures:
    """One stage over all runs.

    Percentiles are over its calls of all runs together, None where it never ran. Frames of one
    run are not independent, so statistics need ``run_ms_per_frame``: one mean for each run.
    """

    stage: str
    calls: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    ms_per_frame: float
    share_percent: float
    run_ms_per_frame: tuple[float, ...]


@dataclass(frozen=True)
class ThreeWaySplit:
    """The paper's three parts, in percent of their sum; decoding is outside of it."""

    detection_and_preprocessing_percent: float
    prediction_percent: float
    postprocessing_percent: float


@dataclass(frozen=True)
class LatencyReport:
    """The time of one variant on one board over its runs.

    Without a run ``real_time_factor`` is None and ``stages`` empty. ``split`` is None where
    nothing but decoding took time. ``run_real_time_factors`` has one entry for each run.
    """

    runs: int
    frames: int
    media_s: float
    processing_s: float
    real_time_factor: float | None
    run_real_time_factors: tuple[float, ...]
    stages: tuple[StageFigures, ...]
    split: ThreeWaySplit | None


def measure(runs: Sequence[RunTimes]) -> LatencyReport:
    """Sum up replays of one variant on one board; stages come in the pipeline's order.

    Raises:
        ValueError: the runs do not all have the same stages, or one counts instructions.
    """
    if any(run.unit != NANOSECONDS for run in runs):
        raise ValueError("a run counts instructions; those are no time")
    if len({frozenset(one.stage for one in run.stages) for run in runs}) > 1:
        raise ValueError("the runs were timed by different stages and cannot be summed up")
    media_s = sum(run.media_s for run in runs)
    processing_s = sum(run.processing_s for run in runs)
    by_stage = {
        stage: times
        for stage in STAGES
        if (times := [one for run in runs for one in run.stages if one.stage == stage])
    }
    total_ns = {stage: sum(one.total_ns for one in times) for stage, times in by_stage.items()}
    return LatencyReport(
        runs=len(runs),
        frames=sum(run.frames for run in runs),
        media_s=media_s,
        processing_s=processing_s,
        real_time_factor=processing_s / media_s if runs else None,
        run_real_time_factors=tuple(run.real_time_factor for run in runs),
        stages=tuple(
            _stage_figures(stage, times, sum(total_ns.values()))
            for stage, times in by_stage.items()
        ),
        split=_three_way_split(total_ns),
    )


def _stage_figures(stage: str, runs: Sequence[StageTimes], all_stages_ns: int) -> StageFigures:
    frame_ns = np.concatenate([one.frame_ns for one in runs])
    calls_ns = frame_ns[frame_ns > 0]
    p50, p90, p99 = (
        (float(one) for one in np.percentile(calls_ns, PERCENTILES) / NS_PER_MS)
        if calls_ns.size
        else (None, None, None)
    )
    return StageFigures(
        stage=stage,
        calls=int(calls_ns.size),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        ms_per_frame=float(frame_ns.mean()) / NS_PER_MS,
        share_percent=100 * int(frame_ns.sum()) / all_stages_ns,
        run_ms_per_frame=tuple(float(one.frame_ns.mean()) / NS_PER_MS for one in runs),
    )


def _three_way_split(total_ns: dict[str, int]) -> ThreeWaySplit | None:
    before = total_ns.get("detect", 0) + total_ns.get("preprocess", 0)
    predict, after = total_ns.get("predict", 0), total_ns.get("postprocess", 0)
    whole = before + predict + after
    if whole == 0:
        return None
    return ThreeWaySplit(100 * before / whole, 100 * predict / whole, 100 * after / whole)
