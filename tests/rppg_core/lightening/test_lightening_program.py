import json
import subprocess
import sys

import pytest

from rppg_core.lightening.weights import SHAPES
from rppg_core.model_card import read_card

WITHOUT_TENSORFLOW = (
    "import runpy, sys; sys.modules['tensorflow'] = None; "
    "runpy.run_module('rppg_core.lightening', run_name='__main__', alter_sys=True)"
)


def run(*arguments, python=("-m", "rppg_core.lightening")):
    return subprocess.run(
        [sys.executable, *python, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def arguments(folder, out, variant="float32"):
    return ["--weights", folder, "--weights-name", "mine", "--variant", variant, "--out", out]


@pytest.fixture
def folder(tmp_path, random_weights):
    entries = [{"name": n, "shape": list(s), "dtype": "float32"} for n, s in SHAPES.items()]
    manifest = {"weightsManifest": [{"paths": ["weights.bin"], "weights": entries}]}
    (tmp_path / "model.json").write_text(json.dumps(manifest))
    stored = b"".join(random_weights[name].tobytes() for name in SHAPES)
    (tmp_path / "weights.bin").write_bytes(stored)
    return tmp_path


def fails_with_one_line(result, expected):
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert expected in result.stderr


@pytest.mark.lightening
@pytest.mark.board
def test_a_model_and_not_a_word_of_tensorflow(folder):
    pytest.importorskip("tensorflow", reason="making models needs TensorFlow")
    out = folder / "mine.tflite"
    result = run(*arguments(folder, out))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{out}: {out.stat().st_size} bytes\n"
    assert read_card(out)["weights"] == "mine"
    again = folder / "again.tflite"
    assert run(*arguments(folder, again)).returncode == 0
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.lightening
@pytest.mark.board
def test_unknown_variant(folder):
    pytest.importorskip("tensorflow", reason="making models needs TensorFlow")
    result = run(*arguments(folder, folder / "mine.tflite", variant="int3"))
    fails_with_one_line(result, "unknown variant 'int3'")
    assert not (folder / "mine.tflite").exists()


@pytest.mark.board
def test_without_tensorflow_it_says_how_to_get_it(folder):
    result = run(*arguments(folder, folder / "mine.tflite"), python=("-c", WITHOUT_TENSORFLOW))
    fails_with_one_line(result, "pip install -e '.[lightening]'")


@pytest.mark.board
def test_wrong_weights_and_wrong_out_are_found_without_tensorflow(folder):
    python = ("-c", WITHOUT_TENSORFLOW)
    result = run(*arguments(folder, folder / "absent" / "mine.tflite"), python=python)
    fails_with_one_line(result, "there is no folder")
    (folder / "weights.bin").write_bytes(b"short")
    result = run(*arguments(folder, folder / "mine.tflite"), python=python)
    fails_with_one_line(result, "conv2d/kernel needs bytes 0 to 3456")
