"""Finer steps for an int8 model's inner tensors than the converter gives them.

The converter gives a tensor the widest range that calibration saw. Where that is much wider than
where the values lie, rounding costs the pulse several dB; there the tails are better cut off. A
range is a scale and a zero point beside each tensor, which operators read: changing them, and the
biases whose unit depends on them, is all it takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

INT8_STEPS = 255

# A tanh is flat beyond.
TANH_LIMIT = 4.0

# How much more than in calibration a mask may hold: they differ between faces.
MASK_HEADROOM = 1.5

_NAMES = {number: name for name, number in vars(schema.BuiltinOperator).items()}
_BIASED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
POOLING_KERNEL = (1, 2, 2)


def narrow(tflite: bytes, in_parts: float, gated: Sequence[tuple[float, float]] = ()) -> bytes:
    """The int8 model with finer steps before each tanh and after each mask, and ranges of inputs.

    Inputs in two parts hold -`in_parts` to `in_parts`; masks more than calibration showed. `gated`
    has, for each mask in order, what the features it was applied to and their 2x2 means may hold.
    """
    model = bytearray(tflite)
    root = schema.Model.GetRootAs(model, 0)
    graph = root.Subgraphs(0)
    for number in range(graph.InputsLength()):
        source = graph.Tensors(graph.Inputs(number))
        if source.Shape(3) == 1:
            source.Quantization().ScaleAsNumpy()[:] *= MASK_HEADROOM
        else:
            _hold(source, in_parts)
    gates, pools = (iter([pair[i] for pair in gated]) for i in range(2))
    for name, operator in operators(root):
        source, target = graph.Tensors(operator.Inputs(0)), graph.Tensors(operator.Outputs(0))
        if name == "TANH" and source.Quantization().Scale(0) > _scale(TANH_LIMIT):
            _hold(source, TANH_LIMIT)
        elif name == "MUL":
            _hold(target, next(gates))
        elif name == "DEPTHWISE_CONV_2D" and gated and _kernel(graph, operator) == POOLING_KERNEL:
            _hold(target, next(pools))
        elif name in ("RESHAPE", "DEPTHWISE_CONV_2D", "PAD"):  # these only move values
            _copy(source, target)
    for name, operator in operators(root):
        if name in _BIASED:
            _fit_bias(root, operator)
    return bytes(model)


def operators(root: Any) -> Iterator[tuple[str, Any]]:
    """Name and table of each operator of a model read with `schema.Model`, in order."""
    graph = root.Subgraphs(0)
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        yield _NAMES[root.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()], operator


def _kernel(graph: Any, operator: Any) -> tuple[int, ...]:
    return tuple(graph.Tensors(operator.Inputs(1)).ShapeAsNumpy()[:3].tolist())


def _scale(limit: float) -> float:
    return 2 * limit / INT8_STEPS


def _hold(tensor: Any, limit: float) -> None:
    """Let `tensor` hold -limit to limit. The arrays are views of the file."""
    ranges = tensor.Quantization()
    ranges.ScaleAsNumpy()[:] = _scale(limit)
    ranges.ZeroPointAsNumpy()[:] = 0


def _copy(source: Any, target: Any) -> None:
    one, other = source.Quantization(), target.Quantization()
    other.ScaleAsNumpy()[:] = one.ScaleAsNumpy()
    other.ZeroPointAsNumpy()[:] = one.ZeroPointAsNumpy()


def _fit_bias(root: Any, operator: Any) -> None:
    """Bring a bias to the unit it is added in: the input's scale times each kernel's."""
    graph = root.Subgraphs(0)
    source, kernel, bias = (graph.Tensors(operator.Inputs(i)) for i in range(3))
    old = bias.Quantization().ScaleAsNumpy()
    new = source.Quantization().Scale(0) * kernel.Quantization().ScaleAsNumpy()
    values = root.Buffers(bias.Buffer()).DataAsNumpy().view(np.int32)
    values[:] = np.rint(values * (old.astype(np.float64) / new))
    old[:] = new
