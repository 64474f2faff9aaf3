"""Which conditions hold, and why others do not."""

import numpy as np
import pytest

from harness.verdicts.conditions import HOLDS_BPM, Observed, beat_of, by_condition, reason
from harness.verdicts.surroundings import Surroundings


def observed(name="still", truth=70.0, found=70.5, snr=5.0, light=0.4, speed=0.004, face=1.0):
    return Observed(
        "one", {"difficulty": name}, truth, found, snr if found else None, (45.0, 150.0),
        Surroundings(light, speed, face), 0.5,
    )  # fmt: skip


def test_a_condition_holds_up_to_the_error_allowed_and_not_beyond():
    for error, holds in ((HOLDS_BPM, True), (HOLDS_BPM + 0.01, False)):
        (row,) = by_condition([observed(found=70.0 + error)] * 2, "difficulty")
        assert row.holds == holds
        assert row.mae_bpm == pytest.approx(error)


def test_a_condition_with_a_silent_recording_does_not_hold():
    (row,) = by_condition([observed(), observed(found=None)], "difficulty")
    assert (row.n, row.silent, row.missed, row.holds) == (2, 1, 1, False)
    assert row.mae_bpm == pytest.approx(0.5)
    (row,) = by_condition([observed(found=None)], "difficulty")
    assert row.mae_bpm is None
    assert not row.holds


def test_conditions_are_in_natural_order_and_means_are_over_what_was_measured():
    rows = by_condition(
        [observed("monk10", light=0.1), observed("monk2", light=None), observed("monk2")],
        "difficulty",
    )
    assert [row.name for row in rows] == ["monk2", "monk10"]
    assert rows[0].luminance == pytest.approx(0.4)
    assert by_condition([observed()], "weather") == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"found": None, "face": 0.0, "light": 0.05}, "face in 0 % of frames"),
        ({"truth": 160.0, "snr": -3.0}, "true rate outside 45-150 bpm"),
        ({"face": 0.9}, "face in 90 % of frames"),
        ({"light": 0.1, "speed": 0.05}, "luminance 0.10, 0.050 face sizes/s"),
        ({"snr": -2.04}, "SNR -2.0 dB"),
        ({}, "nothing measured sets it apart"),
    ],
)
def test_reasons_are_what_was_measured(changes, told):
    one = observed(**{"found": 90.0, **changes})
    assert one.missed
    assert reason(one) == told
    (row,) = by_condition([one, one, observed()], "difficulty")
    assert row.reasons == {told: 2}


@pytest.mark.parametrize("bpm", [50.0, 97.0, 143.0])
def test_the_light_beat_is_found_below_half_the_sampling_rate_and_above(bpm):
    time_s = np.arange(0, 20, 0.25) + np.random.default_rng(1).uniform(0, 0.03, 80)
    beat = 0.4 * (1 + 0.02 * np.sin(2 * np.pi * bpm / 60 * time_s + 1) + 0.002 * time_s)
    assert beat_of(beat, time_s, bpm) == pytest.approx(0.02, rel=0.1)
    assert beat_of(beat, time_s, bpm + 20) < 0.004


def test_a_beat_that_the_samples_cannot_show_is_none():
    time_s = np.arange(0, 20, 0.25)
    assert beat_of(np.full(80, 0.4), time_s, 240.0) is None
    assert beat_of(np.full(8, 0.4), time_s[:8], 60.0) is None
    assert beat_of(np.zeros(80), time_s, 60.0) is None
