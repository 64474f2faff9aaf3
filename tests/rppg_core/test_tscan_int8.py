import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rppg_core.tscan_int8 import FINER, attention, in_steps, shifted, tall_picture


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
    # Features of which the second is of no weight.
    seen = np.concatenate([logits / 2, np.ones_like(logits)], axis=-1)
    masks = attention(seen, np.array([2, 0], np.float32), np.float32(0))
    np.testing.assert_allclose(masks.mean(axis=(1, 2, 3)), 0.5, rtol=1e-4)
    order = logits.reshape(2, -1).argsort(axis=1)
    for mask, ranks in zip(masks.reshape(2, -1), order, strict=True):
        assert (np.diff(mask[ranks]) >= 0).all()


def test_each_colour_is_shifted_its_own_way():
    motion = np.arange(4 * 2 * 2 * 3, dtype=np.float32).reshape(4, 2, 2, 3) + 1
    moved = shifted(motion)
    np.testing.assert_array_equal(moved[:-1, ..., 0], motion[1:, ..., 0])
    np.testing.assert_array_equal(moved[1:, ..., 1], motion[:-1, ..., 1])
    np.testing.assert_array_equal(moved[..., 2], motion[..., 2])
    assert not moved[-1, ..., 0].any()
    assert not moved[0, ..., 1].any()


@given(st.floats(1e-3, 1.0), st.floats(0.01, 100.0))
def test_two_parts_add_up_to_the_motion_within_half_a_fine_step(step, spread):
    motion = np.random.default_rng(1).normal(0, spread, (2, 3, 3, 3)).astype(np.float32)
    parts = in_steps(motion, step).astype(np.float64)
    assert parts.shape == (2, 3, 3, 6)
    value = step * (parts[..., 0::2] + parts[..., 1::2] / FINER)
    error = np.abs(value - np.clip(motion, -127 * step, 127 * step)).max()
    assert error <= step / FINER * 0.51
