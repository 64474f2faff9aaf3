"""TS-CAN's graph as its authors published it, batch of frames and all, for comparison only.

A batch is reshaped to five dimensions and back around each temporal shift, every frame has its own
attention mask: what a straight conversion starts from, and what the paper's file sizes are of.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from rppg_core.lightening.tscan_keras import FOLD_DIV, tscan


def published_tscan(
    weights: dict[str, np.ndarray], window: int, frames: int | None = None
) -> keras.Model:
    """The published graph for a batch of `frames`, one window of them unless told otherwise.

    Both inputs are (frames, 36, 36, 3), output (frames, 1); names as `tscan_keras.tscan`'s.
    """
    frames = frames or window
    shift = partial(split_shift, window=window)
    return tscan(weights, frames, appearance_per_frame=True, shift=shift, unread=True)


def split_shift(features: Any, window: int) -> Any:
    """`tscan_keras.temporal_shift` by split, slice and concatenation in five dimensions."""
    height, width, channels = features.shape[1:]
    fold = channels // FOLD_DIV
    rows = ops.reshape(features, (-1, window, height, width, channels))
    ahead, behind, still = ops.split(rows, [fold, 2 * fold], axis=-1)
    ahead = ops.concatenate([ahead[:, 1:], ops.zeros_like(ahead[:, :1])], axis=1)
    behind = ops.concatenate([ops.zeros_like(behind[:, :1]), behind[:, :-1]], axis=1)
    shifted = ops.concatenate([ahead, behind, still], axis=-1)
    return ops.reshape(shifted, (-1, height, width, channels))
