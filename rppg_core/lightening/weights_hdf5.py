"""TS-CAN out of Keras HDF5 files, as MTTS-CAN's training writes them (Liu et al. 2020).

Its network has ten convolutions and two dense layers for each head, pulse first, respiration
second. Keras numbers layers of a kind in the order they are built in, which is that of
`weights.SHAPES`; where it starts counting depends on what the process had built before. Where there
are two heads their last layers are called output_1 and output_2.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from rppg_core.errors import ModelError, UserError
from rppg_core.lightening.weights import SHAPES, Weights, fitted, only_pulse
from rppg_core.model_card import SIGNALS

CONVOLUTIONS = 10
ONE_HEAD, TWO_HEADS = 2, 4  # dense layers, output layers among them
WHOLE_MODEL = "model_weights"  # the group that holds the layers where a file is a whole model
KERAS_3 = "layers"
OWN_LAYERS = [name[: -len("/kernel")] for name in SHAPES if name.endswith("/kernel")]
_LAYER = re.compile(r"(conv2d|dense|output)(?:_(\d+))?")
_PART = re.compile(r"(kernel|bias)(?::0)?")

Layers = dict[str, dict[str, np.ndarray]]  # by name, then by part: kernel, bias


def load_hdf5(path: str | Path, signal: str) -> Weights:
    """The tensors that give `signal`, of weights alone or a whole model; float32.

    MTTS-CAN is trained with one appearance image for a window, the mean of its frames. Raises
    ModelError that names the tensor that does not fit, UserError for a head the file has not.
    """
    stored = _read(Path(path))
    theirs = _in_own_order(path, stored, signal)
    tensors = {}
    for name, shape in SHAPES.items():
        own, part = name.split("/")
        layer = theirs[OWN_LAYERS.index(own)]
        if part not in stored[layer]:
            raise ModelError(f"{path}: {layer} has no {part}")
        tensors[name] = fitted(path, f"{layer}/{part}", stored[layer][part], shape)
    return Weights(tensors, signal)


def _in_own_order(path: str | Path, stored: Layers, signal: str) -> list[str]:
    """The file's names of the layers that `OWN_LAYERS` are, with the head of `signal`."""
    convolutions, dense, outputs = (
        sorted((name for name in stored if _kind(name) == kind), key=_number)
        for kind in ("conv2d", "dense", "output")
    )
    found = len(dense) + len(outputs)
    if len(convolutions) != CONVOLUTIONS or found not in (ONE_HEAD, TWO_HEADS):
        others = sorted(name for name in stored if not _kind(name))
        also = f", and {', '.join(others)}" if others else ""
        raise ModelError(
            f"{path}: has {len(convolutions)} conv2d and {found} dense layers{also}; TS-CAN has "
            f"{CONVOLUTIONS} and {ONE_HEAD}, MTTS-CAN {CONVOLUTIONS} and {TWO_HEADS}"
        )
    if found == ONE_HEAD:
        only_pulse(path, signal)
        return [*convolutions, *dense, *outputs]
    if len(dense) != len(outputs):
        raise ModelError(f"{path}: of its dense layers no two are called output_1 and output_2")
    head = SIGNALS.index(signal)
    return [*convolutions, dense[head], outputs[head]]


def _read(path: Path) -> Layers:
    """The arrays of every layer that has any."""
    try:
        import h5py  # noqa: PLC0415 (comes with TensorFlow; needed for these files alone)
    except ModuleNotFoundError:
        raise UserError(f"{path}: reading HDF5 needs h5py: pip install h5py") from None
    if not path.is_file():
        raise ModelError(f"{str(path)!r}: no such weights file")
    layers: Layers = {}

    def keep(name: str, item: Any) -> None:
        parts = name.split("/")
        part = _PART.fullmatch(parts[-1])
        if isinstance(item, h5py.Dataset) and part and len(parts) > 1:
            # A layer's group holds its variables under its name once more.
            layers.setdefault(parts[0], {})[part[1]] = item[()]

    try:
        with h5py.File(path, "r") as file:
            keras_3 = KERAS_3 in file and WHOLE_MODEL not in file
            file.get(WHOLE_MODEL, file).visititems(keep)
    except Exception as bad:  # a damaged file fails anywhere, in any way
        reason = " ".join(str(bad).split())[:200]
        raise ModelError(f"{path}: not an HDF5 file of weights ({reason})") from None
    if keras_3:
        raise ModelError(
            f"{path}: a .weights.h5 of Keras 3, which keeps no names of layers; save the whole "
            "model as .h5"
        )
    return layers


def _kind(layer: str) -> str:
    known = _LAYER.fullmatch(layer)
    return known[1] if known else ""


def _number(layer: str) -> int:
    known = _LAYER.fullmatch(layer)
    return int(known[2]) if known and known[2] else 0
