import numpy as np
import pytest

from rppg_core.errors import ModelError, UserError
from rppg_core.runtime import make_interpreter
from rppg_core.tscan import TSCAN

WINDOW = 10


@pytest.fixture(scope="module")
def window():
    rng = np.random.default_rng(1)
    shape = (WINDOW, 36, 36, 3)
    return [rng.normal(size=shape).astype(np.float32) for _ in range(2)]


def test_a_window_gives_a_value_per_frame(tscan, window):
    assert tscan.window == WINDOW
    values = tscan.predict(*window)
    assert values.shape == (WINDOW,)
    assert values.dtype == np.float32
    assert len(set(values.tolist())) == WINDOW


def test_a_prediction_leaves_nothing_behind(tscan, window):
    first = tscan.predict(*window)
    kept = first.copy()
    other = tscan.predict(-window[0], window[1])
    assert not np.array_equal(first, other)
    assert np.array_equal(first, kept)
    assert np.array_equal(tscan.predict(*window), kept)


def test_colours_and_order_matter(tscan, window):
    """What would pass unnoticed with a model that ignores them."""
    values = tscan.predict(*window)
    for motion in (window[0][..., ::-1], window[0][::-1]):
        assert np.abs(tscan.predict(np.ascontiguousarray(motion), window[1]) - values).max() > 0.01


def test_threads_change_no_value_to_speak_of(model_file, tscan, window):
    two = TSCAN(model_file, threads=2)
    assert two.predict(*window) == pytest.approx(tscan.predict(*window), abs=1e-4)


def test_what_runs_it_is_told(tscan, model_file):
    assert tscan.runtime.name in ("pycoral", "tflite_runtime", "ai_edge_litert")
    assert tscan.runtime.version[0].isdigit()
    assert len(tscan.sha256) == 64
    assert tscan.card["window"] == WINDOW


def test_an_absent_runtime_is_one_line(model_file):
    with pytest.raises(UserError, match="no TFLite runtime: install pycoral"):
        make_interpreter(model_file, "pycoral")
    with pytest.raises(UserError, match="unknown runtime 'onnx'; there are auto, pycoral"):
        make_interpreter(model_file, "onnx")


def test_a_missing_file_is_one_line(tmp_path):
    for read in (TSCAN, make_interpreter):
        with pytest.raises(ModelError, match=r"none\.tflite: no such model file"):
            read(tmp_path / "none.tflite")
