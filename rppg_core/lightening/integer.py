"""Full-integer TFLite models of TS-CAN.

`int8` is the two halves that stay accurate and that an Edge TPU can run whole. `int8-naive` is the
published graph converted as it is: its attention masks are divided in 8 bits, and with that most of
the pulse is lost. It is kept as the regression that a gate has to catch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rppg_core.errors import UserError
from rppg_core.lightening.calibration import Calibration
from rppg_core.lightening.convert import (
    converter_of,
    disable_new_operators,
    model_card,
    write_model,
)
from rppg_core.lightening.halves import GATES, POOLS, appearance_features, mask_layers, tall_motion
from rppg_core.lightening.original import published_tscan
from rppg_core.lightening.ranges import INT8_STEPS, narrow
from rppg_core.model_card import APPEARANCE, MOTION
from rppg_core.tscan_int8 import (
    APPEARANCE_ENDING,
    MASKS,
    MOTION_ENDING,
    PERIOD_ROWS,
    SECOND_PERIOD_ROWS,
    attention,
    in_steps,
    shifted,
    tall_picture,
)

# Standard deviations. Larger differences between frames are head motion, not pulse; larger
# departures from the mean light are rare.
MOTION_LIMIT, APPEARANCE_LIMIT = 8.0, 5.0

# Of masked features, in root mean squares. Masks of the published weights reach 14 in single
# pixels; 6 to 12 cost the same within 2 dB. Features that stay far below need no such room.
GATED_LIMIT_RMS, GATED_HEADROOM = 12.0, 1.5

Samples = list[list[np.ndarray]]  # of each sample, one array per input


def convert_halves(weights: dict[str, np.ndarray], calibration: Calibration) -> tuple[bytes, bytes]:
    """(motion, appearance) models with int8 at both ends; same arguments, same bytes."""
    means = calibration.appearance.mean(axis=1, keepdims=True)
    pictures: list[np.ndarray] = []
    appearance, masks = appearance_features(weights), mask_layers(weights)
    samples: Samples = []
    for motion, mean in zip(calibration.motion, means, strict=True):
        pictures.append(_parts(mean, APPEARANCE_LIMIT))
        seen = appearance([pictures[-1]], training=False)
        first, second = (attention(np.asarray(x), *m) for x, m in zip(seen, masks, strict=True))
        frames = len(motion)
        samples.append(
            [
                tall_picture(_parts(shifted(motion), MOTION_LIMIT), PERIOD_ROWS),
                tall_picture(np.repeat(first, frames, axis=0), PERIOD_ROWS),
                tall_picture(np.repeat(second, frames, axis=0), SECOND_PERIOD_ROWS),
            ]
        )
    motion_graph = tall_motion(weights, calibration.window)
    return (
        narrow(full_integer(motion_graph, samples), MOTION_LIMIT, _gated(motion_graph, samples)),
        narrow(full_integer(appearance, [[one] for one in pictures]), APPEARANCE_LIMIT),
    )


def _parts(frames: np.ndarray, limit: float) -> np.ndarray:
    """What an input in two parts is given, in real numbers."""
    step = np.float32(2 * limit / INT8_STEPS)
    return np.asarray(in_steps(frames, float(step)) * step)


def _gated(graph: keras.Model, samples: Samples) -> list[tuple[float, float]]:
    """What the features after each mask, and their 2x2 means, may hold."""
    names = [name for pair in zip(GATES, POOLS, strict=True) for name in pair]
    inner = keras.Model(graph.inputs, [graph.get_layer(name).output for name in names])
    squares, largest = np.zeros(len(names)), np.zeros(len(names))
    for sample in samples:
        found = [np.asarray(x) for x in inner(sample, training=False)]
        squares += [np.mean(np.square(x)) for x in found]
        largest = np.maximum(largest, [np.abs(x).max() for x in found])
    rms = np.sqrt(squares / len(samples))
    limits = np.minimum(GATED_LIMIT_RMS * rms, GATED_HEADROOM * largest).tolist()
    return list(zip(limits[::2], limits[1::2], strict=True))


def convert_naive(weights: dict[str, np.ndarray], calibration: Calibration) -> bytes:
    """The published graph as a full-integer model with float32 at both ends."""
    samples = [
        [motion, frames]
        for motion, frames in zip(calibration.motion, calibration.appearance, strict=True)
    ]
    return full_integer(published_tscan(weights, calibration.window), samples, ends=tf.float32)


def full_integer(graph: keras.Model, samples: Samples, ends: Any = tf.int8) -> bytes:
    """`graph` in 8 bits throughout, with the ranges that `samples` of its inputs show."""

    names = [tensor.name for tensor in graph.inputs]

    def representative() -> Iterator[dict[str, np.ndarray]]:
        # By name: the converter has an order of its own.
        for sample in samples:
            yield dict(zip(names, sample, strict=True))

    converter = converter_of(graph)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = ends
    disable_new_operators(converter)
    return bytes(converter.convert())


def halves_paths(motion: Path) -> tuple[Path, Path]:
    """(motion, appearance) files of a model whose motion half is to be at `motion`."""
    if not motion.name.endswith(MOTION_ENDING):
        raise UserError(f"{motion}: int8 models are pairs of files; name it NAME{MOTION_ENDING}")
    return motion, motion.with_name(motion.name[: -len(MOTION_ENDING)] + APPEARANCE_ENDING)


def write_halves(
    out: Path,
    models: tuple[bytes, bytes],
    weights: dict[str, np.ndarray],
    weights_name: str,
    variant: str,
    calibration: Calibration,
) -> None:
    """Write a (motion, appearance) pair, the motion half at `out`, each with its card."""
    motion_path, appearance_path = halves_paths(out)
    card = calibrated_card(weights, weights_name, variant, calibration)
    appearance_card = {
        **card,
        "form": APPEARANCE,
        "inputs": {"appearance": [1, 36, 36, 6]},
        "masks": {
            name: _written(*layer) for name, layer in zip(MASKS, mask_layers(weights), strict=True)
        },
    }
    write_model(appearance_path, models[1], appearance_card)
    rows = calibration.window * PERIOD_ROWS
    motion_card = {
        **card,
        "form": MOTION,
        "inputs": {
            "motion": [1, rows, 36, 6],
            "first_mask": [1, rows, 34, 1],
            "second_mask": [1, rows // 2, 15, 1],
        },
        "partner_sha256": hashlib.sha256(appearance_path.read_bytes()).hexdigest(),
        "head": _written(weights["dense_1/kernel"][:, 0], weights["dense_1/bias"][0]),
    }
    write_model(motion_path, models[0], motion_card)


def _written(kernel: np.ndarray, bias: np.float32) -> dict[str, object]:
    """A layer as a card has it: each float32 as short as it can be written."""
    return {"kernel": [float(str(x)) for x in kernel], "bias": float(str(bias))}


def calibrated_card(
    weights: dict[str, np.ndarray],
    weights_name: str,
    variant: str,
    calibration: Calibration,
    appearance_per_frame: bool = False,
) -> dict[str, object]:
    """`model_card`, with what the ranges of numbers were taken from."""
    card = model_card(weights, weights_name, variant, calibration.window, appearance_per_frame)
    card["calibration"] = {**calibration.about, "sha256": calibration.sha256}
    return card
