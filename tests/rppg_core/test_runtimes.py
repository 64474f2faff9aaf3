"""int8 models load and give the same answer in every TFLite runtime a board or host may have."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rppg_core
from rppg_core import models
from rppg_core.faces import make_detector
from rppg_core.pipeline import Pipeline
from rppg_core.video import open_source

# By the variable that names a Python with numpy, opencv and a runtime: what it must turn out to be.
OTHERS = {
    "RPPG_PYTHON37": ("tflite_runtime", "2.11.", "3.7"),
    "RPPG_PYTHON214": ("tflite_runtime", "2.14.", ""),
}
WINDOWS = 5  # tflite-runtime 2.11 takes 0.8 s of x86-64 for one, 25 times what 2.14 takes
# Kernels of different releases round differently: a step here and there of 8 bits, not the signal.
# Measured: 0.024, 0.0063 and 0.99998 at worst.
MOST_OFF = 0.1  # of the signal's standard deviation, in any frame
TYPICALLY_OFF = 0.02  # root mean square, in the same unit
LEAST_CORRELATION = 0.9998


class Listener:
    """Stands where the model does in a pipeline and keeps what it is given."""

    window = 10

    def __init__(self):
        self.heard = []

    def predict(self, motion, appearance):
        self.heard.append((motion, appearance))
        return np.zeros(self.window, np.float32)


@pytest.fixture(scope="module")
def inputs(pulsing_clip, tmp_path_factory):
    """Windows of what a model is given for a clip with a pulse."""
    listener = Listener()
    pipeline = Pipeline(make_detector("haar", {}), listener)
    with open_source(str(pulsing_clip)) as source:
        for frame in source:
            pipeline.push(frame)
    motion, appearance = (np.stack(part) for part in zip(*listener.heard[:WINDOWS], strict=True))
    path = tmp_path_factory.mktemp("runtimes") / "inputs.npz"
    np.savez(path, motion=motion, appearance=appearance)
    return path


def answered(python, model, inputs, folder):
    """(values (n, 10), runtime, its version, Python) of `model` under another Python."""
    out = folder / "values.npz"
    program = Path(__file__).with_name("runtimes.py")
    done = subprocess.run(
        [python, str(program), str(model), str(inputs), str(out)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(rppg_core.__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
    with np.load(out) as found:
        return found["values"], *found["runtime"].tolist()


@pytest.fixture(scope="module", params=["tscan-synthetic", "tscan-afrl"])
def int8_model(request):
    if request.param == "tscan-afrl":
        return request.getfixturevalue("int8_file")  # made here where no test has made it yet
    return models.tflite_file(request.param, "int8")[1]


@pytest.fixture(scope="module")
def here(int8_model, inputs, tmp_path_factory):
    values, runtime, version, _ = answered(
        sys.executable, int8_model, inputs, tmp_path_factory.mktemp("here")
    )
    assert (runtime, version[:2]) == ("ai_edge_litert", "2.")
    return values


@pytest.mark.board
@pytest.mark.parametrize("variable", OTHERS)
def test_the_same_answer_in_another_runtime(
    variable, int8_model, inputs, here, tmp_path, need, record_property
):
    name, release, python = OTHERS[variable]
    there = os.environ.get(variable) or need(f"{variable} names no Python with {name} {release}x")
    values, runtime, version, its_python = answered(there, int8_model, inputs, tmp_path)
    assert runtime == name
    assert version.startswith(release)
    assert its_python.startswith(python)
    off = (values - here) / here.std()
    figures = {
        "most_off": float(np.abs(off).max()),
        "typically_off": float(np.sqrt(np.mean(off**2))),
        "correlation": float(np.corrcoef(values.ravel(), here.ravel())[0, 1]),
    }
    for figure, value in figures.items():
        record_property(figure, value)
    assert figures["most_off"] <= MOST_OFF, figures
    assert figures["typically_off"] <= TYPICALLY_OFF, figures
    assert figures["correlation"] >= LEAST_CORRELATION, figures
