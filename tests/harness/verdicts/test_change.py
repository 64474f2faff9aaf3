"""Worse, no worse, or undecided: rules that equals do not trip and regressions do not pass."""

import math
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.verdicts.accuracy import HeartRateGroup
from harness.verdicts.change import Beyond, judge
from harness.verdicts.intervals import Interval
from harness.verdicts.noninferiority import PairedError, error_change, error_changes
from harness.verdicts.outcome import Outcome
from harness.verdicts.run_latency import slowdown

PASS, FAIL, UNSURE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE


def pairs(changes, reference=80.0, prefix="s"):
    """Recordings of a subject each, whose absolute error was 12 bpm and changed by so much."""
    return [
        PairedError(f"{prefix}{n}", f"{prefix}{n}", reference, reference + 12, reference + 12 + one)
        for n, one in enumerate(changes)
    ]


def noise(count, sd, seed=0):
    return np.random.default_rng(seed).normal(0, sd, count)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-1, 0.4, PASS), (0.1, 0.4, PASS), (0.1, 0.6, FAIL), (-0.1, 0.6, UNSURE), (0.6, 0.9, FAIL)],
)
def test_an_interval_against_a_margin_of_one_half(low, high, expected):
    assert judge(Interval(low, high), 0.5) is expected
    assert judge(None, 0.5) is UNSURE


def test_the_same_heart_rates_pass_however_few():
    for count in (1, 3, 12):
        change = error_change(pairs(np.zeros(count)), 0.5)
        assert change.outcome is PASS and change.difference == 0
        assert change.interval == Interval(0.0, 0.0)


def test_a_clear_shift_fails_and_a_small_one_passes():
    assert error_change(pairs(0.8 + noise(12, 0.2)), 0.5).outcome is FAIL
    assert error_change(pairs(0.1 + noise(12, 0.2)), 0.5).outcome is PASS
    assert error_change(pairs(np.full(12, 0.7)), 0.5).outcome is FAIL


def test_few_subjects_or_much_noise_decide_nothing():
    assert error_change(pairs(2.0 + noise(3, 0.1)), 0.5).outcome is UNSURE
    assert error_change(pairs(noise(12, 3.0)), 0.5).outcome is UNSURE
    assert error_change([], 0.5).outcome is UNSURE


def test_recordings_of_one_subject_are_no_independent_proof():
    one = [PairedError(f"r{n}", "s", 80, 81, 83 + x) for n, x in enumerate(noise(40, 0.1))]
    change = error_change(one, 0.5)
    assert (change.outcome, change.n, change.subjects) == (UNSURE, 40, 1)


def test_one_lost_pulse_of_many_does_not_decide_the_mean():
    changes = 0.01 * noise(12, 1.0)
    changes[4] = 40.0
    change = error_change(pairs(changes), 0.5)
    assert change.outcome is UNSURE, "the gate on lost pulses catches it, not this one"
    assert change.difference > 3


@pytest.mark.parametrize(
    ("worse", "better", "still", "expected"),
    [(9, 0, 0, FAIL), (8, 0, 4, FAIL), (7, 0, 5, UNSURE), (11, 1, 0, FAIL), (9, 3, 0, UNSURE)],
)
def test_many_lost_pulses_fail_however_unequal(worse, better, still, expected):
    """A few of 60 bpm widen the interval past 0; that nearly all got worse is no accident."""
    changes = [60.0, 80.0, *np.linspace(1, 5, worse - 2), *[-10.0] * better, *[0.01] * still]
    change = error_change(pairs(changes), 0.5)
    assert change.interval.low < 0
    assert (change.outcome, change.beyond) == (expected, Beyond(worse, better))


def test_a_better_total_does_not_hide_a_worse_group():
    """The paper's VIPL-HR-V2 (18.24 to 17.81 in all, the high group worse by 5.4), simulated."""
    low = pairs(-3.5 + noise(20, 1.0, 1), 70.0, "l")
    middle = pairs(-3.5 + noise(20, 1.0, 2), 80.0, "m")
    high = pairs(5.4 + noise(20, 1.0, 3), 100.0, "h")
    found = error_changes([*low, *middle, *high], 0.5, 1.0)
    assert found[None].difference < 0 and found[None].outcome is not FAIL
    assert found[HeartRateGroup.LOW].outcome is PASS
    assert found[HeartRateGroup.HIGH].outcome is FAIL


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-5, 5), min_size=8, max_size=20),
    st.floats(0.05, 3.0),
)
def test_a_larger_margin_never_makes_it_worse(changes, margin):
    order = [PASS, UNSURE, FAIL]
    strict, lax = (error_change(pairs(changes), one).outcome for one in (margin, 2 * margin))
    assert order.index(lax) <= order.index(strict)


@pytest.mark.parametrize("margin", [0.0, -1.0, math.nan])
def test_a_margin_is_above_zero(margin):
    with pytest.raises(ValueError, match="give more than 0"):
        error_change(pairs([0.0]), margin)
    with pytest.raises(ValueError, match="give more than 0"):
        slowdown({"a": [1.0]}, {"a": [1.0]}, margin)


def test_a_figure_that_is_none_is_refused():
    with pytest.raises(ValueError, match="finite"):
        error_change(pairs([math.inf]), 0.5)
    with pytest.raises(ValueError, match="no measurement"):
        slowdown({"a": [1.0]}, {"a": [0.0]}, 5)


def runs(count, factor=1.0, sd=0.03, seed=0):
    """Recordings of unequal cost, with so much noise of a run."""
    rng = np.random.default_rng(seed)
    return {f"r{n}": [(1 + n) * factor * math.exp(rng.normal(0, sd))] for n in range(count)}


def test_a_tenth_slower_fails_and_equals_pass():
    base = runs(12, seed=1)
    assert slowdown(base, runs(12, 1.1, seed=2), 5).outcome is FAIL
    assert slowdown(base, runs(12, 1.0, sd=0.01, seed=3), 5).outcome is PASS
    assert slowdown(base, base, 5).outcome is PASS
    assert slowdown(base, runs(12, 0.5, seed=2), 5).outcome is PASS


def test_what_sessions_differ_by_widens_the_interval():
    base, now = runs(12, seed=1), runs(12, 1.1, seed=2)
    narrow, wide = slowdown(base, now, 5), slowdown(base, now, 5, session_sd_percent=4)
    assert wide.outcome is UNSURE
    assert wide.interval.low < narrow.interval.low < narrow.interval.high < wide.interval.high
    assert wide.difference == narrow.difference


def test_counts_that_do_not_vary_are_compared_exactly():
    base = {"a": [20.0], "b": [21.0]}
    assert slowdown(base, {"a": [20.0], "b": [21.0]}, 0.5).outcome is PASS
    assert slowdown(base, {"a": [20.2], "b": [21.21]}, 0.5).outcome is FAIL


def test_only_recordings_in_both_are_compared():
    assert slowdown(runs(4), {}, 5).outcome is UNSURE
    assert slowdown(runs(4), {**runs(4), "other": [99.0]}, 5).n == 4


def test_the_simulated_rates_of_alarms_and_misses():
    """`benchmarks/verdict_power.py` in small: bounds wide enough for so few comparisons."""
    power = run_path(str(Path(__file__).parents[3] / "benchmarks" / "verdict_power.py"))
    equal = power["tally"](power["accuracy"](power["normal"], 12, 0.5, 0.0), 60)
    worse = power["tally"](power["accuracy"](power["normal"], 12, 0.5, 0.5), 60)
    assert equal[FAIL] <= 3 and worse[FAIL] >= 54
    equal, worse = (power["tally"](power["latency"](12, 2, one), 60) for one in (1.0, 1.1))
    assert equal[FAIL] <= 3 and worse[FAIL] >= 54
