"""Is it still real-time? Real-time factor and time per stage, on the board's own clock."""

import pytest

from harness.bench import Bench
from harness.campaign import CaseRun
from harness.clock import board_clock, play
from harness.verdicts.explain import explain_latency
from harness.verdicts.latency import STAGES, measure
from harness.verdicts.thresholds import Case


def test_keeps_up(case: Case, timed_run: CaseRun, bench: Bench, record_gates):
    verdicts = bench.judge_latency(case)
    report, gates = verdicts.latency, verdicts.latency_gates
    record_gates(gates)
    if not all(gate.passed for gate in gates):
        pytest.fail(explain_latency(case, report, gates, timed_run.failures), pytrace=False)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.benchmark(group="board time per frame", timer=board_clock)
def test_stage_time(stage: str, case: Case, timed_run: CaseRun, benchmark):
    """One round per replay, its mean time per frame: frames of one run are not independent."""
    if not timed_run.times:
        pytest.fail(f"{case}: every replay failed, nothing was timed", pytrace=False)
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
