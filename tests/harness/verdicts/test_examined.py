"""Slices of a case: every recording in its place, failures counted, nothing said twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.verdicts.accuracy import Scored
from harness.verdicts.agreement import agreement
from harness.verdicts.examined import (
    Examined,
    condition_slices,
    duration_slices,
    measured_slices,
    window_slices,
)
from harness.verdicts.surroundings import Surroundings
from harness.verdicts.windows import WindowScores


def one(name="a", error=1.0, **more) -> Examined:
    scored = None if error is None else Scored(name, name, 80.0, 80.0 + error, 2.0)
    return Examined(name, name, 80.0, "ppg-fft", scored, **more)


@pytest.mark.parametrize(
    ("luminance", "light"),
    [
        (0.0, "dark"),
        (0.1999, "dark"),
        (0.2, "normal"),
        (0.6999, "normal"),
        (0.7, "bright"),
        (1, "bright"),
    ],
)
def test_classes_of_light(luminance, light):
    assert Surroundings(luminance, None, None).light == light


@pytest.mark.parametrize(
    ("speed", "motion"), [(0.0, "still"), (0.0149, "still"), (0.015, "moving")]
)
def test_classes_of_motion(speed, motion):
    assert Surroundings(None, speed, None).motion == motion


def test_what_was_not_measured_has_no_class():
    nothing = Surroundings(None, None, None)
    assert (nothing.light, nothing.motion, nothing.face) == (None, None, None)
    assert Surroundings(None, None, 0.97).face == "lost for a while"
    assert Surroundings(None, None, 1.0).face == "throughout"


def test_by_measured_light_and_motion_in_order_with_failures():
    dark, lit = Surroundings(0.1, 0.1, 1.0), Surroundings(0.5, 0.001, 1.0)
    rows = [one("a", 2.0, surroundings=lit), one("b", 8.0, surroundings=dark)]
    rows += [one("c", None, surroundings=dark), one("d", 99.0)]
    found = measured_slices(rows)
    assert [(s.name, s.figures.n, s.failed) for s in found] == [
        ("dark, moving", 1, 1),
        ("normal, still", 1, 0),
    ]
    assert found[0].figures.mae_bpm == pytest.approx(8)


def test_conditions_alone_and_light_with_motion():
    rows = [
        one(
            f"{light}{motion}", error, conditions={"lighting": light, "motion": motion, "skin": "1"}
        )
        for light, motion, error in (
            ("dark", "moving", 9.0),
            ("dark", "still", 3.0),
            ("normal", "still", 1.0),
        )
    ]
    found = {(s.by, s.name): s.figures.mae_bpm for s in condition_slices(rows)}
    assert found == pytest.approx(
        {
            ("lighting", "dark"): 6.0,
            ("lighting", "normal"): 1.0,
            ("motion", "still"): 2.0,
            ("motion", "moving"): 9.0,
            ("lighting x motion", "dark, still"): 3.0,
            ("lighting x motion", "dark, moving"): 9.0,
            ("lighting x motion", "normal, still"): 1.0,
        }
    )
    assert ("skin", "1") not in found, "what all have in common divides nothing"


def test_durations():
    rows = [one(str(s), duration_s=s) for s in (29.97, 29.94, 59.97, 60.0)] + [one("x", None)]
    found = {s.name: s.figures.n for s in duration_slices(rows)}
    assert found == {"below 30 s": 1, "30 to 60 s": 1, "60 s and more": 2}


def test_windows_are_pooled_over_recordings_and_weigh_each_the_same():
    scores = [Scored("w", "a", 60.0, 61.0, 0.0)] * 3
    rows = [
        one("a", 5.0, windows={"10 s": WindowScores(tuple(scores), own_truth=2, silent=1)}),
        one("b", None),
    ]
    whole, short = window_slices(rows)
    assert (whole.figures.n, whole.failed, whole.figures.mae_bpm) == (1, 1, pytest.approx(5))
    assert (short.figures.n, short.failed, short.own_truth) == (3, 1, 2)
    assert short.intervals.subjects == 1


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(-20, 20)), max_size=15))
def test_every_recording_is_in_exactly_one_class(rows):
    examined = [
        one(str(i), error, surroundings=Surroundings(light, speed, 1.0))
        for i, (light, speed, error) in enumerate(rows)
    ]
    assert sum(s.figures.n + s.failed for s in measured_slices(examined)) == len(rows)


def test_limits_of_agreement_worked_by_hand():
    found = agreement([Scored("a", "s", 60.0, 60.0 + e, 0.0) for e in (-1.0, 0.0, 4.0)])
    assert found.bias_bpm == pytest.approx(1)
    assert found.high_bpm == pytest.approx(1 + 1.96 * 7**0.5)
    assert found.low_bpm == pytest.approx(1 - 1.96 * 7**0.5)
    assert agreement([Scored("a", "s", 60.0, 61.0, 0.0)]).low_bpm is None
    assert agreement([]).bias_bpm is None
