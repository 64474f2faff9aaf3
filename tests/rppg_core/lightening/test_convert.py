import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="making models needs TensorFlow (extra 'lightening')")

import tscan_numpy

from rppg_core.errors import UserError
from rppg_core.lightening.convert import convert, model_card, write_model
from rppg_core.lightening.weights import weights_sha256
from rppg_core.model_card import read_card

pytestmark = pytest.mark.lightening

MAX_DIFFERENCE = 1e-4
FLOAT32_LIMIT_BYTES = 2_200_000
# One appearance pass per window, a shift without slices, one slice of a mask to what is read;
# what older runtimes know.
OPERATORS = {
    "AVERAGE_POOL_2D",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "DIV",
    "FULLY_CONNECTED",
    "LOGISTIC",
    "MEAN",
    "MUL",
    "PAD",
    "RESHAPE",
    "STRIDED_SLICE",
    "TANH",
}


def interpreter_of(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def predict(interpreter, **inputs):
    for detail in interpreter.get_input_details():
        (name,) = [name for name in inputs if name in detail["name"]]
        assert tuple(detail["shape"]) == inputs[name].shape
        interpreter.set_tensor(detail["index"], inputs[name])
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[:, 0]


@pytest.fixture(scope="module")
def random_tflite(random_weights):
    return convert(random_weights)


@pytest.fixture
def model_path(tmp_path, random_weights, random_tflite):
    path = tmp_path / "model.tflite"
    write_model(path, random_tflite, model_card(random_weights, "random"))
    return path


def test_a_carded_model_equals_the_independent_implementation(model_path, random_weights, samples):
    motion, mean = samples[0], samples[1].mean(axis=0, keepdims=True)
    expected = tscan_numpy.tscan(random_weights, motion, np.repeat(mean, len(motion), axis=0))
    output = predict(interpreter_of(model_path), motion=motion, appearance=mean)
    assert np.abs(output - expected).max() <= MAX_DIFFERENCE


@pytest.mark.parametrize("per_frame", [False, True])
def test_published_weights(tmp_path, published_weights, samples, per_frame):
    motion, appearance = samples
    if not per_frame:
        appearance = appearance.mean(axis=0, keepdims=True)
    path = tmp_path / "model.tflite"
    path.write_bytes(convert(published_weights, appearance_per_frame=per_frame))
    seen = np.broadcast_to(appearance, motion.shape)
    expected = tscan_numpy.tscan(published_weights, motion, seen)
    output = predict(interpreter_of(path), motion=motion, appearance=appearance)
    assert np.abs(output - expected).max() <= MAX_DIFFERENCE
    assert path.stat().st_size <= FLOAT32_LIMIT_BYTES


def test_windows_do_not_touch_each_other(model_path):
    rng = np.random.default_rng(3)
    windows = [
        {
            "motion": rng.normal(size=(10, 36, 36, 3)).astype(np.float32),
            "appearance": rng.normal(size=(1, 36, 36, 3)).astype(np.float32),
        }
        for _ in range(3)
    ]
    interpreter = interpreter_of(model_path)
    forwards = [predict(interpreter, **window) for window in windows]
    backwards = [predict(interpreter, **window) for window in reversed(windows)]
    np.testing.assert_array_equal(forwards, backwards[::-1])


def test_operators_are_ones_that_old_runtimes_have(model_path):
    from tensorflow.lite.python import schema_py_generated as schema

    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    model = schema.ModelT.InitFromPackedBuf(model_path.read_bytes(), 0)
    versions = {names[code.builtinCode]: code.version for code in model.operatorCodes}
    assert versions.keys() == OPERATORS
    assert set(versions.values()) == {1}
    shapes = [tensor.shape for tensor in model.subgraphs[0].tensors if tensor.shape is not None]
    assert max(len(shape) for shape in shapes) == 4
    assert min(size for shape in shapes for size in shape) > 0


def test_the_card_says_what_the_model_is(model_path, random_weights):
    card = read_card(model_path)
    assert card["weights"] == "random"
    assert card["weights_sha256"] == weights_sha256(random_weights)
    assert (card["variant"], card["window"], card["appearance"]) == ("float32", 10, "window-mean")
    shapes = {
        detail["name"]: list(detail["shape"])
        for detail in interpreter_of(model_path).get_input_details()
    }
    for name, shape in card["inputs"].items():
        assert [found for key, found in shapes.items() if name in key] == [shape]


def test_the_same_weights_give_the_same_bytes(random_weights, random_tflite):
    copied = {name: tensor.copy() for name, tensor in reversed(list(random_weights.items()))}
    assert convert(copied) == random_tflite


def test_an_unknown_variant_is_told_the_known_ones(random_weights):
    with pytest.raises(UserError, match=r"'int3'.*float32"):
        convert(random_weights, "int3")


def test_a_model_is_written_whole_or_not_at_all(model_path, random_weights, random_tflite):
    card = model_card(random_weights, "random")
    before = model_path.read_bytes()
    (model_path.parent / "taken").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        write_model(model_path.parent / "taken", random_tflite, card)
    with pytest.raises(UserError, match="cannot be written"):
        write_model(model_path.parent / "absent" / "model.tflite", random_tflite, card)
    assert sorted(entry.name for entry in model_path.parent.iterdir()) == [model_path.name, "taken"]
    assert model_path.read_bytes() == before
