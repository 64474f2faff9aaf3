"""Windows of a recording: where they lie, what they find, and which truth they are held to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.verdicts.accuracy import Scored
from harness.verdicts.windows import PLANS, WindowPlan, score_windows, spans, window_rate
from rppg_core.postprocess import HeartRate, PulseSettings

LONG, SHORT = PLANS
PULSE = PulseSettings()
WHOLE = Scored("clip", "s", 70.0, 71.0, 3.0)


def clock(seconds: float, fps: float = 30.0, start_s: float = 0.0) -> np.ndarray:
    return start_s + np.arange(round(seconds * fps)) / fps


def beating(times_s: np.ndarray, bpm) -> np.ndarray:
    return np.cos(2 * np.pi * np.cumsum(np.broadcast_to(bpm, times_s.shape) / 60) / 30)


@pytest.mark.parametrize(
    ("seconds", "long", "short"),
    [(9.9, 0, 0), (10, 0, 1), (12, 0, 3), (30, 1, 21), (60, 2, 51), (89.9, 2, 80)],
)
def test_windows_lie_wholly_within_the_recording(seconds, long, short):
    assert [len(spans(clock(seconds), plan)) for plan in PLANS] == [long, short]


@given(st.floats(1, 100), st.floats(5, 60), st.floats(-5, 100), st.floats(2, 40), st.floats(0.5, 9))
def test_every_window_has_its_length_and_the_next_its_step(seconds, fps, start_s, length, step):
    times_s = clock(seconds, fps, start_s)
    found = spans(times_s, WindowPlan("any", length, step))
    for start, end in found:
        assert end - start == pytest.approx(length, abs=2e-4)
        assert times_s[0] - 1e-3 <= start
        assert end <= times_s[-1] + 1.6 / fps + 1e-3
    assert np.allclose(np.diff([start for start, _ in found]), step, atol=2e-4)


def test_a_rate_that_changes_is_found_where_it_is():
    times_s = clock(40)
    wave = beating(times_s, np.where(times_s < 20, 60.0, 96.0))
    lost = np.zeros(len(times_s), bool)
    rates = [
        window_rate(wave, times_s, lost, (start, start + 10.0), PULSE) for start in (5.0, 25.0)
    ]
    assert [one.bpm for one in rates] == pytest.approx([60, 96], abs=0.5)


def test_no_rate_where_the_face_is_gone_or_nothing_beats():
    times_s, lost = clock(20), np.zeros(600, bool)
    lost[:160] = True
    wave = beating(times_s, 72.0)
    assert window_rate(wave, times_s, lost, (0.0, 10.0), PULSE) is None
    assert window_rate(wave, times_s, lost, (10.0, 20.0), PULSE).bpm == pytest.approx(72, abs=0.5)
    assert window_rate(0 * wave, times_s, ~lost & lost, (0.0, 10.0), PULSE) is None


def test_the_window_has_its_own_truth_where_there_is_one():
    rates = [((i, i + 10.0), HeartRate(80.0, 1.0)) for i in (0.0, 1.0, 2.0)] + [((3.0, 13.0), None)]
    found = score_windows(WHOLE, rates, {(0.0, 10.0): 78.0, (1.0, 11.0): None, (3.0, 13.0): 80.0})
    assert [one.reference_bpm for one in found.scored] == [78.0, 70.0]
    assert (found.own_truth, found.silent, found.untold) == (1, 1, 1)
    assert {one.subject for one in found.scored} == {"s"}


def test_without_any_truth_of_its_own_it_is_held_to_the_recordings():
    found = score_windows(WHOLE, [((0.0, 10.0), HeartRate(80.0, 1.0))], None)
    assert found.scored[0].error_bpm == pytest.approx(10)
    assert found.own_truth == 0
