import json
import math

import numpy as np
import pytest

from rppg_core.errors import ModelError
from rppg_core.lightening.weights import (
    SHAPES,
    load_npz,
    load_tfjs,
    load_weights,
    save_npz,
    weights_sha256,
)

PUBLISHED_FLOATS = 532_899
SHARD = "group1-shard1of2.bin"


@pytest.fixture
def folder(tmp_path, random_weights):
    """Random TS-CAN weights in TensorFlow.js layers format, in two shards cut inside a tensor."""
    entries = [
        {"name": name, "shape": list(tensor.shape), "dtype": "float32"}
        for name, tensor in random_weights.items()
    ]
    stored = b"".join(tensor.astype("<f4").tobytes() for tensor in random_weights.values())
    (tmp_path / SHARD).write_bytes(stored[:1_000_001])
    (tmp_path / "group1-shard2of2.bin").write_bytes(stored[1_000_001:])
    manifest = [{"paths": [SHARD, "group1-shard2of2.bin"], "weights": entries}]
    (tmp_path / "model.json").write_text(json.dumps({"weightsManifest": manifest}))
    return tmp_path


def change(folder, edit):
    """Apply `edit` to the group of the folder's model.json."""
    path = folder / "model.json"
    document = json.loads(path.read_text())
    edit(document["weightsManifest"][0])
    path.write_text(json.dumps(document))


def one_line(folder):
    with pytest.raises(ModelError) as caught:
        load_tfjs(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_published_weights(published_folder, published_weights):
    assert sum(tensor.size for tensor in published_weights.values()) == PUBLISHED_FLOATS
    assert load_tfjs(published_folder / "model.json").keys() == SHAPES.keys()
    assert {name: tensor.shape for name, tensor in published_weights.items()} == SHAPES


def test_tensors_come_back(folder, random_weights):
    loaded = load_tfjs(folder)
    assert loaded.keys() == random_weights.keys()
    for name, tensor in random_weights.items():
        np.testing.assert_array_equal(loaded[name], tensor)
    assert weights_sha256(loaded) == weights_sha256(random_weights)


def test_hash_sees_values_names_and_shapes_but_not_order(random_weights):
    known = weights_sha256(random_weights)
    backwards = dict(reversed(list(random_weights.items())))
    assert weights_sha256(backwards) == known
    swapped = dict(random_weights)
    swapped["conv2d/kernel"], swapped["conv2d_2/kernel"] = (
        swapped["conv2d_2/kernel"],
        swapped["conv2d/kernel"],
    )
    assert weights_sha256(swapped) != known
    reshaped = {**random_weights, "dense_1/kernel": random_weights["dense_1/kernel"].reshape(1, -1)}
    assert weights_sha256(reshaped) != known
    nudged = random_weights["dense_1/bias"] + np.float32(1e-6)
    assert weights_sha256({**random_weights, "dense_1/bias": nudged}) != known


def test_missing_folder_and_missing_shard(folder):
    assert "no such weights file" in one_line(folder / "elsewhere")
    (folder / SHARD).unlink()
    assert SHARD in one_line(folder)


@pytest.mark.parametrize("shard", ["", "absent/part.bin", "null\0", "line\nbreak"])
def test_shard_names_that_no_file_has(folder, shard):
    change(folder, lambda group: group.update(paths=[shard]))
    one_line(folder)


def test_truncated_shard_names_the_tensor_that_is_cut(folder, random_weights):
    (folder / "group1-shard2of2.bin").write_bytes(b"")
    ends = np.cumsum([4 * tensor.size for tensor in random_weights.values()])
    cut = list(random_weights)[np.searchsorted(ends, 1_000_001)]
    assert f"{cut} needs bytes" in one_line(folder)


def test_left_over_bytes(folder):
    with (folder / "group1-shard2of2.bin").open("ab") as shard:
        shard.write(b"1234")
    assert "4 bytes" in one_line(folder)


def test_a_wrong_tensor_is_named(folder):
    change(folder, lambda group: group["weights"][3].update(shape=[3, 3, 16, 64]))
    name = list(SHAPES)[3]
    message = one_line(folder)
    assert name in message
    assert "[3, 3, 16, 64]" in message
    assert str(list(SHAPES[name])) in message


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ({"name": "conv3d/kernel\n"}, "'conv3d/kernel\\n' is no tensor of TS-CAN"),
        ({"dtype": "float16"}, "conv2d/kernel is not stored as plain float32"),
        ({"quantization": {"dtype": "uint8"}}, "conv2d/kernel is not stored as plain float32"),
        ({"shape": [2**62, 2**62]}, "conv2d/kernel has shape"),
        ({"shape": None}, "TensorFlow.js layers format"),
    ],
)
def test_entries_that_do_not_fit(folder, edit, expected):
    change(folder, lambda group: group["weights"][0].update(edit))
    assert expected in one_line(folder)


def test_a_tensor_left_out(folder):
    # the last in its shard, and its bytes with it: every other tensor fits
    last = list(SHAPES)[-1]
    change(folder, lambda group: group["weights"].pop())
    shard = folder / "group1-shard2of2.bin"
    shard.write_bytes(shard.read_bytes()[: -4 * math.prod(SHAPES[last])])
    assert f"{last} of TS-CAN missing" in one_line(folder)


def test_a_tensor_listed_twice(folder):
    change(folder, lambda group: group["weights"].append(group["weights"][-1]))
    last = list(SHAPES)[-1]
    shard = folder / "group1-shard2of2.bin"
    shard.write_bytes(shard.read_bytes() + bytes(4 * math.prod(SHAPES[last])))
    assert "twice" in one_line(folder)


def test_values_that_are_not_finite(folder):
    shard = folder / SHARD
    shard.write_bytes(np.float32(np.nan).tobytes() + shard.read_bytes()[4:])
    assert "conv2d/kernel holds values that are not finite" in one_line(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"weightsManifest": 3}',
        '{"weightsManifest": [{}]}',
        "[" * 9999,
    ],
)
def test_json_garbage(folder, text):
    (folder / "model.json").write_text(text)
    assert "TensorFlow.js layers format" in one_line(folder)


def test_bytes_that_are_no_text(folder):
    (folder / "model.json").write_bytes(b"\xff\xfe\x00\x80")
    assert "TensorFlow.js layers format" in one_line(folder)


class TestNpz:
    """The project's own weights files."""

    @pytest.fixture
    def path(self, tmp_path, random_weights):
        save_npz(tmp_path / "mine.npz", random_weights)
        return tmp_path / "mine.npz"

    def test_tensors_come_back_as_half_precision_has_them(self, path, random_weights, folder):
        loaded = load_weights(path)
        assert loaded.keys() == SHAPES.keys() == load_weights(folder).keys()
        for name, tensor in random_weights.items():
            np.testing.assert_array_equal(loaded[name], tensor.astype(np.float16))
            assert loaded[name].dtype == np.float32
        assert path.stat().st_size < 1_100_000
        assert list(path.parent.glob(".*")) == []

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"dense/bias": None}, "dense/bias is missing"),
            ({"extra": np.zeros(1)}, "extra is missing, or no tensor"),
            ({"dense/bias": np.zeros(127, np.float16)}, r"dense/bias is \[127\] float16"),
            ({"dense/bias": np.zeros(128, np.int16)}, r"dense/bias is \[128\] int16"),
            ({"dense/bias": np.full(128, np.nan)}, "dense/bias holds values that are not finite"),
        ],
    )
    def test_what_does_not_fit_is_named(self, path, change, said):
        with np.load(path) as stored:
            tensors = {**stored, **change}
        np.savez(path, **{name: value for name, value in tensors.items() if value is not None})
        with pytest.raises(ModelError, match=said) as caught:
            load_npz(path)
        assert "\n" not in str(caught.value)

    def test_files_that_are_none_are_refused(self, tmp_path, path):
        with pytest.raises(ModelError, match="no such weights file"):
            load_npz(tmp_path / "none.npz")
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(ModelError, match=r"not an \.npz file of weights"):
            load_npz(path)
