"""Two replays of one recording: the first stage that parts is the one that is named."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.verdicts.hops import (
    EXACT,
    OTHER_FORM,
    SAME_BOARD,
    Hop,
    Trace,
    boxes_apart,
    compare,
    first_out,
    tolerances_for,
    verdict,
)

FRAMES = 120


def trace(**changes):
    rng = np.random.default_rng(3)
    time_s = np.arange(FRAMES) / 30
    rows = {9: np.full(6, 100.0), 39: np.full(6, 101.0)}
    whole = Trace(
        "r1",
        time_s,
        np.tile([10.0, 10.0, 50.0, 50.0], (FRAMES, 1)),
        np.cos(2 * np.pi * 1.2 * time_s) + 0.01 * rng.standard_normal(FRAMES),
        np.sin(2 * np.pi * 1.2 * time_s),
        time_s,
        72.0,
        picture=rows,
        crop={frame: row / 255 for frame, row in rows.items()},
        motion={frame: 0 * row for frame, row in rows.items()},
        appearance={frame: 0 * row for frame, row in rows.items()},
    )
    return replace(whole, **changes)


def moved(rows, by):
    return {frame: row + by for frame, row in rows.items()}


RIGHT = trace()
FAULTS = {
    "decode": trace(picture=moved(RIGHT.picture, 2.0), bpm=90.0),
    "detect": trace(
        boxes=RIGHT.boxes + np.array([20, 0, 0, 0]), crop=moved(RIGHT.crop, 0.1), bpm=90.0
    ),
    "preprocess": trace(motion=moved(RIGHT.motion, 0.5), derivative=-RIGHT.derivative),
    "predict": trace(derivative=np.roll(RIGHT.derivative, 3), bpm=75.0),
    "postprocess": trace(bpm=75.0),
}


@pytest.mark.parametrize("stage", FAULTS)
def test_the_first_stage_that_parts_is_named_whatever_follows_from_it(stage):
    out = first_out(compare([RIGHT], [FAULTS[stage]], SAME_BOARD))
    assert out is not None and out.stage == stage
    hop = Hop("host float32", "board int8", 1, compare([RIGHT], [FAULTS[stage]], SAME_BOARD))
    assert f"host float32 -> board int8, {stage}:" in verdict([hop])


def test_a_replay_is_like_itself_to_the_last_digit():
    assert first_out(compare([RIGHT], [trace()], EXACT)) is None
    hop = Hop("a", "b", 1, compare([RIGHT], [trace()], EXACT))
    assert verdict([hop]) == "Every hop is within tolerance at every stage."


def test_one_wrong_recording_of_many_is_the_one_that_is_told():
    others = [replace(RIGHT, recording=f"r{n}") for n in range(5)]
    wrong = [replace(one, bpm=80.0) if one.recording == "r3" else one for one in others]
    out = first_out(compare(others, wrong, SAME_BOARD))
    assert (out.recording, out.value) == ("r3", 8.0)


def test_windows_that_end_elsewhere_say_nothing_of_the_stages_before_the_model():
    shifted = {frame - 1: row for frame, row in RIGHT.picture.items()}
    other = trace(picture=shifted, derivative=np.roll(RIGHT.derivative, 1))
    found = compare([RIGHT], [other], SAME_BOARD)
    assert next(one for one in found if one.name == "picture_steps").within is None
    assert first_out(found).stage == "predict"
    emptied = compare([RIGHT], [trace(picture={})], SAME_BOARD)
    assert first_out(emptied).stage == "decode", "one that kept nothing is not unknown"


def test_what_a_record_lacks_is_unknown_and_said():
    hop = Hop("a", "b", 1, compare([RIGHT], [trace(crop=None)], SAME_BOARD))
    assert hop.first_out is None and "not all is known" in verdict([hop])


def test_a_lost_replay_is_laid_to_the_stage_that_ended_it():
    nothing = np.empty(0)
    lost = Trace(
        "r1", nothing, np.empty((0, 4)), nothing, nothing, nothing, 0.0,
        failed_stage="detect", failure="no face",
    )  # fmt: skip
    (out,) = compare([RIGHT], [lost], SAME_BOARD)
    assert (out.stage, out.within) == ("detect", False) and "no face" in str(out)
    assert compare([lost], [lost], SAME_BOARD) == ()


def test_nothing_in_common_is_said_and_not_passed():
    found = compare([RIGHT], [replace(RIGHT, recording="other")], SAME_BOARD)
    assert found == () and "Nothing was compared" in verdict([Hop("a", "b", 0, found)])


def test_another_form_may_differ_in_the_model_alone():
    assert tolerances_for(same_board=True, same_model=False) is OTHER_FORM
    assert OTHER_FORM.crop_steps == EXACT.crop_steps
    assert OTHER_FORM.correlation < SAME_BOARD.correlation


side = st.floats(1, 500)
box = st.tuples(st.floats(0, 500), st.floats(0, 500), side, side)


@settings(max_examples=100, deadline=None)
@given(box, box)
def test_boxes_apart_is_symmetric_and_between_none_and_all(one, other):
    one, other = np.array([one]), np.array([other])
    (apart,) = boxes_apart(one, other)
    assert -1e-9 <= apart <= 1
    assert boxes_apart(other, one)[0] == pytest.approx(apart)
    assert boxes_apart(one, one)[0] == pytest.approx(0, abs=1e-9)
    assert boxes_apart(one, one + np.array([1000, 0, 0, 0]))[0] == 1
