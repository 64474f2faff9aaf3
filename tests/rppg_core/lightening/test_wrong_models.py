import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="making models needs TensorFlow (extra 'lightening')")

import tscan_numpy

pytestmark = pytest.mark.lightening

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "wrong_models.py"


@pytest.fixture(scope="module")
def wrong_models():
    spec = importlib.util.spec_from_file_location("wrong_models", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def outputs(wrong_models, random_weights, samples):
    inputs = [samples[0], samples[1][:1]]
    return {
        name: np.asarray(graph(random_weights)(inputs))[:, 0]
        for name, graph in wrong_models.GRAPHS.items()
    }


def test_each_is_wrong_in_its_own_way(outputs):
    for name, output in outputs.items():
        for other, value in outputs.items():
            assert name == other or np.abs(output - value).max() > 0.01, (name, other)


def test_rgb_swapped_is_the_right_model_fed_the_other_way_round(outputs, random_weights, samples):
    motion = samples[0][..., ::-1]
    appearance = np.broadcast_to(samples[1][:1, ..., ::-1], motion.shape)
    expected = tscan_numpy.tscan(random_weights, motion, appearance)
    np.testing.assert_allclose(outputs["rgb-swapped"], expected, atol=1e-4)


def test_without_shift_a_frame_reaches_no_other(wrong_models, random_weights, samples):
    graph = wrong_models.no_shift(random_weights)
    touched = samples[0].copy()
    touched[3] += 1.0
    before, after = (np.asarray(graph([m, samples[1][:1]]))[:, 0] for m in (samples[0], touched))
    np.testing.assert_array_equal(np.flatnonzero(np.abs(after - before) > 1e-6), [3])
