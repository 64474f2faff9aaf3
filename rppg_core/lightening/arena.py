"""Memory that a TFLite graph's tensors take while it runs, out of the flatbuffer alone.

A tensor lives from the operator that writes it to the last that reads it; a graph's inputs and
outputs live throughout, constants lie in the file. TFLite's own integer convolutions spread their
input out for a matrix product (im2col) in a scratch buffer besides. Runtimes differ: XNNPACK and an
Edge TPU have no such buffer; how tightly a planner packs tensors is its affair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema

# fmt: off
ITEM_BYTES = {
    schema.TensorType.FLOAT32: 4, schema.TensorType.FLOAT16: 2, schema.TensorType.INT32: 4,
    schema.TensorType.UINT8: 1, schema.TensorType.INT64: 8, schema.TensorType.BOOL: 1,
    schema.TensorType.INT16: 2, schema.TensorType.INT8: 1, schema.TensorType.FLOAT64: 8,
    schema.TensorType.UINT32: 4, schema.TensorType.UINT64: 8, schema.TensorType.UINT16: 2,
}
# fmt: on
EIGHT_BIT = (schema.TensorType.INT8, schema.TensorType.UINT8)


@dataclass(frozen=True)
class Memory:
    """`tensors_bytes`: of the tensors alive at one time, at most; any runtime needs them.

    `arena_bytes`: with the scratch buffers of TFLite's own integer convolutions. `at_least`: there
    are convolutions in floating point, whose buffers are not counted; the arena is larger then.
    """

    tensors_bytes: int
    arena_bytes: int
    at_least: bool


def memory_of(model: Any, graph: Any) -> Memory:
    """What the tensors of a model's `graph` take (objects of TFLite's schema)."""
    last = len(graph.operators)
    outputs = {int(i) for i in graph.outputs}
    lives = {int(i): [0, last] for i in graph.inputs}
    for number, operator in enumerate(graph.operators):
        for i in map(int, operator.inputs):
            if i in lives:
                lives[i][1] = max(lives[i][1], number)
        for i in map(int, operator.outputs):
            lives[i] = [number, last if i in outputs else number]
    bytes_of = {i: tensor_bytes(graph.tensors[i]) for i in lives}
    alive = [
        sum(bytes_of[i] for i, (start, end) in lives.items() if start <= number <= end)
        for number in range(last)
    ]
    scratch = [_im2col_bytes(model, graph, operator) for operator in graph.operators]
    arena = max(map(sum, zip(alive, scratch, strict=True)), default=0)
    floating = any(
        _is_convolution(model, one) and graph.tensors[one.inputs[0]].type not in EIGHT_BIT
        for one in graph.operators
    )
    return Memory(max(alive, default=0), arena, floating)


def tensor_bytes(tensor: Any) -> int:
    """The size of one tensor of a static shape."""
    return ITEM_BYTES[tensor.type] * math.prod(int(n) for n in shape_of(tensor))


def shape_of(tensor: Any) -> tuple[int, ...]:
    """A tensor's shape; empty for a scalar."""
    return () if tensor.shape is None else tuple(int(n) for n in tensor.shape)


def _is_convolution(model: Any, operator: Any) -> bool:
    code = model.operatorCodes[operator.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return bool(number == schema.BuiltinOperator.CONV_2D)


def _im2col_bytes(model: Any, graph: Any, operator: Any) -> int:
    if not _is_convolution(model, operator):
        return 0
    picture, kernel = (graph.tensors[i] for i in operator.inputs[:2])
    if picture.type not in EIGHT_BIT:
        return 0
    options = operator.builtinOptions
    sizes = (*shape_of(kernel)[1:3], options.strideH, options.strideW)
    if all(size == 1 for size in sizes):
        return 0
    out = shape_of(graph.tensors[operator.outputs[0]])
    return math.prod(out[:3]) * math.prod(shape_of(kernel)[1:])
