import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.datasets.repair import LEAP_BPM, WRAP_STEP_BPM, repair_heart_rate


def row(*runs):
    """(value, readings), ... as a row."""
    return np.concatenate([np.full(count, float(value)) for value, count in runs])


def counts(repaired):
    return tuple(
        int(part.sum()) for part in (repaired.wrapped, repaired.glitches, repaired.outside)
    )


@pytest.mark.parametrize(
    ("raw", "changed", "mean_bpm"),
    [
        (row((126, 30), (127, 30), (1, 30), (3, 30)), (60, 0, 0), 128.25),
        (row((3, 10), (1, 10), (127, 10), (126, 10)), (20, 0, 0), 128.25),  # wrapped at first
        (row((127, 10), (1, 1), (127, 10)), (1, 0, 0), 127.095),
        (row((127, 30), (43, 1), (1, 30), (127, 20)), (30, 1, 0), 127.75),  # a mean of both sides
        (row((127, 30), (64, 1), (1, 30)), (30, 1, 0), 128.0),
        (row((127, 30), (85, 1), (1, 30)), (30, 1, 0), 128.0),
        (row((75, 50), (0, 1), (75, 50), (200, 1), (76, 20)), (0, 2, 0), 75.17),
        (row((121, 10), (0, 1), (121, 10)), (0, 1, 0), 121.0),
        (row((0, 1), (75, 50)), (0, 1, 0), 75.0),
        (row((75, 50), (250, 1)), (0, 1, 0), 75.0),
        (row((75, 50), (0, 30), (75, 50)), (0, 0, 30), 75.0),  # no reading, and no wrap either
        (row((70, 50), (90, 50)), (0, 0, 0), 80.0),
        (np.linspace(60, 120, 100), (0, 0, 0), 90.0),
        (row((60, 1), (100, 1)), (0, 0, 0), 80.0),  # too few to say which one is wrong
    ],
)
def test_what_each_row_becomes(raw, changed, mean_bpm):
    before = raw.copy()
    repaired = repair_heart_rate(raw)
    assert counts(repaired) == changed
    assert repaired.usable.mean() == pytest.approx(mean_bpm, abs=0.01)
    np.testing.assert_array_equal(raw, before)
    assert repaired.raw_bpm is raw


def test_no_reading_at_all_is_usable_where_none_is_a_persons():
    assert len(repair_heart_rate(np.full(20, 3.0)).usable) == 0


@st.composite
def walks(draw):
    """A heart rate as a sensor tells it: whole bpm, small steps, each for some samples."""
    start = draw(st.integers(60, 150))
    steps = draw(st.lists(st.integers(-3, 3), min_size=3, max_size=60))
    rates = np.clip(start + np.cumsum([0, *steps]), 40, 168)
    return np.repeat(rates, draw(st.integers(2, 15))).astype(float)


@given(walks())
def test_a_sound_row_is_left_alone(bpm):
    assert counts(repair_heart_rate(bpm)) == (0, 0, 0)


@given(walks(), st.data())
def test_wraps_and_glitches_in_a_row_are_undone(bpm, data):
    # At least one reading below 128, or nothing in the row says that it is wrapped.
    if bpm.min() > 127:
        bpm = np.concatenate([np.arange(100.0, bpm[0]).repeat(2), bpm])
    raw = np.where(bpm > 127, bpm - 128, bpm)
    places = data.draw(
        st.lists(st.integers(1, len(raw) // 4 - 1).map(lambda i: 4 * i), unique=True, max_size=2)
        if len(raw) >= 8
        else st.just([])
    )
    for place in places:
        raw[place] = data.draw(st.sampled_from([0.0, 20.0, 65.0, 200.0, 250.0]))
    repaired = repair_heart_rate(raw)
    # A glitch may look like a neighbour; then it is one, within what is left unrepaired.
    np.testing.assert_allclose(repaired.bpm, bpm, atol=LEAP_BPM)
    elsewhere = np.delete(np.arange(len(bpm)), places)
    np.testing.assert_array_equal(repaired.bpm[elsewhere], bpm[elsewhere])
    assert WRAP_STEP_BPM < LEAP_BPM


@given(st.lists(st.floats(0, 300), min_size=1, max_size=80))
def test_anything_is_taken_and_the_raw_row_can_be_had_back(values):
    raw = np.array(values)
    repaired = repair_heart_rate(raw)
    kept = ~repaired.glitches
    back = repaired.bpm - 128 * repaired.wrapped
    np.testing.assert_allclose(back[kept], raw[kept], atol=1e-9)
    assert not (repaired.glitches & repaired.wrapped).any()
