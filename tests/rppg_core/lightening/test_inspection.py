import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="making models needs TensorFlow (extra 'lightening')")

from rppg_core.cli import main
from rppg_core.errors import ModelError
from rppg_core.lightening import integer
from rppg_core.lightening.calibration import Calibration
from rppg_core.lightening.convert import convert, model_card, write_model
from rppg_core.lightening.inspection import inspect_model, report, to_json
from rppg_core.lightening.op_versions import smallest_runtime

pytestmark = pytest.mark.lightening

WINDOW = 2  # short, so that conversion is quick
# Where TFLite puts each tensor that is written, scratch of its kernels included: the interpreter
# itself is asked, in a process of its own, since such tensors are not meant to be looked at.
PLACED = """
import sys
from ai_edge_litert.interpreter import Interpreter, OpResolverType
reference = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
interpreter = Interpreter(sys.argv[1], experimental_op_resolver_type=reference)
interpreter.allocate_tensors()
constant, end, total = set(map(int, sys.argv[2].split(","))), 0, 0
places = []
for tensor in interpreter.get_tensor_details():
    if tensor["index"] not in constant:
        array = interpreter.tensor(tensor["index"])()
        places.append((array.__array_interface__["data"][0], array.nbytes))
for start, size in sorted(places):
    total += max(0, start + size - max(start, end))
    end = max(end, start + size)
print(total)
"""


@pytest.fixture(scope="module")
def pair(random_weights, tmp_path_factory):
    rng = np.random.default_rng(1)
    windows = rng.normal(size=(2, 3, WINDOW, 36, 36, 3)).astype(np.float32)
    calibration = Calibration(*windows, {"dataset": "noise", "recordings": {}})
    path = tmp_path_factory.mktemp("int8") / "m.motion.tflite"
    models = integer.convert_halves(random_weights, calibration)
    integer.write_halves(path, models, random_weights, "random", "int8", calibration)
    return path, path.with_name("m.appearance.tflite")


@pytest.fixture(scope="module")
def whole(random_weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("float") / "m.tflite"
    card = model_card(random_weights, "random", window=WINDOW)
    write_model(path, convert(random_weights, window=WINDOW), card)
    return path


def constants(path):
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    tensors = model.subgraphs[0].tensors
    held = [i for i, one in enumerate(tensors) if model.buffers[one.buffer].data is not None]
    return ",".join(map(str, held))


@pytest.mark.board
def test_the_arena_is_what_the_interpreter_takes(pair):
    for path in pair:
        command = [sys.executable, "-c", PLACED, str(path), constants(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        memory = inspect_model(path).memory
        assert memory.arena_bytes == pytest.approx(int(done.stdout), rel=0.02)
        assert memory.tensors_bytes < memory.arena_bytes
        assert not memory.at_least


def test_tensors_alive_at_once_are_counted_by_hand(whole):
    # The first convolution of the motion branch over two frames: its input and output, 36x36 of 3
    # and 32 channels; both inputs (2 and 1 frames of 36x36x3) stay, masks of 34x34 and 15x15 wait.
    one = 36 * 36 * 4
    memory = inspect_model(whole).memory
    assert memory.arena_bytes == memory.tensors_bytes
    assert memory.at_least
    assert "arena at least" in report(inspect_model(whole))
    assert memory.tensors_bytes >= WINDOW * one * (3 + 32) + one * 3
    assert memory.tensors_bytes <= WINDOW * one * (3 + 32 + 32) + one * 3 + 4 * (34**2 + 15**2)


def test_all_is_in_the_json_and_in_the_text(pair, whole, capsys):
    motion, appearance = pair
    assert main(["inspect", "--json", str(motion), str(appearance), str(whole)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == [json.loads(json.dumps(to_json(inspect_model(p)))) for p in (*pair, whole)]
    for one in found[:2]:
        assert one["mappable_percent"] == 100
        assert one["min_runtime"] == "1.14"
        assert one["unplaced_operators"] == []
        assert one["card"]["variant"] == "int8"
    by_hand = 36**2 * 54 * 32 + 34**2 * 288 * 32 + 17**2 * 64 * (2 + 288) + 15**2 * 576 * 64
    assert found[1]["macs"] == by_hand  # appearance: convolutions, and a pooling of 4 products
    assert found[2]["mappable_percent"] < 10
    assert {op["refused"] for op in found[2]["operators"]} >= {"computes in float32"}
    assert main(["inspect", str(motion), str(appearance)]) == 0
    text = capsys.readouterr().out
    for part in ("arena", "needs TFLite 1.14", "int8, motion half of random", "in all: ", "100 %"):
        assert part in text


def test_a_model_that_is_not_its_cards_is_refused_and_one_without_is_not(whole, tmp_path):
    data = bytearray(whole.read_bytes())
    end = data.rindex(b"PK\x03\x04")
    (tmp_path / "bare.tflite").write_bytes(data[:end])
    assert inspect_model(tmp_path / "bare.tflite").card is None
    assert "float32 of random" in report(inspect_model(whole))
    data[end // 2] ^= 1
    (tmp_path / "altered.tflite").write_bytes(data)
    with pytest.raises(ModelError, match="altered after it was made"):
        inspect_model(tmp_path / "altered.tflite")


@pytest.mark.parametrize(
    ("operators", "release", "unknown"),
    [
        ([], "1.0", ()),
        ([("CONV_2D", 3), ("TANH", 2)], "1.14", ()),
        ([("CONV_2D", 5), ("FULLY_CONNECTED", 9)], "2.4", ()),
        ([("RSQRT", 1), ("RESHAPE", 1)], "1.10", ()),
        ([("TANH", 2), ("FULLY_CONNECTED", 12)], "1.14", ("FULLY_CONNECTED version 12",)),
        ([("edgetpu-custom-op", 1)], "1.0", ("edgetpu-custom-op version 1",)),
    ],
)
def test_the_first_release_that_has_all_operators(operators, release, unknown):
    assert smallest_runtime(operators) == (release, unknown)
