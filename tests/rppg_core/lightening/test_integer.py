import shutil

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="making models needs TensorFlow (extra 'lightening')")

from rppg_core.errors import ModelError, UserError
from rppg_core.lightening import integer
from rppg_core.lightening.calibration import Calibration, load_calibration, save_calibration
from rppg_core.lightening.convert import convert, model_card, write_model
from rppg_core.lightening.halves import appearance_features, mask_layers, tall_motion
from rppg_core.lightening.inspection import inspect_model, report
from rppg_core.lightening.original import published_tscan
from rppg_core.lightening.ranges import TANH_LIMIT
from rppg_core.lightening.tscan_keras import tscan
from rppg_core.model_card import read_card
from rppg_core.tscan import TSCAN
from rppg_core.tscan_int8 import FINER, attention, shifted, tall_picture

pytestmark = pytest.mark.lightening

WINDOW = 4  # short, so that conversion is quick
LIMIT_BYTES = 600_000


def windows(count, seed):
    rng = np.random.default_rng(seed)
    shape = (count, WINDOW, 36, 36, 3)
    return rng.normal(size=shape).astype(np.float32), rng.normal(size=shape).astype(np.float32)


def in_parts(frames, fine):
    both = np.stack([(1 - fine) * frames, FINER * fine * frames], axis=-1)
    return both.reshape(*frames.shape[:3], 6)


@pytest.fixture(scope="module")
def calibration():
    return Calibration(*windows(4, 1), {"dataset": "noise", "recordings": {"a": "0" * 64}})


@pytest.fixture(scope="module")
def models(random_weights, calibration):
    return integer.convert_halves(random_weights, calibration)


@pytest.fixture
def motion_file(tmp_path, models, random_weights, calibration):
    path = tmp_path / "m-int8.motion.tflite"
    integer.write_halves(path, models, random_weights, "random", "int8", calibration)
    return path


def beside(path):
    return path.with_name(path.name.replace(".motion.", ".appearance."))


def test_in_floating_point_the_halves_are_the_whole(random_weights):
    motion, appearance = (part[0] for part in windows(1, 2))
    seen = appearance.mean(axis=0, keepdims=True)
    # All of an input in its coarse part, or a third of it in the fine one: it is the same input.
    features = appearance_features(random_weights)([in_parts(seen, 1 / 3)])
    masks = [
        np.repeat(attention(np.asarray(one), *layer), WINDOW, axis=0)
        for one, layer in zip(features, mask_layers(random_weights), strict=True)
    ]
    moved = in_parts(shifted(motion), 0)
    tall = [
        tall_picture(part, rows) for part, rows in zip([moved, *masks], (40, 40, 20), strict=True)
    ]
    hidden = np.asarray(tall_motion(random_weights, WINDOW)(tall)).reshape(WINDOW, -1)
    derivative = hidden @ random_weights["dense_1/kernel"] + random_weights["dense_1/bias"]
    expected = np.asarray(tscan(random_weights, WINDOW)([motion, seen]))
    assert np.abs(derivative - expected).max() < 1e-4


def test_the_published_graph_is_the_same_function(random_weights):
    motion, appearance = (part[0] for part in windows(1, 3))
    inputs = [motion, appearance]
    ours = tscan(random_weights, WINDOW, appearance_per_frame=True)(inputs)
    theirs = published_tscan(random_weights, WINDOW)(inputs)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    twice = published_tscan(random_weights, WINDOW, 2 * WINDOW)(
        [np.tile(x, (2, 1, 1, 1)) for x in inputs]
    )
    np.testing.assert_allclose(twice, np.tile(theirs, (2, 1)), atol=1e-5)


def test_a_pair_of_files_is_one_model(motion_file, random_weights, calibration, tmp_path):
    whole = tmp_path / "float32.tflite"
    write_model(
        whole,
        convert(random_weights, window=WINDOW),
        model_card(random_weights, "random", window=WINDOW),
    )
    eight, full = TSCAN(motion_file), TSCAN(whole)
    assert eight.window == WINDOW
    motion, appearance = windows(20, 4)
    pairs = list(zip(motion, appearance, strict=True))
    values = np.concatenate([eight.predict(*pair) for pair in pairs])
    expected = np.concatenate([full.predict(*pair) for pair in pairs])
    assert values.dtype == np.float32
    assert np.corrcoef(values, expected)[0, 1] > 0.99
    assert sum(path.stat().st_size for path in (motion_file, beside(motion_file))) < LIMIT_BYTES
    np.testing.assert_array_equal(
        values[:WINDOW], TSCAN(motion_file, appearance_model=beside(motion_file)).predict(*pairs[0])
    )


def test_the_cards_tell_the_halves_and_their_calibration(motion_file, calibration):
    motion, appearance = read_card(motion_file), read_card(beside(motion_file))
    assert (motion["form"], appearance["form"]) == ("motion", "appearance")
    for card in (motion, appearance):
        assert (card["variant"], card["window"]) == ("int8", WINDOW)
        assert card["calibration"] == {**calibration.about, "sha256": calibration.sha256}


def test_halves_that_do_not_belong_together_are_refused(
    motion_file, models, random_weights, calibration, tmp_path
):
    other = tmp_path / "other.motion.tflite"
    integer.write_halves(other, models, random_weights, "others", "int8", calibration)
    with pytest.raises(ModelError, match="not the appearance half that m-int8"):
        TSCAN(motion_file, appearance_model=beside(other))
    with pytest.raises(ModelError, match="name its motion half"):
        TSCAN(beside(motion_file))
    with pytest.raises(ModelError, match="not an appearance half"):
        TSCAN(motion_file, appearance_model=motion_file)
    shutil.copy(motion_file, tmp_path / "renamed.tflite")
    with pytest.raises(ModelError, match=r"NAME\.motion\.tflite"):
        TSCAN(tmp_path / "renamed.tflite")
    beside(motion_file).unlink()
    with pytest.raises(ModelError, match="not beside it"):
        TSCAN(motion_file)


def test_the_same_inputs_give_the_same_bytes(models, random_weights, calibration):
    assert integer.convert_halves(random_weights, calibration) == models


def test_an_edge_tpu_could_run_all_of_int8_and_little_of_the_published_graph(
    motion_file, random_weights, calibration, tmp_path
):
    for path in (motion_file, beside(motion_file)):
        found = inspect_model(path)
        assert found.mappable_percent == 100, report(found)
        assert max(one.version for one in found.operators) <= 3
    naive = tmp_path / "naive.tflite"
    naive.write_bytes(integer.convert_naive(random_weights, calibration))
    refused = {one.name: one.refused for one in inspect_model(naive).operators if one.refused}
    assert refused["DIV"] == "unknown to it"
    assert refused["CONV_2D"] == "more than 3 dimensions"


def test_inputs_of_a_tanh_are_narrow(models):
    from ai_edge_litert import schema_py_generated as schema

    for tflite in models:
        root = schema.ModelT.InitFromPackedBuf(tflite, 0)
        graph = root.subgraphs[0]
        scales = [
            graph.tensors[one.inputs[0]].quantization.scale[0]
            for one in graph.operators
            if root.operatorCodes[one.opcodeIndex].builtinCode == schema.BuiltinOperator.TANH
        ]
        assert scales
        assert max(scales) <= 2 * TANH_LIMIT / 255 + 1e-6


def test_biases_are_in_the_unit_they_are_added_in_and_moves_keep_values(models):
    from ai_edge_litert import schema_py_generated as schema

    moved = 0
    for tflite in models:
        root = schema.ModelT.InitFromPackedBuf(tflite, 0)
        graph = root.subgraphs[0]
        for one in graph.operators:
            name = root.operatorCodes[one.opcodeIndex].builtinCode
            tensors = [graph.tensors[i].quantization for i in [*one.inputs, *one.outputs] if i >= 0]
            if name == schema.BuiltinOperator.CONV_2D:
                unit = tensors[0].scale[0] * tensors[1].scale
                np.testing.assert_allclose(tensors[2].scale, unit, rtol=1e-5)
            if name == schema.BuiltinOperator.RESHAPE:
                moved += 1
                assert tensors[0].scale[0] == tensors[-1].scale[0]
                assert tensors[0].zeroPoint[0] == tensors[-1].zeroPoint[0]
    assert moved


def test_a_calibration_file_comes_back(tmp_path, calibration):
    path = tmp_path / "c.npz"
    save_calibration(path, calibration)
    again = load_calibration(path, WINDOW)
    assert (again.sha256, again.about) == (calibration.sha256, calibration.about)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 no zip", b"\x93NUMPY"])
def test_what_is_no_calibration_file_is_one_line(tmp_path, content, calibration):
    path = tmp_path / "c.npz"
    with pytest.raises(UserError, match="no such calibration file"):
        load_calibration(path, WINDOW)
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a calibration file"):
        load_calibration(path, WINDOW)
    save_calibration(path, calibration)
    with pytest.raises(UserError, match="a model of 9 frames"):
        load_calibration(path, 9)
