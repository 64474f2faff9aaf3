import h5py
import numpy as np
import pytest

from rppg_core.errors import ModelError, UserError
from rppg_core.lightening.weights import SHAPES, load_weights, weights_sha256
from rppg_core.model_card import PULSE, RESPIRATION

CONVOLUTIONS = [name[:-7] for name in SHAPES if name.endswith("/kernel")][:10]


def layers_of(weights, other=None, first=0):
    """Layers by name as MTTS-CAN's process names them, `first` convolutions built before."""
    numbered = [f"conv2d_{n}" if n else "conv2d" for n in range(first, first + 10)]
    layers = {
        given: (weights[f"{own}/kernel"], weights[f"{own}/bias"])
        for given, own in zip(numbered, CONVOLUTIONS, strict=True)
    }
    ends = [("dense", "dense", weights), ("dense_1", "dense_1", weights)]
    if other is not None:
        ends = [("dense", "dense", weights), ("output_1", "dense_1", weights)]
        ends += [("dense_1", "dense", other), ("output_2", "dense_1", other)]
    for given, own, source in ends:
        layers[given] = (source[f"{own}/kernel"], source[f"{own}/bias"])
    return layers


def write(path, layers, group=None, dtype="<f4"):
    with h5py.File(path, "w") as file:
        root = file.create_group(group) if group else file
        for name in ["input_1", "tsm", *layers]:
            root.create_group(name)
        for name, parts in layers.items():
            for part, value in zip(("kernel", "bias"), parts, strict=True):
                root.create_dataset(f"{name}/{name}/{part}:0", data=value.astype(dtype))
        if group:
            moment = file.create_group("optimizer_weights/Adadelta/conv2d/kernel")
            moment.create_dataset("accum_grad:0", data=np.zeros((3, 3, 3, 32)))
    return path


@pytest.fixture(scope="module")
def other_weights(random_weights):
    rng = np.random.default_rng(9)
    return {n: rng.normal(size=v.shape).astype(np.float32) for n, v in random_weights.items()}


def one_line(path, *arguments, error=ModelError):
    with pytest.raises(error) as caught:
        load_weights(path, *arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("first", [0, 1, 7, 95])
@pytest.mark.parametrize("group", [None, "model_weights"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8"])
def test_one_head(tmp_path, random_weights, first, group, dtype):
    path = write(tmp_path / "w.hdf5", layers_of(random_weights, first=first), group, dtype)
    weights = load_weights(path)
    assert weights_sha256(weights) == weights_sha256(random_weights)
    assert (weights.signal, weights.per_frame) == (PULSE, False)
    assert "no respiration head" in one_line(path, RESPIRATION, error=UserError)


def test_two_heads(tmp_path, random_weights, other_weights):
    path = write(tmp_path / "w.h5", layers_of(random_weights, other_weights))
    pulse, breath = load_weights(path), load_weights(path, RESPIRATION)
    assert weights_sha256(pulse) == weights_sha256(random_weights)
    assert (pulse.signal, breath.signal) == (PULSE, RESPIRATION)
    for name in SHAPES:
        expected = other_weights if name.startswith("dense") else random_weights
        np.testing.assert_array_equal(breath[name], expected[name])


@pytest.mark.lightening
@pytest.mark.parametrize("first", [0, 2])
def test_a_file_that_keras_wrote(tmp_path, random_weights, other_weights, first):
    keras = pytest.importorskip("keras", reason="needs TensorFlow")
    layers = keras.layers
    keras.backend.clear_session()
    for _ in range(first):
        layers.Conv2D(1, 1)
    # The order MTTS-CAN builds its layers in: motion, appearance, mask, the same again, heads.
    made, sizes = [], [(32, 3), (32, 3), (32, 3), (32, 3), (1, 1)]
    sizes += [(64, 3), (64, 3), (64, 3), (64, 3), (1, 1)]
    made = [layers.Conv2D(filters, side) for filters, side in sizes]
    heads = [layers.Dense(128), layers.Dense(1, name="output_1")]
    heads += [layers.Dense(128), layers.Dense(1, name="output_2")]
    inputs, outputs = [], []
    for layer, own in zip([*made, *heads], [*CONVOLUTIONS, *["dense", "dense_1"] * 2], strict=True):
        shape = SHAPES[f"{own}/kernel"]
        inputs.append(keras.Input((8, 8, shape[2]) if len(shape) == 4 else shape[:1]))
        outputs.append(layer(inputs[-1]))
        source = other_weights if layer in heads[2:] else random_weights
        layer.set_weights([source[f"{own}/kernel"], source[f"{own}/bias"]])
    keras.Model(inputs[::-1], outputs[::-1]).save(tmp_path / "w.h5")  # its order says nothing
    assert weights_sha256(load_weights(tmp_path / "w.h5")) == weights_sha256(random_weights)
    breath = load_weights(tmp_path / "w.h5", RESPIRATION)
    np.testing.assert_array_equal(breath["dense/kernel"], other_weights["dense/kernel"])


@pytest.mark.parametrize(
    ("layer", "parts", "said"),
    [
        (
            "conv2d_5",
            ((3, 3, 32, 32), 64),
            "conv2d_5/kernel is [3, 3, 32, 32] float32, TS-CAN's is",
        ),
        ("dense", ((16384, 128), 128), "dense/kernel is [16384, 128] float32, TS-CAN's is [3136"),
        ("conv2d_9", None, "has 9 conv2d and 2 dense layers"),
        ("dense_2", ((128, 1), 1), "has 10 conv2d and 3 dense layers"),
        ("conv3d", ((3, 3, 3, 3, 32), 32), "has 10 conv2d"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, random_weights, layer, parts, said):
    layers = layers_of(random_weights)
    if parts is None:
        del layers[layer]
    else:
        kernel, bias = parts
        layers[layer] = (np.zeros(kernel, np.float32), np.zeros(bias, np.float32))
    path = write(tmp_path / "w.hdf5", layers)
    if layer == "conv3d":
        del layers["conv2d_8"]
        write(path, layers)
        said = "has 9 conv2d and 2 dense layers, and conv3d"
    assert said in one_line(path)


def test_four_dense_layers_that_are_no_two_heads(tmp_path, random_weights, other_weights):
    layers = layers_of(random_weights, other_weights)
    layers["dense_2"] = layers.pop("output_2")
    assert "output_1 and output_2" in one_line(write(tmp_path / "w.hdf5", layers))


def test_a_layer_without_bias_and_values_that_are_not_finite(tmp_path, random_weights):
    path = write(tmp_path / "w.hdf5", layers_of(random_weights))
    with h5py.File(path, "a") as file:
        file["conv2d_3/conv2d_3/bias:0"][5] = np.inf
    assert "conv2d_3/bias holds values that are not finite" in one_line(path)
    with h5py.File(path, "a") as file:
        del file["conv2d_3/conv2d_3/bias:0"]
    assert "conv2d_3 has no bias" in one_line(path)


def test_files_that_are_none(tmp_path, random_weights):
    assert "no such weights file" in one_line(tmp_path / "none.hdf5")
    path = write(tmp_path / "w.hdf5", layers_of(random_weights))
    for content in (b"", b"text", path.read_bytes()[:5000]):
        path.write_bytes(content)
        assert "not an HDF5 file of weights" in one_line(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/conv2d/vars/0", data=np.zeros(3))
    assert "Keras 3" in one_line(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("conv2d/kernel:0", data=[b"text"])
    assert "has 1 conv2d" in one_line(path)


def test_an_unknown_head(tmp_path):
    assert "there is pulse, respiration" in one_line(tmp_path, "breath", error=UserError)
