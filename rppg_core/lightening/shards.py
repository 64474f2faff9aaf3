"""Shards of face crops with a known pulse, as windows that the network takes.

A shard is an .npz file: crops (clips, n, 36, 36, 3) uint16 in shares of 65535, pulse (clips, n),
fps (clips,). Crops go through the pipeline's own preprocessing, running statistics included.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rppg_core.errors import UserError
from rppg_core.faces import Box
from rppg_core.preprocess import SIZE_PX, Preprocessor

FULL_SCALE = 65535.0
# With a crop as large as its box, preprocessing crops the whole of a picture of 36 x 36.
_WHOLE = Box(0.0, 0.0, float(SIZE_PX), float(SIZE_PX))


class Shard(NamedTuple):
    """The arrays of one file."""

    crops: np.ndarray
    pulse: np.ndarray
    fps: np.ndarray


class Sequence(NamedTuple):
    """One clip: `motion` (w * window, 36, 36, 3), `appearance` (w, 36, 36, 3), `derivative`."""

    motion: np.ndarray
    appearance: np.ndarray
    derivative: np.ndarray
    fps: float


def find_shards(folder: str | Path) -> list[Path]:
    """The shard files of a folder, sorted. Raises UserError where there is none."""
    paths = sorted(path for path in Path(folder).glob("*.npz") if not path.name.startswith("."))
    if not paths:
        raise UserError(
            f"{folder}: no .npz shards; render some with "
            "`python -m harness.datasets.training_crops FOLDER`"
        )
    return paths


def load_shard(path: Path) -> Shard:
    """One file, checked. Raises UserError that says what does not fit."""
    try:
        with np.load(path) as stored:
            shard = Shard(stored["crops"], stored["pulse"], stored["fps"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a shard of training crops ({error})") from None
    clips = len(shard.crops)
    if shard.crops.dtype != np.uint16 or shard.crops.shape[2:] != (SIZE_PX, SIZE_PX, 3):
        raise UserError(f"{path}: crops are {shard.crops.shape} {shard.crops.dtype}, no shard's")
    if shard.pulse.shape != shard.crops.shape[:2] or shard.fps.shape != (clips,):
        raise UserError(f"{path}: {clips} clips, but pulse and fps do not fit them")
    return shard


def to_sequence(shard: Shard, index: int, window: int) -> Sequence:
    """Clip `index` of a shard as whole windows, its derivative of unit deviation."""
    preprocessor = Preprocessor(enlargement=1.0)
    pictures = shard.crops[index].astype(np.float32) * np.float32(255.0 / FULL_SCALE)
    motion, appearance = [], []
    differences, frames = [], []
    for picture in pictures:
        sample = preprocessor.push(picture, _WHOLE)
        if sample is None:
            continue
        differences.append(sample.difference)
        frames.append(sample.frame)
        if len(differences) == window:
            moved, seen = preprocessor.standardise(np.stack(differences), np.stack(frames))
            motion.append(moved)
            appearance.append(seen.mean(axis=0))
            differences, frames = [], []
    derivative = np.diff(shard.pulse[index].astype(np.float64))[: len(motion) * window]
    derivative = (derivative - derivative.mean()) / derivative.std()
    return Sequence(
        np.concatenate(motion),
        np.stack(appearance),
        derivative.astype(np.float32),
        float(shard.fps[index]),
    )
