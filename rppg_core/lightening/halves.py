"""TS-CAN as two graphs of batch 1 that full-integer conversion keeps accurate, in Keras.

An Edge TPU takes tensors whose three innermost dimensions alone exceed 1, and has no division. So
the frames of a window lie below one another in one tall picture, with rows of zeros between them,
and the temporal shift moves whole frames of rows. What 8 bits are too coarse for is left to the
host: the layers with a single output (both attention masks and the derivative), sigmoid and scaling
of the masks. And the motion comes in two parts, whole steps of 8 bits and, magnified, what is left
of them: the pulse is but a few steps high. `rppg_core.tscan_int8` is the host's side.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from rppg_core.lightening.tscan_keras import CHANNELS, SIZE_PX, shifted_by_taps
from rppg_core.tscan_int8 import (
    FINER,
    FIRST_MASK_PX,
    HIDDEN,
    PERIOD_ROWS,
    SECOND_MASK_PX,
)

POOLED_PX = 7  # side of the picture that the dense layer sees
POOLED_PERIOD_ROWS = PERIOD_ROWS // 4
GATES = ("gate", "gate_1")  # layers where a mask is applied
POOLS = ("pool", "pool_1")


def appearance_features(weights: dict[str, np.ndarray]) -> keras.Model:
    """The appearance branch, up to the features that each mask is a weighted sum of.

    Input "appearance" (1, 36, 36, 6), in two parts; outputs (1, 34, 34, 32) and (1, 15, 15, 64).
    """
    appearance = keras.Input(batch_shape=(1, SIZE_PX, SIZE_PX, 2 * CHANNELS), name="appearance")
    first = _conv("conv2d_3", 32, "valid")(_conv("conv2d_2", 32, "same")(appearance))
    pooled = _pool(POOLS[0], first)
    second = _conv("conv2d_8", 64, "valid")(_conv("conv2d_7", 64, "same")(pooled))
    return _filled(keras.Model([appearance], [first, second], name="appearance"), weights)


def mask_layers(weights: dict[str, np.ndarray]) -> list[tuple[np.ndarray, np.float32]]:
    """Kernel (c,) and bias of each mask's layer, which the host applies."""
    return [
        (weights[f"{name}/kernel"].reshape(-1), weights[f"{name}/bias"][0])
        for name in ("conv2d_4", "conv2d_9")
    ]


def tall_motion(weights: dict[str, np.ndarray], window: int) -> keras.Model:
    """The motion branch over a tall picture, up to the 128 numbers a frame's derivative is made of.

    Inputs "motion" (1, window * 40, 36, 6), both parts of the motion after its temporal shift;
    "first_mask" (1, window * 40, 34, 1) and "second_mask" (1, window * 20, 15, 1): the scaled
    masks, all of them zero in the rows between frames. Output (1, window, 1, 128). GATES and POOLS
    name the layers whose ranges `rppg_core.lightening.ranges` narrows.
    """
    rows = window * PERIOD_ROWS
    motion = keras.Input(batch_shape=(1, rows, SIZE_PX, 2 * CHANNELS), name="motion")
    first = keras.Input(batch_shape=(1, rows, FIRST_MASK_PX, 1), name="first_mask")
    second = keras.Input(batch_shape=(1, rows // 2, SECOND_MASK_PX, 1), name="second_mask")

    # Rows between frames fill with what convolutions make of zeros. No later row of a frame reads
    # them: of "same" ones each is preceded by zeros, and a mask's zeros wipe them before the next.
    moved = _conv("conv2d", 32, "same")(motion)
    moved = _conv("conv2d_1", 32, "valid")(_below(_shift(moved, window)))
    moved = _pool(POOLS[0], layers.Multiply(name=GATES[0])([moved, first]))
    moved = _conv("conv2d_5", 64, "same")(_shift(moved, window))
    moved = _conv("conv2d_6", 64, "valid")(_below(_shift(moved, window)))
    moved = _pool(POOLS[1], layers.Multiply(name=GATES[1])([moved, second]))
    dense = layers.Conv2D(
        HIDDEN, POOLED_PX, strides=(POOLED_PERIOD_ROWS, 1), activation="tanh", name="dense"
    )
    return _filled(keras.Model([motion, first, second], dense(moved), name="motion"), weights)


def _shift(features: Any, window: int) -> Any:
    """`tscan_keras.temporal_shift` where a frame is some rows of one picture."""
    _, rows, width, channels = features.shape
    frames = ops.reshape(features, (1, window, rows // window * width, channels))
    return ops.reshape(shifted_by_taps(frames), (1, rows, width, channels))


def _pool(name: str, features: Any) -> Any:
    """Mean of 2x2 as a convolution: its output may have a finer scale than its input has."""
    quarter = keras.initializers.Constant(0.25)
    return layers.DepthwiseConv2D(
        2, strides=2, use_bias=False, depthwise_initializer=quarter, name=name
    )(features)


def _below(features: Any) -> Any:
    """Two more rows below, so that a "valid" convolution gives as many rows as it was given."""
    return ops.pad(features, [(0, 0), (0, 2), (0, 0), (0, 0)])


def _conv(name: str, filters: int, padding: str) -> Any:
    return layers.Conv2D(filters, 3, padding=padding, activation="tanh", name=name)


def _filled(graph: keras.Model, weights: dict[str, np.ndarray]) -> keras.Model:
    """`graph` with `weights` in it, those of the layers that read inputs in two parts doubled."""
    for layer in graph.layers:
        if f"{layer.name}/kernel" in weights:
            kernel = weights[f"{layer.name}/kernel"]
            if kernel.shape[2:3] == (CHANNELS,):
                kernel = np.stack([kernel, kernel / FINER], axis=3)
            kernel = kernel.reshape(layer.weights[0].shape)
            layer.set_weights([kernel, weights[f"{layer.name}/bias"]])
    return graph
