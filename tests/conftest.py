"""What every test may ask for: the folder of real data, the real clip, a face."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings
from skimage import data

REQUIRE_ALL = "RPPG_REQUIRE_ALL"  # set to 1 where a test that cannot run must not pass unnoticed

# How long an example takes depends on who else uses the machine; it is no property under test.
# The same examples for every run of CI, others for everybody else.
settings.register_profile("rppg", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("rppg")


def skip_or_fail(reason):
    """Skip with `reason`; fail instead where everything has to run."""
    if os.environ.get(REQUIRE_ALL) == "1":
        pytest.fail(f"{reason} ({REQUIRE_ALL}=1 forbids skipping)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def no_worker():
    """A pytest started by a test is nobody's worker, even where this one is."""
    os.environ.pop("PYTEST_XDIST_WORKER", None)


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    """What a test starts can be interrupted, even where this process was told to ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def need():
    """`need(reason)` skips the test with that reason, or fails it where nothing may be skipped."""
    return skip_or_fail


@pytest.fixture(scope="session")
def models_folder():
    """The first folder of RPPG_MODELS that has the published weights, detectors and clips."""
    for folder in filter(None, os.environ.get("RPPG_MODELS", "").split(os.pathsep)):
        if (Path(folder) / "clips").is_dir() and (Path(folder) / "detectors").is_dir():
            return Path(folder)
    return skip_or_fail("RPPG_MODELS names no folder with detectors/ and clips/")


@pytest.fixture(scope="session")
def real_clip(models_folder):
    """A real face of 10 s whose pulse is 53 +- 2 bpm by four independent methods."""
    return models_folder / "clips" / "evm_face.mp4"


@pytest.fixture(scope="session")
def face_image():
    """A public-domain portrait, (512, 512, 3) uint8 RGB."""
    return data.astronaut()
