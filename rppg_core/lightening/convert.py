"""TS-CAN weights to TFLite files that say what they are.

Every variant is one function from a Keras graph to TFLite bytes; the card (`rppg_core.model_card`)
travels inside the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from rppg_core.errors import UserError
from rppg_core.lightening.tscan_keras import input_shapes, tscan
from rppg_core.lightening.weights import Weights, weights_sha256
from rppg_core.model_card import MODEL_SCHEMA, PREPROCESSING, PULSE, attach_card
from rppg_core.tscan import PER_FRAME, WINDOW_MEAN

PUBLISHED_WINDOW = 10  # frames; what the published weights were trained on


def convert(
    weights: dict[str, np.ndarray],
    variant: str = "float32",
    window: int = PUBLISHED_WINDOW,
    appearance_per_frame: bool = False,
) -> bytes:
    """The TFLite model of TS-CAN with `weights`, without a card; same arguments, same bytes.

    Inputs and output as `tscan_keras.tscan`'s. Raises UserError for an unknown variant.
    """
    return export(tscan(weights, window, appearance_per_frame), variant)


def export(graph: keras.Model, variant: str = "float32") -> bytes:
    """The TFLite model of any Keras graph of static shapes; inputs keep their names."""
    if variant not in VARIANTS:
        raise UserError(f"unknown variant {variant!r}: there is {', '.join(VARIANTS)}")
    converter = converter_of(graph)
    VARIANTS[variant](converter)
    return bytes(converter.convert())


def converter_of(graph: keras.Model) -> tf.lite.TFLiteConverter:
    """A converter of `graph` with all its settings at their defaults."""
    signature = [
        tf.TensorSpec(tensor.shape, tf.float32, name=tensor.name) for tensor in graph.inputs
    ]
    function = tf.function(lambda *tensors: graph(list(tensors), training=False))
    # Frozen first: without it the converter drops a Keras 3 model's variables and says nothing.
    frozen = convert_variables_to_constants_v2(function.get_concrete_function(*signature))
    return tf.lite.TFLiteConverter.from_concrete_functions([frozen], graph)


def model_card(
    weights: dict[str, np.ndarray],
    weights_name: str,
    variant: str = "float32",
    window: int = PUBLISHED_WINDOW,
    appearance_per_frame: bool = False,
) -> dict[str, object]:
    """The card of a model that `convert` makes of the same arguments.

    Weights that tell nothing of themselves are the pulse's, trained with window-mean appearance.
    """
    shapes = input_shapes(window, appearance_per_frame)
    known = weights if isinstance(weights, Weights) else None
    return {
        "schema": MODEL_SCHEMA,
        "architecture": "ts-can",
        "variant": variant,
        "window": window,
        "appearance": _appearance(appearance_per_frame),
        "trained_appearance": _appearance(known is not None and known.per_frame),
        "signal": known.signal if known else PULSE,
        "inputs": {name: list(shape) for name, shape in shapes.items()},
        "preprocessing": PREPROCESSING,
        "weights": weights_name,
        "weights_sha256": weights_sha256(weights),
        "converter": f"tensorflow {tf.__version__}",
    }


def _appearance(per_frame: bool) -> str:
    return PER_FRAME if per_frame else WINDOW_MEAN


def write_model(path: str | Path, tflite: bytes, card: dict[str, object]) -> None:
    """Write model and card as one file, whole or not at all; UserError where that fails."""
    path = Path(path)
    data = attach_card(tflite, card)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            unfinished.write_bytes(data)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def disable_new_operators(converter: tf.lite.TFLiteConverter) -> None:
    """Keep to operator versions that tflite-runtime 2.11 has."""
    # Fully connected layers with a scale per channel are version 12; it stops at 9.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True


def _dynamic(converter: tf.lite.TFLiteConverter) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    disable_new_operators(converter)


def _float16(converter: tf.lite.TFLiteConverter) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


# What each float-input variant asks of the converter.
VARIANTS: dict[str, Callable[[tf.lite.TFLiteConverter], None]] = {
    "float32": lambda converter: None,
    "float16": _float16,
    "dynamic": _dynamic,
}
