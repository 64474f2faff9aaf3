"""Is it still the same model? Each form against float32, recording by recording."""

import pytest

from harness.bench import Verdicts
from harness.replays import CaseRun
from harness.verdicts.explain import explain_quantization
from harness.verdicts.thresholds import Case


def test_like_float32(case: Case, case_run: CaseRun, fidelity: Verdicts, record_gates):
    report, gates = fidelity.fidelity, fidelity.fidelity_gates
    record_gates(gates)
    if not all(gate.passed for gate in gates):
        pytest.fail(explain_quantization(case, report, gates, case_run.failures), pytrace=False)
