"""Weights of TS-CAN out of the files they are kept in.

The project's own: an .npz file of one float16 array a tensor. The published ones, TensorFlow.js
layers format: `model.json` lists tensors in groups; a group's shard files, one after the other,
hold its tensors in the order of the list, little-endian. Keras HDF5 files of MTTS-CAN and PyTorch
state dicts of rPPG-Toolbox: `weights_hdf5`, `weights_torch`.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rppg_core.errors import ModelError, UserError
from rppg_core.model_card import PULSE, SIGNALS

# Layers under their published names: motion 0, 1, 5, 6; appearance 2, 3, 7, 8; masks 4, 9.
SHAPES: dict[str, tuple[int, ...]] = {
    "conv2d/kernel": (3, 3, 3, 32),
    "conv2d_1/kernel": (3, 3, 32, 32),
    "conv2d_2/kernel": (3, 3, 3, 32),
    "conv2d_3/kernel": (3, 3, 32, 32),
    "conv2d_4/kernel": (1, 1, 32, 1),
    "conv2d_5/kernel": (3, 3, 32, 64),
    "conv2d_6/kernel": (3, 3, 64, 64),
    "conv2d_7/kernel": (3, 3, 32, 64),
    "conv2d_8/kernel": (3, 3, 64, 64),
    "conv2d_9/kernel": (1, 1, 64, 1),
    "dense/kernel": (3136, 128),
    "dense_1/kernel": (128, 1),
}
SHAPES.update({name.replace("kernel", "bias"): shape[-1:] for name, shape in SHAPES.items()})

FLOAT32 = np.dtype("<f4")
HDF5_ENDINGS = (".hdf5", ".h5")
TORCH_ENDINGS = (".pth", ".pt")


class Weights(dict[str, np.ndarray]):
    """TS-CAN's tensors by name, float32, of the shapes in `SHAPES`.

    `signal` is what their last layers give (`model_card.SIGNALS`). `per_frame` says whether they
    were trained with an appearance image a frame, or one for a window, the mean of its frames.
    """

    def __init__(
        self, tensors: Mapping[str, np.ndarray], signal: str = PULSE, per_frame: bool = False
    ) -> None:
        super().__init__({name: tensors[name] for name in SHAPES})
        self.signal = signal
        self.per_frame = per_frame


def load_weights(path: str | Path, signal: str = PULSE) -> Weights:
    """TS-CAN's tensors from whichever file they are in.

    `signal` names the head to take of a file with two. Raises ModelError that names the tensor
    that does not fit, UserError for a signal that the file has no head for.
    """
    if signal not in SIGNALS:
        raise UserError(f"unknown head {signal!r}: there is {', '.join(SIGNALS)}")
    ending = Path(path).suffix.lower()
    if ending in HDF5_ENDINGS:
        from rppg_core.lightening.weights_hdf5 import load_hdf5  # noqa: PLC0415 (needs h5py)

        return load_hdf5(path, signal)
    if ending in TORCH_ENDINGS:
        from rppg_core.lightening.weights_torch import load_torch  # noqa: PLC0415

        return load_torch(path, signal)
    only_pulse(path, signal)
    return Weights(load_npz(path) if ending == ".npz" else load_tfjs(path))


def only_pulse(path: str | Path, signal: str) -> None:
    """Raise UserError if another signal is asked of a file that has one head, the pulse's."""
    if signal != PULSE:
        raise UserError(f"{path}: has no {signal} head, only {PULSE}'s")


def fitted(path: str | Path, name: str, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor as float32, after a look at its shape and values. `name` is the file's own."""
    if value.shape != shape or value.dtype.kind != "f":
        raise ModelError(
            f"{path}: {name} is {list(value.shape)} {value.dtype}, TS-CAN's is {list(shape)} of "
            "floats"
        )
    if not np.isfinite(value).all():
        raise ModelError(f"{path}: {name} holds values that are not finite")
    return np.ascontiguousarray(value, np.float32)


def load_tfjs(path: str | Path) -> dict[str, np.ndarray]:
    """TS-CAN's tensors by name ("conv2d/kernel", ...) from a TensorFlow.js folder or model.json.

    Float32, of the shapes in `SHAPES`. Raises ModelError that names the tensor that does not fit.
    """
    manifest = Path(path)
    if manifest.is_dir():
        manifest = manifest / "model.json"
    weights: dict[str, np.ndarray] = {}
    for entries, shards in _groups(manifest):
        stored = b"".join(_read(manifest.parent / shard) for shard in shards)
        at = 0
        for name in entries:
            end = at + FLOAT32.itemsize * math.prod(SHAPES[name])
            if end > len(stored):
                raise ModelError(
                    f"{manifest}: {name} needs bytes {at} to {end} of {', '.join(shards)}, which "
                    f"end at {len(stored)}: fetch the file again"
                )
            if name in weights:
                raise ModelError(f"{manifest}: {name} is listed twice")
            weights[name] = np.frombuffer(stored[at:end], FLOAT32).reshape(SHAPES[name])
            if not np.isfinite(weights[name]).all():
                raise ModelError(f"{manifest}: {name} holds values that are not finite")
            at = end
        if at != len(stored):
            raise ModelError(
                f"{manifest}: {len(stored) - at} bytes of {', '.join(shards)} belong to no tensor"
            )
    missing = sorted(SHAPES.keys() - weights.keys())
    if missing:
        raise ModelError(f"{manifest}: {', '.join(missing)} of TS-CAN missing")
    return weights


def load_npz(path: str | Path) -> dict[str, np.ndarray]:
    """TS-CAN's tensors by name from an .npz file of `save_npz`, as float32.

    Raises ModelError that names the tensor that does not fit.
    """
    try:
        with np.load(path) as stored:
            found = {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        raise ModelError(f"{str(path)!r}: no such weights file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: not an .npz file of weights ({error})") from None
    odd = sorted(found.keys() ^ SHAPES.keys())
    if odd:
        raise ModelError(f"{path}: {odd[0]} is missing, or no tensor of TS-CAN")
    return {name: fitted(path, name, found[name], SHAPES[name]) for name in SHAPES}


def save_npz(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Write tensors by name as float16: half the size, and a heart rate moves by nothing seen."""
    halves: dict[str, Any] = {name: weights[name].astype(np.float16) for name in SHAPES}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.npz")
    try:
        np.savez(unfinished, **halves)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def weights_sha256(weights: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over name, shape and little-endian float32 bytes of each tensor, sorted by name."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(f"{name} {list(weights[name].shape)}\n".encode())
        digest.update(np.ascontiguousarray(weights[name], FLOAT32).tobytes())
    return digest.hexdigest()


def _groups(manifest: Path) -> list[tuple[list[str], list[str]]]:
    """(names of tensors, names of shard files) of each group that a model.json lists."""
    try:
        groups: Any = json.loads(_read(manifest))["weightsManifest"]
        return [
            (
                [_checked_name(manifest, tensor) for tensor in group["weights"]],
                [str(shard) for shard in group["paths"]],
            )
            for group in groups
        ]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ModelError(
            f"{manifest}: not a model.json of the TensorFlow.js layers format"
        ) from None


def _checked_name(manifest: Path, tensor: dict[str, Any]) -> str:
    name, shape = str(tensor["name"]), list(tensor["shape"])
    if name not in SHAPES:
        raise ModelError(f"{manifest}: {name!r} is no tensor of TS-CAN")
    if shape != list(SHAPES[name]):
        raise ModelError(f"{manifest}: {name} has shape {shape}, TS-CAN's has {list(SHAPES[name])}")
    if tensor["dtype"] != "float32" or "quantization" in tensor:
        raise ModelError(f"{manifest}: {name} is not stored as plain float32")
    return name


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{str(path)!r}: no such weights file") from None
    except (OSError, ValueError) as error:  # ValueError: a name no file can have
        raise ModelError(f"{str(path)!r}: cannot be read: {error}") from None
