"""Stage times: percentiles over calls, shares, real-time factor, and the paper's split."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.verdicts.latency import STAGES, RunTimes, StageTimes, measure
from rppg_core import pipeline

MS = 1_000_000


def run(media_s: float = 1.0, recording: str = "a", **stage_ms: list[float]) -> RunTimes:
    stages = (
        StageTimes(stage, (np.array(ms) * MS).astype(np.int64)) for stage, ms in stage_ms.items()
    )
    return RunTimes(recording, media_s, tuple(stages))


@st.composite
def runs(draw: st.DrawFn) -> list[RunTimes]:
    stages = draw(st.lists(st.sampled_from(STAGES), min_size=1, unique=True))
    found = []
    for _ in range(draw(st.integers(1, 4))):
        frames = draw(st.integers(1, 12))
        times = [
            draw(st.lists(st.integers(0, 10**10), min_size=frames, max_size=frames)) for _ in stages
        ]
        times[0][0] += 1
        ns = (StageTimes(stage, np.array(row)) for stage, row in zip(stages, times, strict=True))
        found.append(RunTimes("a", draw(st.floats(0.1, 600)), tuple(ns)))
    return found


def test_figures_worked_by_hand():
    report = measure([run(0.1, decode=[2, 2, 2, 2], predict=[0, 10, 0, 22])])
    decode, predict = report.stages
    assert (report.runs, report.frames, report.media_s) == (1, 4, 0.1)
    assert report.processing_s == pytest.approx(0.040)
    assert report.real_time_factor == pytest.approx(0.40)
    assert (decode.calls, decode.p50_ms, decode.p99_ms) == (4, 2, 2)
    # Only the two calls count for percentiles, all four frames for the mean.
    assert (predict.calls, predict.p50_ms) == (2, 16)
    assert predict.p90_ms == pytest.approx(20.8)
    assert predict.p99_ms == pytest.approx(21.88)
    assert predict.ms_per_frame == pytest.approx(8)
    assert (decode.share_percent, predict.share_percent) == pytest.approx((20, 80))


def test_runs_are_pooled_and_kept_apart():
    report = measure([run(1.0, predict=[1, 3]), run(3.0, predict=[0, 0, 0, 8])])
    (predict,) = report.stages
    assert (report.runs, report.frames, predict.calls) == (2, 6, 3)
    assert predict.p50_ms == 3
    assert predict.ms_per_frame == pytest.approx(2)
    assert predict.run_ms_per_frame == pytest.approx((2, 2))
    assert report.run_real_time_factors == pytest.approx((0.004, 0.008 / 3))
    # The whole is weighted by the media's length, not the mean of the runs.
    assert report.real_time_factor == pytest.approx(0.012 / 4)


def test_stages_come_in_the_order_of_the_pipeline():
    stages = {stage: [1.0] for stage in STAGES}
    report = measure([run(**dict(reversed(stages.items()))), run(**stages)])
    assert [one.stage for one in report.stages] == list(STAGES)


def test_the_stages_are_those_that_the_pipeline_times():
    assert STAGES == pipeline.STAGES


def test_the_papers_split_leaves_out_decoding():
    report = measure([run(decode=[100], detect=[2], preprocess=[1], predict=[6], postprocess=[1])])
    assert report.split is not None
    assert report.split.detection_and_preprocessing_percent == pytest.approx(30)
    assert report.split.prediction_percent == pytest.approx(60)
    assert report.split.postprocessing_percent == pytest.approx(10)
    assert measure([run(decode=[100])]).split is None


def test_a_stage_that_never_ran_has_no_percentiles():
    detect = measure([run(decode=[1, 1], detect=[0, 0])]).stages[1]
    assert (detect.calls, detect.p50_ms, detect.p90_ms, detect.p99_ms) == (0, None, None, None)
    assert (detect.ms_per_frame, detect.share_percent) == (0, 0)


def test_no_run_has_no_figures():
    report = measure([])
    assert (report.runs, report.real_time_factor, report.stages, report.split) == (
        0,
        None,
        (),
        None,
    )


@given(runs())
def test_what_holds_for_any_times(replays):
    report = measure(replays)
    assert sum(one.share_percent for one in report.stages) == pytest.approx(100)
    total_ms = sum(one.ms_per_frame for one in report.stages) * report.frames
    assert total_ms == pytest.approx(report.processing_s * 1000)
    factors = report.run_real_time_factors
    assert min(factors) * (1 - 1e-9) <= report.real_time_factor <= max(factors) * (1 + 1e-9)
    for one in report.stages:
        assert one.calls == 0 or one.p50_ms <= one.p90_ms <= one.p99_ms
        assert len(one.run_ms_per_frame) == report.runs
    if report.split is not None:
        parts = vars(report.split).values()
        assert sum(parts) == pytest.approx(100)


@given(runs(), st.integers(2, 5))
def test_a_slower_board_has_the_same_shares(replays, times):
    slower = [
        RunTimes(
            one.recording,
            one.media_s,
            tuple(StageTimes(stage.stage, stage.frame_ns * times) for stage in one.stages),
        )
        for one in replays
    ]
    before, after = measure(replays), measure(slower)
    assert after.real_time_factor == pytest.approx(times * before.real_time_factor)
    for ours, theirs in zip(before.stages, after.stages, strict=True):
        assert theirs.share_percent == pytest.approx(ours.share_percent)
        assert theirs.ms_per_frame == pytest.approx(times * ours.ms_per_frame)


@pytest.mark.parametrize(
    "frame_ns",
    [np.array([], np.int64), np.ones((2, 2), np.int64), np.array([0.5]), np.array([5, -1])],
    ids=["empty", "two axes", "fractions", "negative"],
)
def test_times_that_are_none_are_refused(frame_ns):
    with pytest.raises(ValueError, match="predict"):
        StageTimes("predict", frame_ns)


def test_a_misspelt_stage_is_refused():
    with pytest.raises(ValueError, match="unknown stage 'predcit'; stages are decode, "):
        StageTimes("predcit", np.array([1]))


@pytest.mark.parametrize("media_s", [0.0, -1.0, float("nan"), float("inf")])
def test_a_media_length_that_is_none_is_refused(media_s):
    with pytest.raises(ValueError, match="length"):
        run(media_s, decode=[1])


def test_a_run_that_does_not_hold_together_is_refused():
    decode, twice = StageTimes("decode", np.array([1, 1])), StageTimes("decode", np.array([1, 2]))
    with pytest.raises(ValueError, match="once each"):
        RunTimes("a", 1.0, (decode, twice))
    with pytest.raises(ValueError, match="once each"):
        RunTimes("a", 1.0, ())
    with pytest.raises(ValueError, match="unequal"):
        RunTimes("a", 1.0, (decode, StageTimes("predict", np.array([1]))))
    with pytest.raises(ValueError, match="nothing was measured"):
        run(decode=[0, 0])


def test_runs_of_different_stages_are_not_summed_up():
    with pytest.raises(ValueError, match="different stages"):
        measure([run(decode=[1]), run(decode=[1], predict=[1])])
