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
from ai_edge_litert import schema_py_generated as schema

from rppg_core.errors import UserError
from rppg_core.lightening.calibration import Calibration
from rppg_core.lightening.convert import (
    converter_of,
    disable_new_operators,
    model_card,
    write_model,
)
from rppg_core.lightening.halves import appearance_logits, tall_motion
from rppg_core.lightening.original import published_tscan
from rppg_core.model_card import APPEARANCE, MOTION
from rppg_core.tscan_int8 import (
    APPEARANCE_ENDING,
    MOTION_ENDING,
    PERIOD_ROWS,
    SECOND_PERIOD_ROWS,
    attention,
    tall_picture,
)

# Standard deviations. Larger differences between frames are head motion, not pulse; cutting them
# off leaves finer steps for the rest.
MOTION_CLIP = 3.0

# A tanh is flat beyond: what its input has there may as well be cut off, for finer steps before.
TANH_LIMIT = 4.0
INT8_STEPS = 255

Samples = list[list[np.ndarray]]  # of each sample, one array per input


def convert_halves(weights: dict[str, np.ndarray], calibration: Calibration) -> tuple[bytes, bytes]:
    """(motion, appearance) models with int8 at both ends; same arguments, same bytes."""
    pictures = calibration.appearance.mean(axis=1, keepdims=True)
    appearance = appearance_logits(weights)
    samples: Samples = []
    for motion, picture in zip(calibration.motion, pictures, strict=True):
        first, second = (attention(np.asarray(x)) for x in appearance([picture], training=False))
        frames = len(motion)
        samples.append(
            [
                tall_picture(np.clip(motion, -MOTION_CLIP, MOTION_CLIP), PERIOD_ROWS),
                tall_picture(np.repeat(first, frames, axis=0), PERIOD_ROWS),
                tall_picture(np.repeat(second, frames, axis=0), SECOND_PERIOD_ROWS),
            ]
        )
    motion_graph = tall_motion(weights, calibration.window)
    return (
        narrow_tanh_inputs(full_integer(motion_graph, samples)),
        narrow_tanh_inputs(full_integer(appearance, [[picture] for picture in pictures])),
    )


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


def narrow_tanh_inputs(tflite: bytes, limit: float = TANH_LIMIT) -> bytes:
    """The int8 model with the tensors that go into a tanh holding -limit to limit, no more.

    The converter gives them the widest range that calibration saw, in which steps are so coarse
    that rounding costs the pulse 1 to 5 dB. A convolution scales its output to what its tensor
    says, so that changing scale and zero point there is all it takes.
    """
    model = bytearray(tflite)
    root = schema.Model.GetRootAs(model, 0)
    graph = root.Subgraphs(0)
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        if root.OperatorCodes(operator.OpcodeIndex()).BuiltinCode() != schema.BuiltinOperator.TANH:
            continue
        ranges = graph.Tensors(operator.Inputs(0)).Quantization()
        scale = 2 * limit / INT8_STEPS
        if ranges.Scale(0) > scale:
            ranges.ScaleAsNumpy()[:] = scale  # views of `model`
            ranges.ZeroPointAsNumpy()[:] = 0
    return bytes(model)


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
    shapes: dict[str, Any] = card["inputs"]  # type: ignore[assignment]
    inputs = {"appearance": shapes["appearance"]}
    write_model(appearance_path, models[1], {**card, "form": APPEARANCE, "inputs": inputs})
    rows = calibration.window * PERIOD_ROWS
    motion_card = {
        **card,
        "form": MOTION,
        "inputs": {
            "motion": [1, rows, 36, 3],
            "first_mask": [1, rows, 34, 1],
            "second_mask": [1, rows // 2, 15, 1],
        },
        "motion_clip": MOTION_CLIP,
        "partner_sha256": hashlib.sha256(appearance_path.read_bytes()).hexdigest(),
        "head": {
            # As short as a float32 can be written.
            "kernel": [float(str(x)) for x in weights["dense_1/kernel"][:, 0]],
            "bias": float(str(weights["dense_1/bias"][0])),
        },
    }
    write_model(motion_path, models[0], motion_card)


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
