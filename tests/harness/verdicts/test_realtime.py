"""Dropped and late frames, delays and minutes, held against their bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.verdicts.explain import explain_realtime, explain_sustained
from harness.verdicts.gates import RTF, RULE, gate_realtime, gate_sustained
from harness.verdicts.outcome import Outcome
from harness.verdicts.realtime import (
    Minute,
    PacedRun,
    SustainedRun,
    measure_realtime,
    rank,
)
from harness.verdicts.thresholds import Case, parse_thresholds
from rppg_core.errors import UserError

CASE = Case("coral01", "ubfc", "int8")
BOUNDS = {"max_missed_percent": 5.0, "max_dropped_percent": 0.0, "max_delay_p99_ms": 100.0}


def rules(**latency):
    return parse_thresholds({"accuracy": [], "latency": [latency]})


def paced(frames=100, dropped=0, missed=0, delays=(20.0, 40.0), first=10.1, name="a"):
    return PacedRun(name, frames, dropped, missed, 2, 0.5, tuple(delays), first)


def minute(number=1, factor=0.5, seconds=60.0, **more):
    return Minute(number, seconds, 1800, factor, **more)


def sustained(*factors, **more):
    minutes = tuple(minute(i + 1, factor) for i, factor in enumerate(factors))
    return SustainedRun("a", float(len(factors)), minutes, **more)


def test_figures_are_over_all_recordings():
    report = measure_realtime([paced(100, 10, 9, (10.0,)), paced(300, 0, 0, (30.0, 50.0))])
    assert report.frames == 400
    assert report.dropped_percent == 2.5
    assert report.missed_percent == pytest.approx(100 * 9 / 390)
    assert report.heart_rates == 3
    assert report.delay_p50_ms == 30.0
    assert report.backlog_max == 2
    assert report.first_s == 10.1


def test_without_replays_there_are_no_figures_and_no_pass():
    report = measure_realtime([])
    assert report.dropped_percent is None
    results = gate_realtime(rules(**BOUNDS), CASE, report)
    assert [one.outcome for one in results] == [Outcome.FAIL] * 3


@pytest.mark.parametrize(
    ("run", "failed"),
    [
        (paced(), []),
        (paced(dropped=1), ["dropped_percent"]),
        (paced(missed=6), ["missed_percent"]),
        (paced(missed=5), []),
        (paced(delays=(20.0, 400.0)), ["delay_p99_ms"]),
        (paced(delays=()), ["delay_p99_ms"]),
    ],
)
def test_each_bound_fails_alone(run, failed):
    results = gate_realtime(rules(**BOUNDS), CASE, measure_realtime([run]))
    assert [one.gate for one in results if not one.passed] == failed
    assert len(results) == 3
    text = explain_realtime(CASE, measure_realtime([run]), results)
    assert ("does not hold" in text) == bool(failed)


def test_what_is_not_asked_is_not_judged():
    results = gate_realtime(rules(max_dropped_percent=0.0), CASE, measure_realtime([paced()]))
    assert [one.gate for one in results] == ["dropped_percent"]


def test_a_rule_that_says_nothing_of_real_time_does_not_pass():
    results = gate_realtime(rules(max_real_time_factor=1.0), CASE, measure_realtime([paced()]))
    assert [(one.gate, one.outcome) for one in results] == [(RULE, Outcome.FAIL)]
    assert "max_missed_percent" in results[0].message
    none = gate_realtime(rules(board="other", **BOUNDS), CASE, measure_realtime([paced()]))
    assert none[0].message == f"no latency rule in the thresholds matches {CASE}; add one"


def test_a_failed_replay_fails():
    results = gate_realtime(rules(**BOUNDS), CASE, measure_realtime([paced()]), {"b": "no face"})
    assert "failed replays: b: no face" in results[0].message
    assert not results[0].passed


def test_real_time_needs_a_clock():
    with pytest.raises(UserError, match="for times or for instructions"):
        rules(baseline_minstr_per_frame={"all": 3.0}, max_dropped_percent=0.0)
    with pytest.raises(UserError, match="max_missed_percent"):
        rules(max_missed_percent=-1.0)


@pytest.mark.parametrize("counts", [(0, 0, 0), (10, 10, 0), (10, 3, 8), (10, -1, 0)])
def test_counts_that_cannot_be(counts):
    with pytest.raises(ValueError, match="cannot be"):
        paced(*counts)


# --- minutes --------------------------------------------------------------------------------------


def test_the_worst_minute_counts():
    runs = [sustained(0.4, 0.5, 1.25, 0.6)]
    (result,) = gate_sustained(rules(max_real_time_factor=1.0), CASE, runs)
    assert (result.gate, result.figure) == (RTF + ".worst_minute", 1.25)
    assert "minute 3: 1.25" in result.message
    assert not result.passed
    text = explain_sustained(CASE, runs, (result,))
    assert "slowest of 4 minutes" in text
    assert text.splitlines()[5].split()[:2] == ["3", "1.250"]


def test_paced_minutes_are_held_against_all_bounds():
    good = minute(dropped=0, missed=18, delay_p99_ms=50.0)
    bad = minute(2, dropped=18, missed=0, delay_p99_ms=150.0)
    results = gate_sustained(rules(**BOUNDS), CASE, [SustainedRun("a", 2.0, (good, bad))])
    assert [(one.gate, one.figure, one.passed) for one in results] == [
        ("missed_percent.worst_minute", 1.0, True),
        ("dropped_percent.worst_minute", 1.0, False),
        ("delay_p99_ms.worst_minute", 150.0, False),
    ]


def test_fast_minutes_say_nothing_of_drops():
    results = gate_sustained(rules(**BOUNDS), CASE, [sustained(0.4)])
    assert [(one.gate, one.passed) for one in results] == [(RULE, False)]


def test_a_stump_of_a_minute_is_not_judged():
    run = SustainedRun("a", 1.0, (minute(1, 0.4), minute(2, 9.0, seconds=2.0)))
    assert [one.number for one in run.judged] == [1]
    (result,) = gate_sustained(rules(max_real_time_factor=1.0), CASE, [run])
    assert result.passed


def test_without_minutes_nothing_passes():
    (result,) = gate_sustained(rules(max_real_time_factor=1.0), CASE, [])
    assert not result.passed


def test_heat_changes_the_places():
    places = rank(
        {
            "pi / int8": [sustained(0.3, 0.9, throttled_after_s=70.0)],
            "coral / int8": [sustained(0.4, 0.5)],
            "pi / float32": [sustained(0.8, 1.9), sustained(1.0, 2.1)],
            "none": [sustained()],
        }
    )
    assert [one.target for one in places] == ["coral / int8", "pi / int8", "pi / float32"]
    assert [one.first_place for one in places] == [2, 1, 3]
    assert [one.last_place for one in places] == [1, 2, 3]
    assert places[1].throttled_after_s == 70.0
    assert places[1].change_percent == pytest.approx(200.0)
    assert (places[2].first, places[2].last) == (pytest.approx(0.9), pytest.approx(2.0))


@given(st.dictionaries(st.text(max_size=5), st.lists(st.floats(0.01, 10), max_size=5), max_size=6))
def test_places_are_one_each(factors):
    places = rank({name: [sustained(*found)] for name, found in factors.items()})
    count = sum(bool(found) for found in factors.values())
    for ends in ([o.first_place for o in places], [o.last_place for o in places]):
        assert sorted(ends) == list(range(1, count + 1))
    assert [one.last for one in places] == sorted(one.last for one in places)
