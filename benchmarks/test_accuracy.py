"""Is it still accurate? Mean absolute error against the thresholds, overall and per group."""

from harness.bench import Bench
from harness.replays import CaseRun
from harness.verdicts.explain import explain_accuracy
from harness.verdicts.explain_changes import explain_changes
from harness.verdicts.thresholds import Case


def test_heart_rate_error(case: Case, case_run: CaseRun, bench: Bench, conclude, record_property):
    verdicts = bench.judge_accuracy(case)
    report, gates = verdicts.accuracy, verdicts.all_accuracy_gates
    for group, figures in {"all": report.overall, **report.groups}.items():
        record_property(f"n.{getattr(group, 'value', group)}", figures.n)
    said = explain_accuracy(case, report, gates, case_run.failures)
    conclude(gates, said + explain_changes(verdicts.error_change))
