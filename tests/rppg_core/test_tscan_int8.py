import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rppg_core.tscan_int8 import attention, tall_picture


@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 4), st.integers(1, 3))
def test_frames_come_back_from_a_tall_picture_and_zeros_part_them(count, height, gap, channels):
    frames = np.random.default_rng(count).normal(size=(count, height, 5, channels))
    tall = tall_picture(frames, height + gap)
    assert tall.shape == (1, count * (height + gap), 5, channels)
    rows = tall.reshape(count, height + gap, 5, channels)
    np.testing.assert_array_equal(rows[:, :height], frames)
    assert not rows[:, height:].any()


@given(st.floats(-20, 20), st.floats(0.1, 5))
def test_an_attention_mask_has_a_mean_of_one_half_and_keeps_its_order(level, spread):
    logits = np.random.default_rng(0).normal(level, spread, (2, 7, 5, 1)).astype(np.float32)
    masks = attention(logits)
    np.testing.assert_allclose(masks.mean(axis=(1, 2, 3)), 0.5, rtol=1e-4)
    order = logits.reshape(2, -1).argsort(axis=1)
    for mask, ranks in zip(masks.reshape(2, -1), order, strict=True):
        assert (np.diff(mask[ranks]) >= 0).all()
