import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.verdicts.accuracy import HeartRateGroup
from harness.verdicts.explain import explain_quantization
from harness.verdicts.fidelity import FidelityReport, Making, Pair
from harness.verdicts.gates import gate_quantization
from harness.verdicts.thresholds import Case, parse_thresholds

CASE = Case("local", "synthetic", "int8")
PULSE = np.sin(np.linspace(0, 60, 600))
RULE = {
    "max_paired_bpm": 0.05,
    "max_lost_locks": 0,
    "max_mae_change_bpm": 0.1,
    "min_correlation": 0.99,
    "min_snr_db": 20.0,
    "max_bytes": 1000,
}


def pair(truth=70.0, plain=70.0, variant=70.0, derivative=PULSE, name="a"):
    return Pair(name, truth, plain, variant, PULSE, derivative)


def gates(*pairs, size=1000, rule=RULE):
    thresholds = parse_thresholds({"accuracy": [], "latency": [], "quantization": [rule]})
    return gate_quantization(thresholds, CASE, FidelityReport(pairs, size))


def failed(*pairs, **how):
    return {one.gate for one in gates(*pairs, **how) if not one.passed}


def test_an_equal_model_of_the_limits_size_passes_every_gate():
    results = gates(pair(), pair(truth=100.0, plain=100.0, variant=100.0))
    assert all(one.passed for one in results)
    # Two groups have recordings.
    assert len(results) == 8


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (pair(variant=70.06), {"paired_bpm"}),
        (pair(variant=70.2), {"paired_bpm", "mae_change_bpm", "mae_change_bpm.low"}),
        (pair(variant=80.0), {"lost_locks", "paired_bpm", "mae_change_bpm", "mae_change_bpm.low"}),
        (pair(derivative=PULSE[::-1]), {"derivative_correlation", "derivative_snr_db"}),
        (pair(derivative=1.2 * PULSE), {"derivative_snr_db"}),
        (pair(derivative=0 * PULSE), {"derivative_correlation", "derivative_snr_db"}),
    ],
)
def test_each_fault_fails_its_gates(one, expected):
    assert failed(one) == expected


def test_a_file_too_large_fails():
    assert failed(pair(), size=1001) == {"model_bytes"}


def test_where_float32_is_wrong_no_lock_is_lost():
    stray = pair(truth=70.0, plain=120.0, variant=50.0)
    assert not stray.locked
    assert not stray.lost
    assert "lost_locks" not in failed(stray, pair())


def test_nothing_compared_fails_all_but_size_and_losses():
    assert failed() == {
        "paired_bpm",
        "mae_change_bpm",
        "derivative_correlation",
        "derivative_snr_db",
    }


def test_no_rule_has_not_passed():
    thresholds = parse_thresholds({"accuracy": [], "latency": []})
    (result,) = gate_quantization(thresholds, CASE, FidelityReport((pair(),), 1))
    assert not result.passed
    assert "no quantization rule" in result.message


@given(st.floats(0.5, 2.0), st.floats(-3, 3))
def test_a_level_changes_nothing_and_a_gain_no_correlation(gain, level):
    one = pair(derivative=gain * PULSE + level)
    assert one.correlation == pytest.approx(1)
    assert pair(derivative=PULSE + level).snr_db > 100


def test_groups_are_by_the_truth():
    report = FidelityReport(
        (pair(truth=76.0, plain=76, variant=77), pair(truth=95.0, plain=94, variant=95)), 1
    )
    assert report.mae_change_bpm(HeartRateGroup.LOW) == pytest.approx(1)
    assert report.mae_change_bpm(HeartRateGroup.HIGH) == pytest.approx(-1)
    assert report.mae_change_bpm(HeartRateGroup.MIDDLE) is None
    assert (report.n(), report.n(HeartRateGroup.LOW)) == (2, 1)


@pytest.mark.parametrize(
    ("noise", "said"),
    [(1.0, "Look first at the attention mask"), (0.3, "Look first at the calibration"), (0.05, "")],
)
def test_where_to_look_first_goes_by_the_damage(noise, said):
    derivative = PULSE + noise * np.random.default_rng(0).normal(size=PULSE.size)
    pairs = (pair(derivative=derivative),)
    text = explain_quantization(CASE, FidelityReport(pairs, 1), gates(*pairs))
    assert (said or "holds") in text
    assert ("Look first" in text) == bool(said)


@pytest.mark.parametrize(
    ("making", "failed"),
    [
        (Making(0, 3), set()),
        (Making(1, 3), {"shared_scales"}),
        (Making(0, 2), {"calibration_recordings"}),
        (Making(0), set()),
    ],
)
def test_how_a_model_was_made_is_gated(making, failed):
    rule = {"max_shared_scales": 0, "min_calibration_recordings": 3}
    rules = parse_thresholds({"accuracy": [], "latency": [], "quantization": [rule]})
    found = gate_quantization(rules, CASE, FidelityReport((pair(),), 1, making=making))
    assert {gate.gate for gate in found if not gate.passed} == failed
