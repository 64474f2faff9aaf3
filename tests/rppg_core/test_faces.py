import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rppg_core import models
from rppg_core.errors import ModelError, UserError
from rppg_core.faces import DETECTORS, Box, Detector, Face, make_detector
from rppg_core.video import open_source

NEED_FILES = [name for name, kind in DETECTORS.items() if kind.file_names]
# The portrait's face, by eye: from hairline to chin, ear to ear.
ASTRONAUT = Box(178, 65, 95, 120)


@pytest.fixture(scope="module", params=list(DETECTORS))
def detector(request):
    if DETECTORS[request.param].file_names:
        request.getfixturevalue("models_folder")
    name, files, _ = models.choose_detector(request.param)
    return make_detector(name, files)


def still(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def best(detector, rgb):
    faces = detector.detect(rgb)
    assert faces, f"{detector.name} finds no face"
    return max(faces, key=lambda face: face.score).box


def test_the_portraits_face_is_found(detector, face_image):
    assert best(detector, face_image).overlap(ASTRONAUT) > 0.5


@pytest.mark.parametrize("name", NEED_FILES)
def test_channels_and_means_are_in_the_networks_order(models_folder, face_image, name):
    """A network is surer of a face in its own colours than of one with red and blue swapped."""
    found = make_detector(name, models.find(name))
    swapped = np.ascontiguousarray(face_image[:, :, ::-1])
    right, wrong = (max(f.score for f in found.detect(p)) for p in (face_image, swapped))
    assert right > wrong


def test_a_small_face_off_centre_is_found(detector, face_image):
    scene = np.full((480, 640, 3), 90, np.uint8)
    scene[:440, 200:] = cv2.resize(face_image, (440, 440), interpolation=cv2.INTER_AREA)
    left, top, width, height = (v * 440 / 512 for v in ASTRONAUT)
    assert best(detector, scene).overlap(Box(200 + left, top, width, height)) > 0.5


def test_a_wide_or_tiny_frame_is_no_error(detector, face_image):
    for size in [(16, 16), (4, 3000), (2000, 3), (240, 1280)]:
        for box, _ in detector.detect(cv2.resize(face_image, size[::-1])):
            assert box.x >= 0
            assert box.x + box.width <= size[1]


def test_no_face_in_stripes_or_darkness(detector):
    stripes = np.tile(np.uint8(128 + 60 * np.sin(np.linspace(0, 19, 320))), (240, 1))
    for picture in (np.dstack([stripes] * 3), np.zeros((240, 320, 3), np.uint8)):
        assert detector.detect(picture) == []


@pytest.mark.parametrize("name", ["face.jpg", "grace_hopper.bmp"])
def test_detectors_agree_on_stills(models_folder, name):
    rgb = still(models_folder / "stills" / name)
    boxes = {}
    for kind in DETECTORS:
        detector = make_detector(kind, models.choose_detector(kind)[1])
        boxes[kind] = [face.box for face in detector.detect(rgb)]
        assert boxes[kind], f"{kind} finds no face in {name}"
    shared = {
        kind: max(box.overlap(other) for box in found for other in boxes["resnet10-ssd"])
        for kind, found in boxes.items()
    }
    assert all(overlap > 0.4 for overlap in shared.values()), shared


def test_a_face_that_fills_the_frame_gives_one_right_box(models_folder, real_clip):
    """The detector's surest box on the bare frame is a wrong one, half outside."""
    with open_source(real_clip) as source:
        rgb = next(iter(source)).rgb
    found = {
        kind: make_detector(kind, models.choose_detector(kind)[1]).detect(rgb) for kind in DETECTORS
    }
    assert len(found["resnet10-ssd"]) == 1
    for kind in DETECTORS:
        overlap = max(face.box.overlap(found["resnet10-ssd"][0].box) for face in found[kind])
        assert overlap > 0.5, (kind, overlap)


class Told(Detector):
    """A detector that finds what it is told."""

    name = "told"

    def __init__(self, *boxes):
        self.boxes = boxes

    def _find(self, rgb):
        return [Face(Box(*box), 1.0) for box in self.boxes]


FRAME = np.zeros((100, 200, 3), np.uint8)


def test_boxes_that_leave_the_frame_are_dropped():
    halfway, beyond, empty = (-40, 10, 60, 60), (300, 5, 9, 9), (9, 9, 0, 5)
    below, right = (50, 70, 60, 60), (180, 10, 60, 60)
    assert Told(halfway, beyond, empty, below, right).detect(FRAME) == []


def test_a_box_that_barely_leaves_is_cut_to_the_frame():
    (face,) = Told((-2, 10, 60, 60)).detect(FRAME)
    assert face.box == Box(0, 10, 58, 60)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_box_that_is_no_number_is_dropped(bad):
    for place in range(4):
        box = [20.0, 20.0, 30.0, 30.0]
        box[place] = bad
        assert Told(box).detect(FRAME) == []


sides = st.floats(0.1, 500)
boxes = st.builds(Box, st.floats(-300, 300), st.floats(-300, 300), sides, sides)


@given(boxes, boxes)
def test_overlap_is_symmetric_and_a_share(one, other):
    assert 0 <= one.overlap(other) <= 1 + 1e-12
    assert one.overlap(other) == pytest.approx(other.overlap(one))
    assert one.overlap(one) == pytest.approx(1)


@given(boxes)
def test_what_is_found_lies_inside(box):
    for face in Told(box).detect(FRAME):
        x, y, width, height = face.box
        assert 0 <= x < x + width <= 200
        assert 0 <= y < y + height <= 100


def test_an_unknown_detector_is_named_with_those_that_exist():
    with pytest.raises(UserError, match=r"unknown detector 'hog'; there are resnet10-ssd, yunet"):
        make_detector("hog", {})


@pytest.mark.parametrize("name", NEED_FILES)
def test_a_missing_file_is_named(name):
    with pytest.raises(ModelError, match=DETECTORS[name].file_names[0]):
        make_detector(name, {})


@pytest.mark.parametrize("name", NEED_FILES)
@pytest.mark.parametrize("damage", ["half", "noise", "empty", "gone"])
def test_a_damaged_file_is_one_line(models_folder, tmp_path, name, damage):
    files = dict(models.find(name))
    first = DETECTORS[name].file_names[0]
    whole = files[first].read_bytes()
    bad = tmp_path / first
    if damage != "gone":
        noise = np.random.default_rng(1).integers(0, 256, len(whole), np.uint8).tobytes()
        bad.write_bytes({"half": whole[: len(whole) // 2], "noise": noise, "empty": b""}[damage])
    files[first] = bad
    with pytest.raises(ModelError) as refused:
        make_detector(name, files)
    assert "\n" not in str(refused.value)
    assert first in str(refused.value)
