"""Gates: which rule holds, what passes, and that nothing passes unmeasured."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from harness.verdicts.accuracy import AccuracyFigures, AccuracyReport, Scored, score
from harness.verdicts.explain import explain_accuracy, explain_latency
from harness.verdicts.gates import gate_accuracy, gate_latency
from harness.verdicts.latency import STAGES, LatencyReport, RunTimes, StageTimes, measure
from harness.verdicts.thresholds import Case, Thresholds, find_rule, parse_thresholds
from rppg_core.errors import UserError

CASE = Case("local", "synthetic", "float32")
SHIPPED = Path(__file__).parents[3] / "benchmarks" / "thresholds.yaml"


def thresholds(accuracy: list[dict] | None = None, latency: list[dict] | None = None) -> Thresholds:
    return parse_thresholds({"accuracy": accuracy or [], "latency": latency or []})


def errors(*errors_bpm: float, from_bpm: float = 60.0) -> AccuracyReport:
    return score(
        [
            Scored(f"clip{i}", "s", from_bpm + 10 * i, from_bpm + 10 * i + error, 3.0)
            for i, error in enumerate(errors_bpm)
        ]
    )


def times(*stage_ms: float) -> LatencyReport:
    """Ten frames in one second, each stage with the same time for all of them."""
    stages = (
        StageTimes(stage, np.full(10, ms * 1e6, np.int64))
        for stage, ms in zip(STAGES, stage_ms, strict=False)
    )
    return measure([RunTimes("clip0", 1.0, tuple(stages))])


def verdicts(results) -> dict[str, bool]:
    return {one.gate: one.passed for one in results}


# Rules


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        (Case("local", "synthetic", "float32"), 4),
        (Case("local", "synthetic", "int8"), 3),
        (Case("lab", "synthetic", "int8"), 2),
        (Case("coral", "ubfc-rppg-2", "int8"), 1),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_the_most_specific_rule_holds_whatever_the_order(asked, holds, order):
    rules = [
        {"max_mae_bpm": 1},
        {"board": "l*", "max_mae_bpm": 2},
        {"board": "local", "max_mae_bpm": 3},
        {"board": "local", "variant": "float*", "max_mae_bpm": 4},
    ]
    assert find_rule(thresholds(rules[::order]).accuracy, asked).max_mae_bpm == holds


def test_one_plain_name_is_more_specific_than_two_patterns():
    rules = [
        {"board": "local", "max_mae_bpm": 1},
        {"dataset": "syn*", "variant": "float??", "max_mae_bpm": 2},
    ]
    assert find_rule(thresholds(rules).accuracy, CASE).max_mae_bpm == 1


def test_a_tie_is_an_error_that_names_both_rules():
    tied = thresholds(
        [{"board": "local", "max_mae_bpm": 1}, {"dataset": "synthetic", "max_mae_bpm": 2}]
    )
    with pytest.raises(UserError) as error:
        gate_accuracy(tied, CASE, errors(0))
    for part in ("local / * / *", "* / synthetic / *", "add a rule for local / synthetic / float"):
        assert part in str(error.value)
    assert gate_accuracy(tied, replace(CASE, dataset="mine"), errors(0))[0].threshold == 1


def test_no_rule_is_a_result_that_has_not_passed():
    for results in (
        gate_accuracy(thresholds(), CASE, errors(0)),
        gate_latency(thresholds(), CASE, times(1)),
    ):
        (result,) = results
        assert not result.passed
        assert (result.gate, result.figure, result.threshold) == ("rule", None, None)
        assert "matches local / synthetic / float32" in result.message


def test_names_are_matched_by_case():
    assert find_rule(thresholds([{"board": "Local", "max_mae_bpm": 1}]).accuracy, CASE) is None


NAN = float("nan")


@pytest.mark.parametrize(
    ("accuracy", "says"),
    [
        ([{"max_mea_bpm": 1}], "accuracy rule 1, max_mea_bpm: unknown key; known are board"),
        ([{"max_mae_bpm": 1}, {"bord": "x"}], "accuracy rule 2, bord: unknown key"),
        ([{"max_mae_bpm": NAN}], "accuracy rule 1, max_mae_bpm: .*finite number, got nan"),
        ([{"min_mean_snr_db": float("inf")}], "min_mean_snr_db: .*finite number, got inf"),
        ([{"max_mae_bpm": "1"}], "max_mae_bpm: .*valid number, got '1'"),
        ([{"max_mae_bpm": True}], "max_mae_bpm: .*valid number, got True"),
        ([{"max_mae_bpm": 0}], "max_mae_bpm: .*greater than 0, got 0"),
        ([{"max_group_mae_bpm": {"lwo": 1}}], "max_group_mae_bpm, lwo: .*'low', 'middle' or"),
        ([{"max_group_mae_bpm": {"low": NAN}}], "max_group_mae_bpm, low: .*finite"),
        ([{"board": "local"}], "accuracy rule 1: the rule sets no threshold; set one of max_mae"),
        ([{"board": 3, "max_mae_bpm": 1}], "board: .*valid string, got 3"),
        ([{"max_mae_bpm": 1}, {"variant": "*", "max_mae_bpm": 2}], "two rules are for .*; keep"),
        ({"max_mae_bpm": 1}, "accuracy: must be a list"),
        (["max_mae_bpm"], "accuracy rule 1: must be a mapping, got 'max_mae_bpm'"),
        ([{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}], "; and 2 more$"),
    ],
)
def test_a_mistake_in_a_rule_is_one_line_that_says_where(accuracy, says):
    with pytest.raises(UserError, match=f"^rules.yaml: .*{says}") as error:
        parse_thresholds({"accuracy": accuracy, "latency": []}, source="rules.yaml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("loaded", "says"),
    [
        (None, "must be a mapping, got None"),
        ([], "must be a mapping"),
        ({"accuracy": []}, "latency: missing"),
        ({"accuracy": [], "latency": [], "lattency": []}, "lattency: unknown key; known are acc"),
        ({"accuracy": [], "latency": [{"max_stage_ms_per_frame": {"predcit": 1}}]}, "predcit"),
        ({"accuracy": [], "latency": [{"max_rtf": 1}]}, "max_real_time_factor"),
    ],
)
def test_a_file_of_another_form_is_refused(loaded, says):
    with pytest.raises(UserError, match=f"^thresholds: .*{says}"):
        parse_thresholds(loaded)


def test_the_shipped_thresholds_hold_for_any_case():
    shipped = parse_thresholds(yaml.safe_load(SHIPPED.read_text()))
    for case in (CASE, Case("coral", "ubfc-rppg-2", "int8"), Case("loopback", "synthetic", "x")):
        assert find_rule(shipped.accuracy, case).max_mae_bpm is not None
        assert find_rule(shipped.latency, case).max_real_time_factor is not None
    anything = Case("any", "thing", "else")
    assert find_rule(shipped.accuracy, anything).max_mae_bpm == 5
    assert find_rule(shipped.latency, anything).max_real_time_factor == 1


# Accuracy


@pytest.mark.parametrize(("limit", "passed"), [(1.999, False), (2.0, True), (2.001, True)])
def test_the_mean_absolute_error_may_be_as_large_as_its_threshold(limit, passed):
    (result,) = gate_accuracy(thresholds([{"max_mae_bpm": limit}]), CASE, errors(1, -3))
    assert (result.gate, result.figure, result.threshold) == ("mae_bpm", 2.0, limit)
    assert result.passed is passed


def test_groups_are_gated_by_themselves():
    rule = {"max_mae_bpm": 5, "max_group_mae_bpm": {"low": 1, "middle": 1, "high": 1}}
    results = gate_accuracy(thresholds([rule]), CASE, errors(0, 0, 0, 6))
    assert verdicts(results) == {
        "mae_bpm": True,
        "mae_bpm.low": True,
        "mae_bpm.middle": True,
        "mae_bpm.high": False,
    }


def test_a_gated_group_without_recordings_fails():
    rules = thresholds([{"max_group_mae_bpm": {"high": 9}}])
    (result,) = gate_accuracy(rules, CASE, errors(0))
    assert (result.figure, result.passed) == (None, False)
    assert "high group: nothing was measured" in result.message


@pytest.mark.parametrize(("limit", "passed"), [(3.0, True), (3.1, False), (-5, True)])
def test_the_mean_snr_may_be_as_small_as_its_threshold(limit, passed):
    rules = thresholds([{"min_mean_snr_db": limit}])
    (result,) = gate_accuracy(rules, CASE, errors(0, 0))
    assert (result.gate, result.passed) == ("mean_snr_db", passed)


def test_nothing_scored_fails_every_gate():
    rules = thresholds([{"max_mae_bpm": 99, "min_mean_snr_db": -99}])
    results = gate_accuracy(rules, CASE, score([]))
    assert verdicts(results) == {"mae_bpm": False, "mean_snr_db": False}


def test_a_figure_that_is_no_number_fails():
    report = replace(errors(0), overall=AccuracyFigures(1, NAN, NAN, NAN, None, NAN))
    rules = thresholds([{"max_mae_bpm": 99, "min_mean_snr_db": -99}])
    assert not any(verdicts(gate_accuracy(rules, CASE, report)).values())


def test_one_failed_replay_fails_with_its_reason():
    failures = {"clip9": "no face was found\nin 300 frames", "clip7": "the video is empty"}
    rules = thresholds([{"max_mae_bpm": 9}], [{"max_real_time_factor": 9}])
    for results in (
        gate_accuracy(rules, CASE, errors(0), failures),
        gate_latency(rules, CASE, times(1), failures),
    ):
        result = next(one for one in results if one.gate == "replayed")
        assert (result.figure, result.passed) == (2, False)
        assert result.message == "failed replays: clip7: the video is empty; and 1 more"
    (only,) = gate_accuracy(thresholds([{"max_mae_bpm": 9}]), CASE, errors(0), {})
    assert only.gate == "mae_bpm"


def test_a_figure_just_past_its_threshold_does_not_read_as_equal_to_it():
    (result,) = gate_accuracy(thresholds([{"max_mae_bpm": 1}]), CASE, errors(1.00001))
    assert not result.passed
    assert "1.0000" in result.message and "must be <= 1 bpm" in result.message


# Speed


def test_real_time_factor_and_stages_are_gated():
    rule = {"max_real_time_factor": 0.1, "max_stage_ms_per_frame": {"predict": 2.0, "detect": 0.5}}
    results = gate_latency(thresholds(latency=[rule]), CASE, times(3, 0.5, 1, 4))
    assert verdicts(results) == {
        "real_time_factor": True,
        "ms_per_frame.predict": False,
        "ms_per_frame.detect": True,
    }
    assert {one.gate: one.figure for one in results}["ms_per_frame.predict"] == 4.0


@pytest.mark.parametrize(("limit", "passed"), [(0.0299, False), (0.03, True)])
def test_the_real_time_factor_may_be_as_large_as_its_threshold(limit, passed):
    rules = thresholds(latency=[{"max_real_time_factor": limit}])
    (result,) = gate_latency(rules, CASE, times(1, 1, 1))
    assert result.passed is passed


def test_a_stage_or_a_run_that_is_missing_fails():
    rules = thresholds(latency=[{"max_stage_ms_per_frame": {"postprocess": 9}}])
    assert verdicts(gate_latency(rules, CASE, times(1, 1))) == {"ms_per_frame.postprocess": False}
    rules = thresholds(latency=[{"max_real_time_factor": 9}])
    assert verdicts(gate_latency(rules, CASE, measure([]))) == {"real_time_factor": False}


# Explanations


def test_an_accuracy_miss_is_explained_by_its_worst_recordings():
    rules, report = thresholds([{"max_mae_bpm": 1}]), errors(0.5, -0.5, -40, 0)
    text = explain_accuracy(CASE, report, gate_accuracy(rules, CASE, report))
    assert text.splitlines()[:2] == [
        "local / synthetic / float32: accuracy does not hold, 1 of 1 gates failed",
        "  FAIL  mean absolute error: 10.25 bpm, must be <= 1 bpm (rule for * / * / *)",
    ]
    rows = [line.split() for line in text.splitlines() if line.startswith("  clip")]
    assert rows[0] == ["clip2", "middle", "80.0", "40.0", "-40.0", "3.0"]
    assert [row[0] for row in rows] == ["clip2", "clip0", "clip1", "clip3"]
    assert "10.25 bpm; 0.33 bpm without clip2" in text


def test_failed_replays_are_all_explained():
    failures = {f"clip{i:02d}": f"reason {i}" for i in range(12)}
    results = gate_accuracy(thresholds([{"max_mae_bpm": 1}]), CASE, score([]), failures)
    text = explain_accuracy(CASE, score([]), results, failures)
    assert "Failed replays: 12" in text and "clip09: reason 9" in text and "and 2 more" in text
    assert "Worst" not in text


def test_a_slow_stage_is_named():
    rule = {"max_stage_ms_per_frame": {"predict": 2.0, "detect": 1.0}}
    rules, report = thresholds(latency=[rule]), times(9, 1.5, 1, 6)
    text = explain_latency(CASE, report, gate_latency(rules, CASE, report))
    assert "speed does not hold, 2 of 2 gates failed" in text
    assert text.splitlines()[-1] == "Look first at predict: 3.00 times its limit."
    row = next(line.split() for line in text.splitlines() if line.startswith("  predict "))
    assert row == ["predict", "10", *["6.00"] * 3, "6.000", "34", "%", "2.000", "300", "%"]


def test_without_limits_of_their_own_the_largest_stage_is_named():
    rules, report = thresholds(latency=[{"max_real_time_factor": 0.1}]), times(15, 5, 1, 4)
    text = explain_latency(CASE, report, gate_latency(rules, CASE, report))
    assert text.splitlines()[-1].endswith("the largest is decode with 60 % of the time.")


def test_what_holds_is_said_to_hold():
    rules, report = thresholds(latency=[{"max_real_time_factor": 1}]), measure([])
    passed = gate_latency(rules, CASE, times(1))
    assert explain_latency(CASE, times(1), passed).startswith(f"{CASE}: speed holds\n  pass  ")
    assert "Look" not in explain_latency(CASE, report, gate_latency(rules, CASE, report))
