"""TS-CAN out of PyTorch state dicts, as rPPG-Toolbox saves them (Liu et al. 2022).

Kernels are (out, in, h, w) there and (h, w, in, out) here; the first dense layer reads features by
channel, row, column there and by row, column, channel here. The toolbox builds its network for
pictures of 36, 72, 96 or 128 px; its released weights are for 72, this project's inputs are 36.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rppg_core.errors import ModelError, UserError
from rppg_core.lightening.weights import SHAPES, Weights, fitted, only_pulse

TORCH = "torch==2.13.0"
PARALLEL = "module."  # what DataParallel puts before every name
POOLED = (64, 7, 7)  # what the first dense layer reads: channels, rows, columns
DENSE, HIDDEN = "dense", "final_dense_1"
SIDES_PX = {16384: 72, 30976: 96, 57600: 128}  # by the features of the first dense layer
# fmt: off
LAYERS = {
    "conv2d": "motion_conv1", "conv2d_1": "motion_conv2",
    "conv2d_2": "apperance_conv1", "conv2d_3": "apperance_conv2",
    "conv2d_4": "apperance_att_conv1",
    "conv2d_5": "motion_conv3", "conv2d_6": "motion_conv4",
    "conv2d_7": "apperance_conv3", "conv2d_8": "apperance_conv4",
    "conv2d_9": "apperance_att_conv2",
    DENSE: HIDDEN, "dense_1": "final_dense_2",
}
# fmt: on
HEADS = {"pulse": "_y", "respiration": "_r"}  # endings of dense layers where there are two heads


def load_torch(path: str | Path, signal: str) -> Weights:
    """The tensors that give `signal`, float32; trained with an appearance image a frame.

    Raises ModelError that names the tensor that does not fit, UserError where PyTorch is missing
    or the file has no such head.
    """
    stored = _read(Path(path))
    ending = HEADS[signal] if f"{HIDDEN}{HEADS['pulse']}.weight" in stored else ""
    if not ending:
        only_pulse(path, signal)
    tensors: dict[str, np.ndarray] = {}
    used = set()
    for name, shape in SHAPES.items():
        layer, part = name.split("/")
        own = LAYERS[layer] + (ending if layer.startswith(DENSE) else "")
        theirs = f"{own}.{'weight' if part == 'kernel' else 'bias'}"
        if theirs not in stored:
            raise ModelError(f"{path}: {theirs} of TS-CAN is missing")
        used.add(theirs)
        tensors[name] = _converted(path, theirs, stored[theirs], layer, shape)
    other_head = tuple(f"final_dense_{number}{end}." for number in (1, 2) for end in HEADS.values())
    left = sorted(name for name in stored.keys() - used if not name.startswith(other_head))
    if left:
        raise ModelError(f"{path}: {left[0]} is no tensor of TS-CAN")
    return Weights(tensors, signal, per_frame=True)


def _converted(
    path: str | Path, name: str, value: np.ndarray, layer: str, shape: tuple[int, ...]
) -> np.ndarray:
    """One tensor in this project's order of dimensions, of `shape`."""
    if len(shape) == 1:
        return fitted(path, name, value, shape)
    height_to_out = len(shape) == 4
    theirs = (shape[3], shape[2], shape[0], shape[1]) if height_to_out else shape[::-1]
    if layer == DENSE and value.ndim == 2 and value.shape[1] in SIDES_PX:
        raise ModelError(
            f"{path}: {name} is {list(value.shape)}, TS-CAN's is {list(theirs)}: a network for "
            f"pictures of {SIDES_PX[value.shape[1]]} px, this program's are 36; train with "
            "RESIZE H and W of 36"
        )
    value = fitted(path, name, value, theirs)
    if height_to_out:
        return np.ascontiguousarray(value.transpose(2, 3, 1, 0))
    if layer == DENSE:
        value = value.reshape(-1, *POOLED).transpose(0, 2, 3, 1).reshape(len(value), -1)
    return np.ascontiguousarray(value.T)


def _read(path: Path) -> dict[str, np.ndarray]:
    """The file's tensors by name, without what DataParallel adds to it."""
    try:
        import torch  # noqa: PLC0415 (needed for these files alone)
    except ModuleNotFoundError:
        raise UserError(f"{path}: reading it needs PyTorch: pip install {TORCH}") from None
    if not path.is_file():
        raise ModelError(f"{str(path)!r}: no such weights file")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as bad:  # a damaged file, or one of code, fails anywhere, in any way
        reason = (str(bad).strip().splitlines() or [type(bad).__name__])[0][:200]
        raise ModelError(f"{path}: not a file of PyTorch weights alone ({reason})") from None
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in content.items()
    ):
        raise ModelError(f"{path}: not a state dict, that is tensors by name")
    return {
        name[len(PARALLEL) :] if name.startswith(PARALLEL) else name: _array(value)
        for name, value in content.items()
    }


def _array(tensor: Any) -> np.ndarray:
    """As NumPy has it; bfloat16, which NumPy has not, as float32."""
    tensor = tensor.detach()
    return np.asarray((tensor.float() if tensor.is_floating_point() else tensor).numpy())
