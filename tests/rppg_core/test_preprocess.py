import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rppg_core.faces import Box
from rppg_core.preprocess import (
    DARKEST,
    SIZE_PX,
    STATISTICS_FRAMES,
    Preprocessor,
    crop_square,
    shrink,
)

BOX = Box(24, 12, 72, 72)  # with enlargement 1 a square of 2 x 2 px a cell
WINDOW = 10


def clip(frames, seed=0, drift=0.0):
    """RGB noise around a picture that may grow brighter by `drift` a frame."""
    rng = np.random.default_rng(seed)
    picture = rng.uniform(30, 200, (96, 120, 3))
    for i in range(frames):
        shown = picture * (1 + drift) ** i + rng.normal(0, 2, picture.shape)
        yield np.uint8(np.clip(np.rint(shown), 0, 255))


def published(frames):
    """MTTS-CAN's steps over a whole clip, in float64: (motion, appearance) of each pair."""
    cut = np.stack([f[12:84, 24:96] for f in frames]).astype(np.float64)
    small = cut.reshape(len(cut), SIZE_PX, 2, SIZE_PX, 2, 3).mean(axis=(2, 4)) / 255
    small = np.clip(small, 1 / 255, 1)
    difference = (small[1:] - small[:-1]) / (small[1:] + small[:-1])
    earlier = small[:-1]
    return difference / difference.std(), (earlier - earlier.mean()) / earlier.std()


@pytest.mark.parametrize("drift", [0.0, 0.003])
def test_the_last_window_is_the_published_one(drift):
    """With the whole clip inside the statistics, streaming and offline steps are the same."""
    frames = list(clip(60, drift=drift))
    preprocessor = Preprocessor(enlargement=1.0)
    samples = [preprocessor.push(frame, BOX) for frame in frames]
    assert samples[0] is None
    last = samples[-WINDOW:]
    motion, appearance = preprocessor.standardise(
        np.stack([s.difference for s in last]), np.stack([s.frame for s in last])
    )
    assert motion.dtype == appearance.dtype == np.float32
    expected_motion, expected_appearance = published(frames)
    assert np.abs(motion - expected_motion[-WINDOW:]).max() < 1e-3  # in standard deviations
    assert np.abs(appearance - expected_appearance[-WINDOW:]).max() < 1e-4


def test_old_frames_leave_the_statistics():
    """A dark start must not scale what comes long after it."""
    frames = list(clip(STATISTICS_FRAMES + 20))
    dark = [frame // 8 for frame in frames[:15]]
    scaled = []
    for shown in (frames, dark + frames[15:]):
        preprocessor = Preprocessor(enlargement=1.0)
        samples = [preprocessor.push(frame, BOX) for frame in shown]
        last = samples[-1]
        scaled.append(preprocessor.standardise(last.difference[None], last.frame[None]))
    assert np.array_equal(scaled[0][0], scaled[1][0])
    assert np.array_equal(scaled[0][1], scaled[1][1])


def test_a_moving_box_is_no_motion():
    still = next(clip(1))
    preprocessor = Preprocessor(enlargement=1.0)
    boxes = [BOX, Box(30, 12, 72, 72), Box(30, 20, 60, 60), Box(0, 0, 90, 90)]
    samples = [preprocessor.push(still, box) for box in boxes]
    for sample in samples[1:]:
        assert np.all(sample.difference == 0)
    assert not np.array_equal(samples[1].frame, samples[3].frame)


def test_a_new_run_starts_without_a_difference():
    frames = list(clip(3))
    preprocessor = Preprocessor()
    assert preprocessor.push(frames[0], BOX) is None
    assert preprocessor.push(frames[1], BOX) is not None
    preprocessor.reset()
    assert preprocessor.push(frames[2], BOX) is None


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_picture_gives_finite_input(level):
    preprocessor = Preprocessor()
    blank = np.full((96, 120, 3), level, np.uint8)
    samples = [preprocessor.push(blank, BOX) for _ in range(3)][1:]
    for part in preprocessor.standardise(*(np.stack(p) for p in zip(*samples, strict=True))):
        assert np.all(np.isfinite(part))
        assert np.abs(part).max() < 1


def test_shrinking_averages_below_one_8_bit_step():
    rgb = np.full((72, 72, 3), 100, np.uint8)
    rgb[::2, ::2] = 101
    assert shrink(rgb, (0, 0, 72)) == pytest.approx(100.25 / 255, abs=1e-6)
    assert shrink(np.zeros_like(rgb), (0, 0, 72)) == pytest.approx(DARKEST)


@given(
    st.floats(-500, 3000),
    st.floats(-500, 3000),
    st.floats(0.5, 2500),
    st.floats(0.5, 2500),
    st.integers(1, 2000),
    st.integers(1, 2000),
    st.floats(0.5, 4),
)
def test_the_square_lies_in_the_frame(x, y, box_width, box_height, width, height, enlargement):
    left, top, side = crop_square(Box(x, y, box_width, box_height), width, height, enlargement)
    assert all(isinstance(v, int) for v in (left, top, side))
    assert side >= 1
    assert 0 <= left <= left + side <= width
    assert 0 <= top <= top + side <= height


@given(st.integers(40, 300), st.integers(300, 600), st.integers(300, 600), st.floats(0.9, 2))
def test_the_square_is_centred_where_there_is_room(size, x, y, enlargement):
    side = round(enlargement * size)
    box = Box(x - size / 2, y - size / 2, size, size)
    left, top, found = crop_square(box, 900, 900, enlargement)
    assert side - SIZE_PX < found <= side
    assert abs(left + found / 2 - x) <= 1
    assert abs(top + found / 2 - y) <= 1


@pytest.mark.parametrize("size", [(1, 1), (20, 20), (5, 300), (1080, 1920)])
def test_every_frame_size_gives_a_sample(size):
    preprocessor = Preprocessor()
    rgb = np.full((*size, 3), 77, np.uint8)
    box = Box(0, 0, size[1], size[0])
    preprocessor.push(rgb, box)
    assert preprocessor.push(rgb, box).frame.shape == (SIZE_PX, SIZE_PX, 3)
