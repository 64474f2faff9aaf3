"""Every gate that the verdicts can have is said in plain words."""

import importlib
import inspect
import pkgutil
from dataclasses import replace
from pathlib import Path

import pytest
from made_gates import (
    CASE,
    COUNTED,
    GATES,
    RULES,
    differences,
    error_change,
    every_gate,
    thresholds,
    times,
)

import harness.verdicts
from harness.reports.gate_figures import gate_name
from harness.reports.gate_words import MEANINGS, STAGE_KINDS, Kind, kind_of, meaning_of
from harness.reports.plain_words import explained
from harness.verdicts.accuracy import score
from harness.verdicts.change_gates import gate_error_change
from harness.verdicts.gates import (
    gate_accuracy,
    gate_latency,
    gate_realtime,
)
from harness.verdicts.hops import FIGURES
from harness.verdicts.latency import measure
from harness.verdicts.noninferiority import PairedError
from harness.verdicts.outcome import Outcome
from harness.verdicts.realtime import RealTimeReport
from harness.verdicts.stage_gates import gate_repeat
from harness.verdicts.thresholds import ChangeRule

MAKERS = {"gates", "change_gates", "stage_gates", "against_baseline"}


def test_no_gate_of_the_verdicts_is_left_out_here():
    found, makers = set(), set()
    for module in pkgutil.iter_modules(harness.verdicts.__path__):
        loaded = importlib.import_module(f"harness.verdicts.{module.name}")
        functions = inspect.getmembers(loaded, inspect.isfunction)
        found |= {name for name, _ in functions if name.startswith("gate_")}
        if "GateResult(" in Path(loaded.__file__).read_text("utf-8").replace("class ", ""):
            makers.add(module.name)
    assert found == set(GATES) - {"against_baseline"}
    assert makers == MAKERS
    for name, rules in RULES.items():
        [rule] = getattr(thresholds(), name)
        asked = rules.keys() | (COUNTED if name == "latency" else {})
        assert asked | {"board", "dataset", "variant"} == set(type(rule).model_fields)


def test_every_gate_has_words_and_all_words_have_a_gate():
    without = [one.gate for one in every_gate() if meaning_of(one) is None]
    assert without == []
    families = {one.gate.partition(".")[0] for one in every_gate()}
    assert families == {*MEANINGS, *STAGE_KINDS}
    named = {one.gate for one in gate_repeat(differences())}
    assert named == {f"repeat.{name}" for name in FIGURES}


@pytest.mark.parametrize("one", every_gate(), ids=lambda one: one.gate)
def test_a_gate_is_told_without_its_name_in_the_program(one):
    said = explained(one)
    assert said and "rule for" not in said
    assert kind_of(one) is not Kind.OTHER
    assert "_" not in gate_name(one) and gate_name(one) != one.gate
    if one.figure is not None and meaning_of(one).says:
        assert "_" not in said and "{" not in said and "must be" not in said


def test_subjects_that_got_worse_are_counted():
    said = {one.gate: explained(one) for one in error_change()}
    assert (
        "heart rates are 2.9 bpm more off than approved, 5.8 times its limit"
        in said["mae_increase_bpm"]
    )
    assert said["mae_increase_bpm"].endswith(
        "12 of 12 subjects got worse by more than that, 0 better"
    )
    assert "heart rates in the low group are" in said["mae_increase_bpm.low"]


def test_what_is_too_little_to_tell_says_how_much_would():
    pairs = [
        PairedError(f"s{n}", f"s{n}", 60.0, 60.1, 60.1 + (5 if n == 0 else 0.1)) for n in range(6)
    ]
    [one, _] = gate_error_change(ChangeRule(), pairs)
    assert one.outcome is Outcome.INCONCLUSIVE
    assert "too little to tell whether that is within the 0.5 bpm allowed" in explained(one)
    assert "about 78 subjects would tell; pulse lost since on s0" in explained(one)


def test_what_is_worse_but_below_the_margin_is_not_called_a_part_of_its_limit():
    one = replace(error_change()[0], figure=0.42)
    assert "surely worse, and not surely within the 0.5 bpm allowed" in explained(one)
    assert "times" not in explained(one)


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ("delay_p99_ms.worst_minute", "heart rates in the worst minute, 99 come within 12 ms of"),
        ("missed_percent", "3 % of the frames are late, 3.0 times its limit of 1 %"),
        ("real_time_factor", "takes 0.7 times as long as the video in the worst minute"),
        ("slowdown_percent.predict", "predict takes 39 % more time a frame than approved"),
        ("slowdown_percent", "the whole pipeline takes 39 % more time"),
        ("instructions_added_percent", "more instructions a frame than approved"),
        ("peak_memory_ratio", "2 times the memory of the reference run"),
        ("lost_locks", "is lost in 3 recordings"),
        ("replayed", "1 recording without a heart rate (failed replays: s9: no face)"),
        ("complete", "missing or renamed since the baseline: s2"),
        ("baseline", "no approved error"),
    ],
)
def test_words_of_some_gates(gate, says):
    told = [explained(one) for one in every_gate() if one.gate.startswith(gate)]
    assert any(says in one for one in told), told


def test_a_delay_that_was_not_measured_says_why():
    none = RealTimeReport(1, 100, 2.0, 3.0, 1.0, 2, 0, None, None, None)
    said = [explained(one) for one in gate_realtime(thresholds(), CASE, none)]
    assert "99th percentile: nothing was measured: no heart rate came before the last" in said[-1]


def test_a_missing_rule_belongs_to_what_it_would_have_judged():
    [one] = gate_accuracy(thresholds(accuracy=None), CASE, score([]))
    assert kind_of(one) is Kind.ACCURACY
    other = replace(CASE, variant="float32")
    [one] = gate_latency(thresholds(latency=None), other, measure(times()))
    assert kind_of(one) is Kind.SPEED
