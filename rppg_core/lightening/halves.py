"""TS-CAN as two graphs of batch 1 that full-integer conversion keeps accurate, in Keras.

An Edge TPU takes tensors whose three innermost dimensions alone exceed 1, and has no division. So
the frames of a window lie below one another in one tall picture, with rows of zeros between them;
the temporal shift moves rows; and what 8 bits are too coarse for is left to the host: sigmoid and
scaling of the attention masks, and the last product, of 128 numbers with one column of weights.
`rppg_core.tscan_int8` is the host's side.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from rppg_core.lightening.tscan_keras import CHANNELS, FOLD_DIV, SIZE_PX
from rppg_core.tscan_int8 import (
    FIRST_MASK_PX,
    HIDDEN,
    PERIOD_ROWS,
    SECOND_MASK_PX,
    SECOND_PERIOD_ROWS,
)

POOLED_PX = 7  # side of the picture that the dense layer sees
POOLED_PERIOD_ROWS = PERIOD_ROWS // 4


def appearance_logits(weights: dict[str, np.ndarray]) -> keras.Model:
    """The appearance branch: (1, 36, 36, 3) to what each mask's sigmoid takes.

    Outputs (1, 34, 34, 1) and (1, 15, 15, 1).
    """
    appearance = keras.Input(batch_shape=(1, SIZE_PX, SIZE_PX, CHANNELS), name="appearance")
    seen = _conv("conv2d_2", 32, "same")(appearance)
    seen = _conv("conv2d_3", 32, "valid")(seen)
    first = layers.Conv2D(1, 1, name="conv2d_4")(seen)
    seen = _conv("conv2d_7", 64, "same")(ops.average_pool(seen, 2))
    seen = _conv("conv2d_8", 64, "valid")(seen)
    second = layers.Conv2D(1, 1, name="conv2d_9")(seen)
    return _filled(keras.Model([appearance], [first, second], name="appearance"), weights)


def tall_motion(weights: dict[str, np.ndarray], window: int) -> keras.Model:
    """The motion branch over a tall picture, up to the 128 numbers a frame's derivative is made of.

    Inputs "motion" (1, window * 40, 36, 3), "first_mask" (1, window * 40, 34, 1) and "second_mask"
    (1, window * 20, 15, 1): the scaled masks, all of them zero in the rows between frames. Output
    (1, window, 1, 128).
    """
    rows = window * PERIOD_ROWS
    motion = keras.Input(batch_shape=(1, rows, SIZE_PX, CHANNELS), name="motion")
    first = keras.Input(batch_shape=(1, rows, FIRST_MASK_PX, 1), name="first_mask")
    second = keras.Input(batch_shape=(1, rows // 2, SECOND_MASK_PX, 1), name="second_mask")

    # Rows between frames fill with what convolutions make of zeros. No later row of a frame reads
    # them: of "same" ones each is preceded by zeros, and a mask's zeros wipe them before the next.
    moved = _conv("conv2d", 32, "same")(_row_shift(motion, PERIOD_ROWS))
    moved = _conv("conv2d_1", 32, "valid")(_below(_row_shift(moved, PERIOD_ROWS)))
    moved = ops.average_pool(moved * first, 2)
    moved = _conv("conv2d_5", 64, "same")(_row_shift(moved, SECOND_PERIOD_ROWS))
    moved = _conv("conv2d_6", 64, "valid")(_below(_row_shift(moved, SECOND_PERIOD_ROWS)))
    moved = ops.average_pool(moved * second, 2)
    dense = layers.Conv2D(
        HIDDEN, POOLED_PX, strides=(POOLED_PERIOD_ROWS, 1), activation="tanh", name="dense"
    )
    return _filled(keras.Model([motion, first, second], dense(moved), name="motion"), weights)


def _row_shift(features: Any, period: int) -> Any:
    """`tscan_keras.temporal_shift` where a frame is `period` rows of one picture."""
    _, _, width, channels = features.shape
    fold = channels // FOLD_DIV
    nothing = ops.zeros((1, period, width, fold))
    ahead = ops.concatenate([features[:, period:, :, :fold], nothing], axis=1)
    behind = ops.concatenate([nothing, features[:, :-period, :, fold : 2 * fold]], axis=1)
    return ops.concatenate([ahead, behind, features[..., 2 * fold :]], axis=-1)


def _below(features: Any) -> Any:
    """Two more rows below, so that a "valid" convolution gives as many rows as it was given."""
    return ops.pad(features, [(0, 0), (0, 2), (0, 0), (0, 0)])


def _conv(name: str, filters: int, padding: str) -> Any:
    return layers.Conv2D(filters, 3, padding=padding, activation="tanh", name=name)


def _filled(graph: keras.Model, weights: dict[str, np.ndarray]) -> keras.Model:
    for layer in graph.layers:
        if layer.weights:
            kernel = weights[f"{layer.name}/kernel"].reshape(layer.weights[0].shape)
            layer.set_weights([kernel, weights[f"{layer.name}/bias"]])
    return graph
