import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

pytest.importorskip("tensorflow", reason="making models needs TensorFlow (extra 'lightening')")

import tscan_numpy

from rppg_core.lightening.tscan_keras import temporal_shift, tscan

pytestmark = pytest.mark.lightening

MAX_DIFFERENCE = 1e-4  # the project's bound; float32 rounding gives some 1e-7

features = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4), st.integers(3, 11)),
    elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False),  # TensorFlow flushes those
)


def shifted(values):
    return np.asarray(temporal_shift(values))


def differ(graph, inputs, expected):
    return np.abs(np.asarray(graph(inputs))[:, 0] - expected).max()


@given(features)
@settings(max_examples=50, deadline=None)
def test_shift_moves_thirds_by_a_frame_exactly(values):
    third = values.shape[3] // 3
    result = shifted(values)
    np.testing.assert_array_equal(result[:-1, ..., :third], values[1:, ..., :third])
    np.testing.assert_array_equal(
        result[1:, ..., third : 2 * third], values[:-1, ..., third : 2 * third]
    )
    np.testing.assert_array_equal(result[..., 2 * third :], values[..., 2 * third :])
    assert not result[-1, ..., :third].any()
    assert not result[0, ..., third : 2 * third].any()
    np.testing.assert_array_equal(result, tscan_numpy.shift(values))


@given(features, st.permutations(range(3)))
@settings(max_examples=30, deadline=None)
def test_shift_ignores_pixels_and_a_still_frame_changes_at_the_ends_only(values, order):
    width = values.shape[2]
    pixels = np.argsort(np.resize(order, width), kind="stable")
    np.testing.assert_array_equal(shifted(values[:, :, pixels]), shifted(values)[:, :, pixels])
    still = np.repeat(values[:1], 5, axis=0)
    np.testing.assert_array_equal(shifted(still)[1:-1], still[1:-1])
    assert not shifted(np.zeros_like(values)).any()


@pytest.mark.parametrize("source", ["random_weights", "published_weights"])
def test_keras_equals_the_independent_implementation(request, source, samples):
    weights = request.getfixturevalue(source)
    motion, appearance = samples
    expected = tscan_numpy.tscan(weights, motion, appearance)
    assert expected.std() > 0.01, "an output that does not vary compares nothing"
    graph = tscan(weights, appearance_per_frame=True)
    assert differ(graph, [motion, appearance], expected) <= MAX_DIFFERENCE

    mean = appearance.mean(axis=0, keepdims=True)
    expected = tscan_numpy.tscan(weights, motion, np.repeat(mean, len(motion), axis=0))
    assert differ(tscan(weights), [motion, mean], expected) <= MAX_DIFFERENCE


@pytest.mark.parametrize("window", [1, 2, 7, 20])
def test_other_windows(random_weights, window):
    rng = np.random.default_rng(window)
    motion = rng.normal(size=(window, 36, 36, 3)).astype(np.float32)
    appearance = rng.normal(size=(1, 36, 36, 3)).astype(np.float32)
    graph = tscan(random_weights, window)
    expected = tscan_numpy.tscan(random_weights, motion, np.repeat(appearance, window, axis=0))
    assert differ(graph, [motion, appearance], expected) <= MAX_DIFFERENCE


def test_what_pooling_does_not_read_is_not_computed(random_weights, samples):
    motion, appearance = samples
    published, own = (
        tscan(random_weights, appearance_per_frame=True, unread=unread) for unread in (True, False)
    )
    expected = np.asarray(published([motion, appearance]))[:, 0]
    assert differ(own, [motion, appearance], expected) <= 1e-6
    sides = [
        {layer.name: layer.output.shape[1:3] for layer in graph.layers}
        for graph in (published, own)
    ]
    assert [one["conv2d_5"] for one in sides] == [(17, 17), (16, 16)]
    assert [one["conv2d_6"] for one in sides] == [(15, 15), (14, 14)]


def test_still_frames_inside_a_window_all_give_one_value(random_weights, samples):
    # Four shifts carry what is outside the window four frames in; beyond, every frame is alike.
    still = np.zeros_like(samples[0])
    output = np.asarray(tscan(random_weights)([still, samples[1][:1]]))[:, 0]
    np.testing.assert_allclose(output[4:-4], output[4], atol=1e-6)
    assert np.abs(output[0] - output[4]) > 1e-4


def test_what_a_frame_reaches(random_weights, samples):
    motion, appearance = samples[0], samples[1][:1]
    graph = tscan(random_weights)
    before = np.asarray(graph([motion, appearance]))[:, 0]
    touched = motion.copy()
    touched[0] += 1.0
    after = np.asarray(graph([touched, appearance]))[:, 0]
    changed = np.flatnonzero(np.abs(after - before) > 1e-6)
    np.testing.assert_array_equal(changed, np.arange(5))  # itself and one more frame per shift
