"""Counts of instructions: summed up, held against a baseline, never taken for time."""

import numpy as np
import pytest

from harness.reports.terminal import CaseSummary, render, summary
from harness.verdicts.counts import CountReport, count
from harness.verdicts.explain import explain_counts
from harness.verdicts.gates import gate_counts, gate_latency
from harness.verdicts.latency import INSTRUCTIONS, STAGES, RunTimes, StageTimes, measure
from harness.verdicts.thresholds import Case, parse_thresholds
from rppg_core.errors import UserError

CASE = Case("virtual", "synthetic-small", "float32")
BASELINE = {"decode": 2.0, "detect": 5.0, "preprocess": 1.0, "predict": 40.0, "postprocess": 0.5}
USED = {"detector": "haar", "model": "tscan/float32"}


def run(factor: float = 1.0, unit: str = INSTRUCTIONS, **stages: float) -> RunTimes:
    """Ten frames of the baseline's counts, each times a factor; single stages may have another."""
    rows = tuple(
        StageTimes(stage, np.full(10, BASELINE[stage] * stages.get(stage, factor) * 1e6, np.int64))
        for stage in STAGES
    )
    return RunTimes("clip0", 1.0, rows, unit)


def rules(**changes):
    rule = {"board": "virtual", "baseline_minstr_per_frame": {**BASELINE, "all": 48.5}, **changes}
    return parse_thresholds({"accuracy": [], "latency": [rule]})


def judged(*runs: RunTimes, **changes) -> dict[str, bool]:
    results = gate_counts(rules(**changes), CASE, count(runs), None, USED)
    return {one.gate: one.passed for one in results}


def test_figures_worked_by_hand():
    sparse = run()
    sparse.stages[1].frame_ns[1:] = 0  # detection on one frame of ten
    report = count([run(), sparse])
    by_stage = {one.stage: one for one in report.stages}
    assert (report.runs, report.frames, by_stage["detect"].calls) == (2, 20, 11)
    assert by_stage["detect"].p50_minstr == 5.0
    assert by_stage["detect"].minstr_per_frame == pytest.approx(5.0 * 11 / 20)
    assert by_stage["detect"].run_minstr_per_frame == pytest.approx((5.0, 0.5))
    assert report.minstr_per_frame == pytest.approx(43.5 + 2.75)
    assert sum(one.share_percent for one in report.stages) == pytest.approx(100)
    assert [one.stage for one in report.largest(3)] == ["predict", "detect", "decode"]


def test_time_and_instructions_are_never_summed_up_together():
    with pytest.raises(ValueError, match="instructions"):
        measure([run()])
    with pytest.raises(ValueError, match="nanoseconds"):
        count([run(), run(unit="ns")])
    with pytest.raises(ValueError, match="no unit"):
        run(unit="ms")


def test_one_percent_more_is_caught_and_a_tenth_is_not():
    assert all(judged(run()).values())
    assert all(judged(run(1.001)).values())
    assert not any(judged(run(1.01)).values())
    found = judged(run(predict=1.01))
    assert [gate for gate, passed in found.items() if not passed] == [
        "minstr_per_frame.predict",
        "minstr_per_frame.all",
    ]


def test_the_tolerance_is_the_rules():
    assert all(judged(run(1.01), max_slowdown_percent=1.5).values())
    assert not any(judged(run(1.01), max_slowdown_percent=0.9).values())


def test_what_was_not_counted_does_not_pass():
    results = gate_counts(rules(), CASE, CountReport(0, 0, ()), {"clip0": "no face"}, USED)
    assert not any(one.passed for one in results)
    assert results[0].gate == "replayed"


def test_a_baseline_of_another_detector_is_not_compared():
    asked = rules(measured_with={"detector": "ssd"})
    results = gate_counts(asked, CASE, count([run(0.5)]), None, USED)
    assert [(one.gate, one.passed) for one in results] == [("comparable", False)]
    assert "ssd" in results[0].message
    assert "haar" in results[0].message


def test_without_a_baseline_nothing_passes():
    timed = parse_thresholds({"accuracy": [], "latency": [{"max_real_time_factor": 1.0}]})
    counted = gate_counts(timed, CASE, count([run()]), None, USED)
    assert [(one.gate, one.passed) for one in counted] == [("rule", False)]
    clocked = gate_latency(rules(), CASE, measure([run(unit="ns")]))
    assert [(one.gate, one.passed) for one in clocked] == [("rule", False)]


def test_a_rule_is_for_times_or_for_instructions():
    with pytest.raises(UserError, match="two rules"):
        rules(max_real_time_factor=1.0)
    with pytest.raises(UserError, match="sets no threshold"):
        rules(baseline_minstr_per_frame={})


def case_summary(**changes) -> CaseSummary:
    report = count([run(predict=1.01)])
    gates = gate_counts(rules(), CASE, report, None, USED)
    held = {"counts": report, "latency_gates": gates, **changes}
    return CaseSummary(CASE, True, "haar", "tscan/float32", "rendered pulse", "fft", **held)


def test_a_person_reads_instructions_and_no_time():
    text = render(summary([case_summary()], "results", {"virtual": 0}), 100)
    assert "millions of instructions" in text
    assert "40.400" in text
    assert "FAIL <= 40.2" in text
    for time in ("ms", "RTF", "estimate"):
        assert time not in text


def test_an_estimate_is_marked_as_one():
    one = case_summary(instructions_per_ms={"coral01": 1e6})
    text = " ".join(render(summary([one], "results", {"virtual": 0}), 100).split())
    assert "estimate" in text
    assert "about 48.9 ms a frame on coral01, at 1e+06 instructions per ms" in text
    assert "not measured" in text


def test_the_explanation_names_the_three_largest():
    one = case_summary()
    text = explain_counts(CASE, one.counts, one.latency_gates)
    assert "FAIL  predict, mean of a frame (+1.00 % of 40): 40.4 M instr" in text
    assert "The largest are predict, detect, decode." in text
