import pytest
from clips import landscape, pulsing, steady_times, write_video

from harness.calibration import own_calibration
from rppg_core import models
from rppg_core.errors import UserError
from rppg_core.faces import make_detector
from rppg_core.tscan import TSCAN


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="session")
def pulsing_clip(clip_folder, face_image):
    """12 s of a face with a pulse of 72 bpm, H.264 in mp4 at 30 fps."""
    return write_video(clip_folder / "pulsing.mp4", pulsing(face_image, steady_times(12)))


@pytest.fixture(scope="session")
def short_clip(clip_folder, face_image):
    """The same for 4 s, just long enough for a heart rate, under a name that needs care."""
    return write_video(clip_folder / "a b ü.mp4", pulsing(face_image, steady_times(4)))


@pytest.fixture(scope="session")
def faceless_clip(clip_folder):
    return write_video(clip_folder / "faceless.mp4", landscape(steady_times(4)))


@pytest.fixture(scope="session")
def model_file(models_folder, need):
    """The published TS-CAN as a float32 TFLite file."""
    try:
        return models.tflite_file("tscan-afrl")[1]
    except UserError as missing:
        return need(str(missing))


@pytest.fixture(scope="session")
def int8_file(models_folder, need):
    """The motion half of the published TS-CAN in full integers; the other lies beside it."""
    try:
        return models.tflite_file("tscan-afrl", "int8", own_calibration)[1]
    except UserError as missing:
        return need(str(missing))


@pytest.fixture(scope="session")
def tscan(model_file):
    return TSCAN(model_file)


@pytest.fixture(scope="session")
def haar():
    return make_detector("haar", {})
