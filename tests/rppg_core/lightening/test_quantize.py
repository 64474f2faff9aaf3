"""`rppg quantize`, from each format of weights to a model that runs."""

import h5py
import numpy as np
import pytest
from test_weights_hdf5 import layers_of, write

pytest.importorskip("tensorflow", reason="making models needs TensorFlow (extra 'lightening')")

from rppg_core.cli import main
from rppg_core.lightening.__main__ import main as convert_main
from rppg_core.lightening.calibration import Calibration, save_calibration
from rppg_core.lightening.weights import load_weights, save_npz, weights_sha256
from rppg_core.tscan import TSCAN

pytestmark = [pytest.mark.lightening, pytest.mark.board]

WINDOW = 9


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("quantize")


@pytest.fixture(scope="module")
def mtts_can(folder, random_weights):
    """Weights with two heads."""
    breath = {name: value + np.float32(0.01) for name, value in random_weights.items()}
    return write(folder / "mtts_can.hdf5", layers_of(random_weights, breath))


@pytest.fixture(scope="module")
def calibration(folder):
    windows = np.random.default_rng(1).normal(size=(2, 4, WINDOW, 36, 36, 3)).astype(np.float32)
    save_calibration(folder / "c.npz", Calibration(*windows, {"dataset": "noise"}))
    return folder / "c.npz"


def quantize(weights, variants, out, *more):
    given = ["quantize", "--weights", str(weights), "--variant", variants, "--out", str(out)]
    return main([*given, "--window", str(WINDOW), *map(str, more)])


def converted(weights, variant, out, *more):
    """The same in this process, which has TensorFlow loaded already."""
    given = ["--weights", weights, "--weights-name", "mine", "--variant", variant, "--out", out]
    assert convert_main([*map(str, given), "--window", str(WINDOW), *map(str, more)]) == 0
    return TSCAN(out)


def test_several_forms_of_another_window_run(mtts_can, calibration, folder, pulsing_clip, capsys):
    variants = "float16,int8"
    assert quantize(mtts_can, variants, folder / "out", "--calibration", calibration) == 0
    said = capsys.readouterr().out
    names = sorted(path.name for path in (folder / "out").iterdir())
    assert len(names) == 3
    assert all(name in said for name in names)
    digest = weights_sha256(load_weights(mtts_can))
    for name in names:
        if "appearance" in name:
            continue
        model = TSCAN(folder / "out" / name)
        assert (model.window, model.card["window"]) == (WINDOW, WINDOW)
        assert (model.card["signal"], model.card["weights_sha256"]) == ("pulse", digest)
        run = ["run", str(pulsing_clip), "--detector", "haar", "--model", str(model.path)]
        assert main(run) == 0
        assert "heart rate" in capsys.readouterr().out


def test_the_same_values_make_the_same_model_whatever_file_they_are_in(folder, random_weights):
    halves = {n: v.astype(np.float16).astype(np.float32) for n, v in random_weights.items()}
    (folder / "a").mkdir()
    write(folder / "a" / "same.hdf5", layers_of(halves))
    save_npz(folder / "a" / "same.npz", halves)
    made = []
    for ending in ("hdf5", "npz"):
        out = folder / f"{ending}.tflite"
        converted(folder / "a" / f"same.{ending}", "float16", out)
        made.append(out.read_bytes())
    assert made[0] == made[1]


def test_respiration_is_made_named_and_never_taken_for_a_heart_rate(
    mtts_can, calibration, folder, pulsing_clip, capsys
):
    inputs = np.random.default_rng(2).normal(size=(2, WINDOW, 36, 36, 3)).astype(np.float32)
    more = ["--head", "respiration", "--calibration", calibration]
    breath = converted(mtts_can, "float32", folder / "breath.tflite", *more)
    eight = converted(mtts_can, "int8", folder / "breath.motion.tflite", *more)
    pulse = converted(mtts_can, "float32", folder / "pulse.tflite")
    assert np.abs(breath.predict(*inputs) - pulse.predict(*inputs)).max() > 1e-3
    assert (pulse.card["signal"], breath.card["signal"]) == ("pulse", "respiration")
    capsys.readouterr()
    for model in (breath, eight):
        path = str(model.path)
        assert main(["run", str(pulsing_clip), "--model", path, "--detector", "haar"]) == 2
        printed, error = capsys.readouterr()
        assert printed == ""
        assert error.count("\n") == 1
        assert "gives respiration, no pulse" in error


def test_weights_of_rppg_toolbox_keep_an_appearance_image_a_frame(folder, calibration, need):
    try:
        import torch
    except ModuleNotFoundError:
        need("PyTorch is not installed: pip install torch==2.13.0")
    from tscan_torch import TorchTscan

    torch.manual_seed(4)
    network = TorchTscan(WINDOW).eval()
    torch.save(torch.nn.DataParallel(network).state_dict(), folder / "toolbox.pth")
    model = converted(folder / "toolbox.pth", "float32", folder / "toolbox.tflite")
    assert model.card["appearance"] == model.card["trained_appearance"] == "per-frame"
    rng = np.random.default_rng(2)
    inputs = [rng.normal(size=(WINDOW, 36, 36, 3)).astype(np.float32) for _ in range(2)]
    with torch.no_grad():
        pictures = [torch.from_numpy(x.transpose(0, 3, 1, 2).copy()) for x in inputs]
        expected = network(*pictures).numpy()[:, 0]
    np.testing.assert_allclose(model.predict(*inputs), expected, atol=1e-5)
    more = ["--calibration", calibration]
    card = converted(folder / "toolbox.pth", "int8", folder / "t.motion.tflite", *more).card
    assert (card["appearance"], card["trained_appearance"]) == ("window-mean", "per-frame")


def test_mistakes_are_one_line(mtts_can, folder, random_weights, capsys):
    one_head = write(folder / "one.h5", layers_of(random_weights))
    with h5py.File(folder / "wrong.h5", "w") as file:
        file["conv2d/conv2d/kernel:0"] = np.zeros((3, 3))
    capsys.readouterr()
    for weights, variants, more, reason in [
        (mtts_can, "float32,int3", [], "unknown variant 'int3'"),
        (one_head, "float32", ["--head", "respiration"], "has no respiration head"),
        (folder / "wrong.h5", "float32", [], "has 1 conv2d and 0 dense layers"),
    ]:
        assert quantize(weights, variants, folder / "none", *more) == 2
        printed, error = capsys.readouterr()
        assert printed == ""
        assert error.count("\n") == 1
        assert reason in error
