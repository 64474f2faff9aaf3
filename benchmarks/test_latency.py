"""Is it still real-time? Real-time factor and time per stage, on the board's own clock."""

import pytest

from harness.bench import Bench
from harness.clock import board_clock, play
from harness.replays import CaseRun
from harness.verdicts.explain import explain_counts, explain_latency
from harness.verdicts.explain_changes import explain_changes
from harness.verdicts.latency import INSTRUCTIONS, STAGES, measure
from harness.verdicts.thresholds import Case


def test_keeps_up(case: Case, timed_run: CaseRun, bench: Bench, conclude):
    verdicts = bench.judge_latency(case)
    gates = verdicts.all_latency_gates
    if verdicts.counts is not None:
        said = explain_counts(case, verdicts.counts, gates, timed_run.failures)
    else:
        said = explain_latency(case, verdicts.latency, gates, timed_run.failures)
    conclude(gates, said + explain_changes(verdicts.time_change))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.benchmark(group="board time per frame", timer=board_clock)
def test_stage_time(stage: str, case: Case, timed_run: CaseRun, benchmark):
    """One round per replay, its mean time per frame: frames of one run are not independent."""
    if not timed_run.times:
        pytest.fail(f"{case}: every replay failed, nothing was timed", pytrace=False)
    if timed_run.unit == INSTRUCTIONS:
        pytest.skip(f"{case.board} counts instructions, which are no time; see test_keeps_up")
    figures = next(one for one in measure(timed_run.times).stages if one.stage == stage)
    benchmark.extra_info.update(
        stage=stage,
        board=case.board,
        dataset=case.dataset,
        variant=case.variant,
        calls=figures.calls,
        p50_ms=figures.p50_ms,
        p90_ms=figures.p90_ms,
        p99_ms=figures.p99_ms,
        share_percent=figures.share_percent,
    )
    play(benchmark, [ms / 1e3 for ms in figures.run_ms_per_frame])
