import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rppg_core.errors import UserError
from rppg_core.faces import Box, Detector, Face
from rppg_core.tracking import FaceTracker, TrackSettings

FPS = 30
FRAME = np.zeros((240, 320, 3), np.uint8)
HOME = Box(110, 60, 100, 120)


class Scripted(Detector):
    """Finds, at its n-th call, what `script(n)` says."""

    name = "scripted"

    def __init__(self, script):
        self.script = script
        self.calls = 0

    def _find(self, rgb):
        self.calls += 1
        return [Face(box, 1.0) for box in self.script(self.calls - 1)]


def follow(script, frames, every=1, hold_s=0.5):
    """Sightings of `frames` frames at 30 fps."""
    tracker = FaceTracker(Scripted(script), TrackSettings(every, hold_s))
    return tracker, [tracker.push(i, i / FPS, FRAME) for i in range(frames)]


def moved(dx, dy=0.0, scale=1.0):
    return Box(HOME.x + dx, HOME.y + dy, HOME.width * scale, HOME.height * scale)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), min_size=5, max_size=20))
def test_jitter_moves_nothing(shifts):
    _, seen = follow(lambda n: [moved(*shifts[n])], len(shifts))
    assert {s.box for s in seen} == {moved(*shifts[0])}


def test_a_real_move_is_followed_at_once():
    _, seen = follow(lambda n: [moved(0 if n < 5 else 40)], 10)
    assert [s.box for s in seen] == [HOME] * 5 + [moved(40)] * 5


def test_a_slow_drift_is_followed():
    _, seen = follow(lambda n: [moved(n)], 60)
    for number, sighting in enumerate(seen):
        assert sighting.box.overlap(moved(number)) > 0.75


def test_a_missed_face_is_held_then_lost_then_found_again():
    _, seen = follow(lambda n: [] if 10 <= n < 40 else [HOME], 60)
    held = [s.box is not None for s in seen]
    last_seen, hold = 9, round(0.5 * FPS)
    assert all(held[: last_seen + hold])
    assert not any(held[last_seen + hold + 1 : 40])
    assert all(held[40:])
    assert not any(s.found for s in seen[10:40])


def test_without_a_face_there_is_no_box():
    tracker, seen = follow(lambda n: [], 20)
    assert all(s.box is None for s in seen)
    assert (tracker.searches, tracker.sightings) == (20, 0)


def test_detection_keeps_its_cadence():
    tracker, seen = follow(lambda n: [HOME], 100, every=30)
    assert [i for i, s in enumerate(seen) if s.searched] == [0, 30, 60, 90]
    assert (tracker.searches, tracker.sightings) == (4, 4)


def test_a_lost_face_is_searched_more_often():
    _, seen = follow(lambda n: [], 60, every=30)
    searched = [i for i, s in enumerate(seen) if s.searched]
    assert searched[0] == 0
    assert 2 <= max(np.diff(searched)) < 30


def test_a_face_that_appears_late_is_found_soon():
    tracker = FaceTracker(Scripted(lambda n: [HOME] if n >= 3 else []), TrackSettings(30, 1.0))
    boxes = [tracker.push(i, i / FPS, FRAME).box for i in range(60)]
    first = next(i for i, box in enumerate(boxes) if box)
    assert first < 30
    assert boxes[first:] == [HOME] * (60 - first)


BIG, SMALL, CORNER = Box(90, 50, 110, 130), Box(150, 90, 40, 50), Box(210, 0, 110, 130)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_of_several_faces_the_largest_is_taken(order):
    _, seen = follow(lambda n: [[SMALL, BIG][i] for i in order], 1)
    assert seen[0].box == BIG


def test_of_equals_the_most_central_is_taken():
    _, seen = follow(lambda n: [CORNER, BIG], 1)
    assert seen[0].box == BIG


def test_the_followed_face_is_kept_when_a_larger_one_comes():
    follower = Box(20, 100, 60, 70)
    _, seen = follow(lambda n: [follower] if n < 5 else [BIG, follower], 20)
    assert {s.box for s in seen} == {follower}


@pytest.mark.parametrize(("every", "hold_s"), [(0, 1.0), (-3, 1.0), (1, -0.1), (1, float("nan"))])
def test_settings_that_mean_nothing_are_refused(every, hold_s):
    with pytest.raises(UserError):
        TrackSettings(every, hold_s)


def test_settings_that_no_record_could_hold_are_refused():
    with pytest.raises(UserError):
        TrackSettings(30, float("inf"))
