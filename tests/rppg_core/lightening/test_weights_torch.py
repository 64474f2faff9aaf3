import numpy as np
import pytest

from rppg_core.errors import ModelError, UserError
from rppg_core.lightening import weights_torch
from rppg_core.lightening.weights import SHAPES, load_weights, save_npz, weights_sha256

WINDOW = 4


@pytest.fixture(scope="module")
def torch(need):
    try:
        import torch
    except ModuleNotFoundError:
        return need(f"PyTorch is not installed: pip install {weights_torch.TORCH}")
    return torch


@pytest.fixture(scope="module")
def network(torch):
    from tscan_torch import TorchTscan

    torch.manual_seed(3)
    return TorchTscan(WINDOW).eval()


def saved(torch, folder, content):
    torch.save(content, folder / "w.pth")
    return folder / "w.pth"


def one_line(path, *arguments, error=ModelError):
    with pytest.raises(error) as caught:
        load_weights(path, *arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.lightening
def test_the_same_function_in_either_framework(torch, network, tmp_path):
    from rppg_core.lightening.tscan_keras import tscan

    weights = load_weights(saved(torch, tmp_path, network.state_dict()))
    assert weights.per_frame
    assert {name: value.shape for name, value in weights.items()} == SHAPES
    rng = np.random.default_rng(5)
    motion, appearance = rng.normal(size=(2, WINDOW, 36, 36, 3)).astype(np.float32)
    with torch.no_grad():
        expected = network(
            *(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()) for x in (motion, appearance))
        ).numpy()
    got = np.asarray(tscan(weights, WINDOW, appearance_per_frame=True)([motion, appearance]))
    assert expected.std() > 1e-3
    np.testing.assert_allclose(got, expected, atol=2e-6)


def test_parallel_training_and_checkpoints_change_nothing(torch, network, tmp_path):
    plain = load_weights(saved(torch, tmp_path, network.state_dict()))
    parallel = torch.nn.DataParallel(network).state_dict()
    assert all(name.startswith("module.") for name in parallel)
    for content in (parallel, {"state_dict": parallel, "epoch": 3}):
        again = load_weights(saved(torch, tmp_path, content))
        assert weights_sha256(again) == weights_sha256(plain)


def test_the_same_values_have_one_hash_whatever_file_they_are_in(torch, network, tmp_path):
    halves = {name: value.half() for name, value in network.state_dict().items()}
    of_torch = load_weights(saved(torch, tmp_path, halves))
    save_npz(tmp_path / "w.npz", of_torch)
    assert weights_sha256(load_weights(tmp_path / "w.npz")) == weights_sha256(of_torch)


@pytest.mark.parametrize(("side_px", "features"), [(72, 16384), (96, 30976), (128, 57600)])
def test_a_network_for_larger_pictures_is_named(torch, tmp_path, side_px, features):
    from tscan_torch import TorchTscan

    said = one_line(saved(torch, tmp_path, TorchTscan(side_px=side_px).state_dict()))
    assert f"final_dense_1.weight is [128, {features}], TS-CAN's is [128, 3136]" in said
    assert f"{side_px} px" in said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("motion_conv1.weight", None, "motion_conv1.weight of TS-CAN is missing"),
        ("bn.weight", (3,), "bn.weight is no tensor of TS-CAN"),
        ("motion_conv3.weight", (64, 32, 3, 5), r"is [64, 32, 3, 5] float32, TS-CAN's is [64, 32"),
        ("final_dense_1.weight", (128, 99), "is [128, 99] float32, TS-CAN's is [128, 3136]"),
        ("final_dense_2.bias", (2,), "final_dense_2.bias is [2] float32, TS-CAN's is [1]"),
    ],
)
def test_the_tensor_that_does_not_fit_is_named(torch, network, tmp_path, name, value, said):
    content = dict(network.state_dict())
    if value is None:
        del content[name]
    else:
        content[name] = torch.zeros(value)
    assert said in one_line(saved(torch, tmp_path, content))


def test_values_that_are_no_weights_are_refused(torch, network, tmp_path):
    content = {**network.state_dict(), "motion_conv1.bias": torch.full((32,), float("nan"))}
    assert "motion_conv1.bias holds values that are not finite" in one_line(
        saved(torch, tmp_path, content)
    )
    content["motion_conv1.bias"] = torch.zeros(32, dtype=torch.int32)
    assert "motion_conv1.bias is [32] int32" in one_line(saved(torch, tmp_path, content))


def test_a_file_that_would_run_code_or_is_none_is_refused(torch, network, tmp_path):
    assert "not a file of PyTorch weights alone" in one_line(saved(torch, tmp_path, network))
    assert "not a state dict" in one_line(saved(torch, tmp_path, [1, 2]))
    path = saved(torch, tmp_path, network.state_dict())
    for content in (b"", b"text", path.read_bytes()[:-5000]):
        path.write_bytes(content)
        assert "not a file of PyTorch weights alone" in one_line(path)
    assert "no such weights file" in one_line(tmp_path / "none.pth")


def test_there_is_no_respiration_in_it(torch, network, tmp_path):
    path = saved(torch, tmp_path, network.state_dict())
    assert "no respiration head" in one_line(path, "respiration", error=UserError)


def test_without_pytorch_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    (tmp_path / "w.pth").write_bytes(b"")
    assert "pip install torch==2.13.0" in one_line(tmp_path / "w.pth", error=UserError)
