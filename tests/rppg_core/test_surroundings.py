"""Light and motion of a face: known shifts are measured, and nothing else is taken for one."""

import cv2
import numpy as np
import pytest

from rppg_core.errors import NoFaceError
from rppg_core.faces import Box
from rppg_core.pipeline import Pipeline
from rppg_core.preprocess import Preprocessor
from rppg_core.surroundings import EVERY_S, Surroundings
from rppg_core.video import open_source

FPS = 30.0
FACE = Box(128, 48, 76, 76)
SIZE_PX = 76 * 1.5 // 36 * 36 / 1.5  # of the face, as the crop is cut


def measured(face_image, px_per_frame, gain=1.0, noise=1.0, frames=60, box=lambda at: FACE):
    """What is measured of a portrait that moves to the right by so much a frame."""
    scene = cv2.resize(face_image, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    scene = (gain * scene[:240, :320]).astype(np.float32)
    fields = noise * np.random.default_rng(0).standard_normal((8, *scene.shape), np.float32)
    preprocessor, around = Preprocessor(), Surroundings(1.5)
    for at in range(frames):
        shift = np.float32([[1, 0, px_per_frame * (at - frames / 2)], [0, 1, 0]])
        moved = cv2.warpAffine(scene, shift, (320, 240), borderMode=cv2.BORDER_REFLECT)
        preprocessor.push(cv2.add(moved, fields[at % 8], dtype=cv2.CV_8U), box(at))
        around.push(at / FPS, *preprocessor.crop)
    return around.to_dict()


@pytest.mark.parametrize("px_per_frame", [0.25, 0.5, 2.0])
@pytest.mark.parametrize(("gain", "noise"), [(1.0, 1.5), (0.15, 3.0)])
def test_a_known_speed_is_measured_in_the_light_and_in_the_dark(
    face_image, px_per_frame, gain, noise
):
    speeds = [s for s in measured(face_image, px_per_frame, gain, noise)["speed"] if s is not None]
    assert np.mean(speeds) == pytest.approx(px_per_frame * FPS / SIZE_PX, rel=0.3)


def test_a_still_face_is_still(face_image):
    speeds = measured(face_image, 0.0)["speed"]
    assert speeds[0] is None
    assert max(speeds[1:]) < 0.01


def test_a_box_that_jumps_over_a_still_face_is_no_motion(face_image):
    def jumping(at):
        return Box(FACE.x + 3 * (at // 15), FACE.y, FACE.width, FACE.height)

    speeds = measured(face_image, 0.0, box=jumping)["speed"][1:]
    # Taken for motion, each jump of 3 px within a sample would be 0.17 and more.
    assert max(speeds) < 0.06


def test_luminance_is_that_of_the_face_and_scales_with_the_light(face_image):
    bright, dim = (np.mean(measured(face_image, 0, gain)["luminance"]) for gain in (1.0, 0.25))
    assert 0.5 < bright < 0.7
    assert dim == pytest.approx(bright / 4, rel=0.05)
    white = np.full((36, 36, 3), 1.0, np.float32)
    white[6:30, 6:30] = (0.0, 1.0, 0.0)  # only the middle is face; BT.709 weighs green so
    around = Surroundings(1.5)
    around.push(0.0, white, (0, 0, 36))
    assert around.to_dict()["luminance"] == [0.7152]


def test_a_face_without_structure_has_no_speed():
    around, black = Surroundings(1.5), np.zeros((36, 36, 3), np.float32)
    for at in range(30):
        around.push(at / FPS, black, (0, 0, 36))
    assert set(around.to_dict()["speed"]) == {None}


def test_only_a_few_frames_a_second_are_looked_at(face_image):
    kept = measured(face_image, 1.0, frames=90)
    assert len(kept["time_s"]) == len(kept["speed"]) == len(kept["luminance"])
    assert np.all(np.diff(kept["time_s"]) >= EVERY_S - 1e-3)
    assert len(kept["time_s"]) == pytest.approx(3.0 / (8 / FPS), abs=1)


def test_nothing_is_compared_across_a_lost_face(face_image):
    around = Surroundings(1.5)
    rng = np.random.default_rng(0)
    for at in range(3):
        around.push(float(at), rng.random((36, 36, 3), np.float32), (0, 0, 36))
        around.reset()
    assert around.to_dict()["speed"] == [None, None, None]


def test_a_pipeline_keeps_them_and_counts_the_frames_with_a_face(haar, tscan, short_clip):
    pipeline = Pipeline(haar, tscan)
    with open_source(short_clip) as source:
        result = pipeline.run(source)
    kept = pipeline.surroundings()
    assert kept["frames"] == result.frames
    assert kept["frames_with_face"] == result.frames - result.lost.sum()
    assert len(kept["time_s"]) > 10


def test_they_are_there_after_a_failure_too(haar, tscan, faceless_clip):
    pipeline = Pipeline(haar, tscan)
    with open_source(faceless_clip) as source, pytest.raises(NoFaceError):
        pipeline.run(source)
    kept = pipeline.surroundings()
    assert kept["frames"] > 0
    assert kept["frames_with_face"] == 0
    assert kept["luminance"] == []
