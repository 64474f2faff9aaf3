import os
from pathlib import Path

import numpy as np
import pytest

from rppg_core.lightening.weights import SHAPES, load_tfjs

WINDOW = 10


@pytest.fixture(scope="session")
def random_weights():
    """TS-CAN weights of a size that saturates nothing, biases included."""
    rng = np.random.default_rng(1)
    weights = {}
    for name, shape in SHAPES.items():
        inputs = np.prod(shape[:-1]) if name.endswith("/kernel") else 4
        weights[name] = rng.normal(0, 1.5 / np.sqrt(inputs), shape).astype(np.float32)
    return weights


@pytest.fixture(scope="session")
def published_folder(need):
    """The folder of the published weights, tscan_afrl, as TensorFlow.js keeps them."""
    for root in filter(None, os.environ.get("RPPG_MODELS", "").split(os.pathsep)):
        for found in Path(root).rglob("tscan_afrl/model.json"):
            return found.parent
    return need("RPPG_MODELS names no folder with tscan_afrl/model.json, the published weights")


@pytest.fixture(scope="session")
def published_weights(published_folder):
    return load_tfjs(published_folder)


@pytest.fixture(scope="session")
def samples():
    """(motion, appearance) of one window, standardised like the real inputs."""
    rng = np.random.default_rng(2)
    motion = rng.normal(size=(WINDOW, 36, 36, 3)).astype(np.float32)
    appearance = rng.normal(size=(WINDOW, 36, 36, 3)).astype(np.float32)
    return motion, appearance
