"""Does it keep up with a camera, and for how long? Only with --pace realtime, or --minutes N."""

from harness.bench import Bench
from harness.replays import CaseRun
from harness.verdicts.explain import explain_realtime, explain_sustained
from harness.verdicts.thresholds import Case


def test_no_frame_is_late(case: Case, paced_run: CaseRun, bench: Bench, conclude):
    report = bench.judge_realtime(case)
    gates = bench.verdicts[case].realtime_gates
    conclude(gates, explain_realtime(case, report, gates, paced_run.failures))


def test_every_minute_is_as_good(case: Case, sustained_run: CaseRun, bench: Bench, conclude):
    runs = bench.judge_sustained(case)
    gates = bench.verdicts[case].sustained_gates
    conclude(gates, explain_sustained(case, runs, gates, sustained_run.failures))
