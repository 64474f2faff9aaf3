"""TS-CAN (Liu et al. 2020, "Multi-Task Temporal Shift Attention Networks") in Keras, for export.

A motion branch reads normalised frame differences; features of neighbouring frames reach it by
temporal shift (Lin et al. 2019). An appearance branch reads what the face looks like and gates the
motion features twice with an attention mask. Dropout, which does nothing at inference, is left out.

All shapes are static and no tensor has more than four dimensions: runtimes older than the converter
load the result, and none falls back to a slow path.
"""

from __future__ import annotations

from typing import Any, Callable

import keras
import numpy as np
from keras import layers, ops

SIZE_PX = 36
CHANNELS = 3
FOLD_DIV = 3  # a third of the channels looks one frame ahead, a third one frame back
READ_PX = 14  # side of the last feature map that pooling reads, of 15
MASK_MEAN = 0.5  # what an attention mask's mean over the picture is scaled to


def tscan(
    weights: dict[str, np.ndarray],
    window: int = 10,
    appearance_per_frame: bool = False,
    shift: Callable[[Any], Any] | None = None,
    windows: int = 1,
    unread: bool = False,
) -> keras.Model:
    """TS-CAN for one window, with `weights` in it.

    Inputs "motion" (window, 36, 36, 3) and "appearance" (1, 36, 36, 3): the mean of the window's
    standardised frames, as the network was trained, passed through its branch once. With
    `appearance_per_frame` it is (window, 36, 36, 3) and each frame has its own masks. Output
    (window, 1): the pulse's derivative. `shift` takes the place of `temporal_shift`. With more
    `windows`, to train on, each shape's first dimension is as many times longer, and `shift` must
    keep them apart.
    """
    shift = shift or temporal_shift
    motion_shape, appearance_shape = input_shapes(window, appearance_per_frame).values()
    motion = keras.Input(batch_shape=(windows * motion_shape[0], *motion_shape[1:]), name="motion")
    appearance = keras.Input(
        batch_shape=(windows * appearance_shape[0], *appearance_shape[1:]), name="appearance"
    )
    gated = motion.shape[0] if windows > 1 else appearance.shape[0]

    seen = _conv("conv2d_3", 32, "valid")(_conv("conv2d_2", 32, "same")(appearance))
    first_mask = _for_frames(_mask("conv2d_4", seen), gated)
    seen = ops.average_pool(seen, 2)
    seen = _conv("conv2d_8", 64, "valid")(_conv("conv2d_7", 64, "same")(seen))
    second_mask = _for_frames(_mask("conv2d_9", seen), gated)

    moved = _conv("conv2d", 32, "same")(shift(motion))
    moved = _conv("conv2d_1", 32, "valid")(shift(moved))
    moved = shift(ops.average_pool(moved * first_mask, 2))
    if unread:
        moved = _conv("conv2d_5", 64, "same")(moved)
    else:
        moved = ops.pad(moved, [(0, 0), (1, 0), (1, 0), (0, 0)])  # "same" without what is unread
        moved = _conv("conv2d_5", 64, "valid")(moved)
        second_mask = second_mask[:, :READ_PX, :READ_PX]
    moved = _conv("conv2d_6", 64, "valid")(shift(moved))
    moved = ops.average_pool(moved * second_mask, 2)
    hidden = layers.Dense(128, activation="tanh", name="dense")(
        ops.reshape(moved, (windows * window, -1))
    )
    derivative = layers.Dense(1, name="dense_1")(hidden)

    # Only layers of a given name in it: automatic ones count up in a process, and are in the file.
    graph = keras.Model([motion, appearance], derivative, name="tscan")
    for layer in graph.layers:
        if layer.weights:
            layer.set_weights([weights[f"{layer.name}/kernel"], weights[f"{layer.name}/bias"]])
    return graph


def input_shapes(window: int, appearance_per_frame: bool) -> dict[str, tuple[int, int, int, int]]:
    """Shape of each input of `tscan`, by name, in its order."""
    frame = (SIZE_PX, SIZE_PX, CHANNELS)
    return {
        "motion": (window, *frame),
        "appearance": (window if appearance_per_frame else 1, *frame),
    }


def temporal_shift(features: Any) -> Any:
    """`features` (window, h, w, c) with two thirds of the channels moved by a frame.

    The first c // 3 channels come from the next frame, the next c // 3 from the previous one, the
    rest stay; beyond the window there are zeros.
    """
    window, height, width, channels = features.shape
    rows = ops.reshape(features, (1, window, height * width, channels))
    return ops.reshape(shifted_by_taps(rows), (window, height, width, channels))


def shifted_by_taps(rows: Any) -> Any:
    """The shift for `rows` (1, window, pixels, c), as a depthwise convolution over time.

    One 1 in each kernel does it in a single pass over memory (x * 1 + 0 is x); slicing and
    concatenating takes three, and 10 % of a frame's time.
    """
    channels = rows.shape[-1]
    fold = channels // FOLD_DIV
    taps = np.zeros((3, 1, channels, 1), np.float32)
    taps[2, 0, :fold] = taps[0, 0, fold : 2 * fold] = taps[1, 0, 2 * fold :] = 1.0
    return ops.depthwise_conv(rows, taps, padding="same", data_format="channels_last")


def _conv(name: str, filters: int, padding: str) -> Any:
    return layers.Conv2D(filters, 3, padding=padding, activation="tanh", name=name)


def _mask(name: str, features: Any) -> Any:
    """Attention over the picture (frames, h, w, 1): a sigmoid scaled to a mean of one half."""
    attention = layers.Conv2D(1, 1, activation="sigmoid", name=name)(features)
    return attention * MASK_MEAN / ops.mean(attention, axis=(1, 2), keepdims=True)


def _for_frames(masks: Any, frames: int) -> Any:
    """A mask for each of `frames`, where there is one for a window; one alone fits them all."""
    repeats = frames // masks.shape[0]
    return ops.repeat(masks, repeats, axis=0) if repeats > 1 else masks
