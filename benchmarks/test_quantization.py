"""Is it still the same model? Each form against float32, recording by recording."""

from harness.case_verdicts import Verdicts
from harness.replays import CaseRun
from harness.verdicts.explain import explain_quantization
from harness.verdicts.thresholds import Case


def test_like_float32(case: Case, case_run: CaseRun, fidelity: Verdicts, conclude):
    report, gates = fidelity.fidelity, fidelity.fidelity_gates
    conclude(gates, explain_quantization(case, report, gates, case_run.failures))
