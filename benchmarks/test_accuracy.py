"""Is it still accurate? Mean absolute error against the thresholds, overall and per group."""

import pytest

from harness.bench import Bench
from harness.replays import CaseRun
from harness.verdicts.explain import explain_accuracy
from harness.verdicts.thresholds import Case


def test_heart_rate_error(
    case: Case, case_run: CaseRun, bench: Bench, record_gates, record_property
):
    verdicts = bench.judge_accuracy(case)
    report, gates = verdicts.accuracy, verdicts.accuracy_gates
    record_gates(gates)
    for group, figures in {"all": report.overall, **report.groups}.items():
        record_property(f"n.{getattr(group, 'value', group)}", figures.n)
    if not all(gate.passed for gate in gates):
        pytest.fail(explain_accuracy(case, report, gates, case_run.failures), pytrace=False)
