"""What is in a TFLite file: operators, their work, and whether an Edge TPU could run them.

The Edge TPU's rules are the published ones (coral.ai, "TensorFlow models on the Edge TPU"): listed
operators, 8-bit integers, no dimension above 1 beyond the three innermost. Its compiler decides.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rppg_core.errors import ModelError
from rppg_core.lightening.op_versions import smallest_runtime
from rppg_core.model_card import IDENTIFIER_AT, TFLITE_IDENTIFIER, has_card, read_card

if TYPE_CHECKING:
    from rppg_core.lightening.arena import Memory

# fmt: off
EDGE_TPU_OPERATORS = frozenset((
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "EXPAND_DIMS",
    "FULLY_CONNECTED", "L2_NORMALIZATION", "LOGISTIC", "LSTM", "MAXIMUM", "MAX_POOL_2D", "MEAN",
    "MINIMUM", "MUL", "PACK", "PAD", "PRELU", "QUANTIZE", "REDUCE_MAX", "REDUCE_MIN", "RELU",
    "RELU6", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RSQRT",
    "SLICE", "SOFTMAX", "SPACE_TO_DEPTH", "SPLIT", "SQUEEZE", "STRIDED_SLICE", "SUB", "SUM",
    "SQUARED_DIFFERENCE", "TANH", "TRANSPOSE", "TRANSPOSE_CONV",
))
# fmt: on
INNERMOST = 3  # dimensions of a tensor that an Edge TPU lets exceed 1
EDGE_TPU_TYPES = frozenset({"INT8", "UINT8"})
EDGE_TPU_BINARY = "edgetpu-custom-op"


@dataclass(frozen=True)
class Operator:
    """One operator; `refused` says why an Edge TPU cannot run it, empty where it can."""

    name: str
    version: int
    types: tuple[str, ...]  # of inputs, then of the output
    shape: tuple[int, ...]  # of the first output
    macs: int
    refused: str
    shares_scale: bool  # a convolution's integer kernels, all with one scale


@dataclass(frozen=True)
class Inspection:
    """A model file's operators in order, its memory, its card where it has one.

    `min_runtime` is the first release of TFLite that has all operators but those of `unplaced`.
    """

    path: Path
    size_bytes: int
    operators: tuple[Operator, ...]
    memory: Memory
    min_runtime: str
    unplaced: tuple[str, ...]
    card: dict[str, Any] | None

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one call."""
        return sum(one.macs for one in self.operators)

    @property
    def mappable_percent(self) -> float:
        """Share of operators that an Edge TPU can run."""
        return 100 * sum(not one.refused for one in self.operators) / max(len(self.operators), 1)


def inspect_model(path: Path) -> Inspection:
    """Read the TFLite file at `path`. Raises ModelError, also for one its card is not of."""
    from ai_edge_litert import schema_py_generated as schema  # noqa: PLC0415 (no start-up cost)

    from rppg_core.lightening.arena import memory_of  # noqa: PLC0415

    try:
        data = path.read_bytes()
    except OSError as bad:
        raise ModelError(f"{path}: cannot be read ({bad.strerror})") from None
    if data[IDENTIFIER_AT] != TFLITE_IDENTIFIER:
        raise ModelError(f"{path}: not a TFLite model")
    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    types = {number: name for name, number in vars(schema.TensorType).items()}
    try:
        model = schema.ModelT.InitFromPackedBuf(data, 0)
        graph = model.subgraphs[0]
        operators = []
        for one in graph.operators:
            code = model.operatorCodes[one.opcodeIndex]
            name = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
            if name == "CUSTOM":
                name = code.customCode.decode("utf-8", "replace")
            inputs = [graph.tensors[i] for i in one.inputs if i >= 0]
            outputs = [graph.tensors[i] for i in one.outputs]
            operators.append(_operator(name, code.version, inputs, outputs, types))
        memory = memory_of(model, graph)
    except Exception:  # a damaged flatbuffer fails anywhere, in any way
        raise ModelError(f"{path}: a damaged TFLite model") from None
    runtime = smallest_runtime((one.name, one.version) for one in operators)
    card = read_card(path) if has_card(path) else None
    return Inspection(path, len(data), tuple(operators), memory, *runtime, card)


def to_json(model: Inspection) -> dict[str, Any]:
    """All that is known of a model, as JSON can hold it."""
    return {
        "path": str(model.path),
        "size_bytes": model.size_bytes,
        "macs": model.macs,
        "mappable_percent": model.mappable_percent,
        "min_runtime": model.min_runtime,
        "unplaced_operators": list(model.unplaced),
        **asdict(model.memory),
        "operators": [{**asdict(one), "mappable": not one.refused} for one in model.operators],
        "card": model.card,
    }


def report(model: Inspection) -> str:
    """The operators as a table, alike ones counted, with totals."""
    counted: dict[tuple[str, int, str, str], list[int]] = {}
    for one in model.operators:
        kinds = " ".join(one.types[:-1]) + " -> " + one.types[-1]
        key = (one.name, one.version, kinds.lower(), one.refused or "yes")
        count = counted.setdefault(key, [0, 0])
        count[0] += 1
        count[1] += one.macs
    lines = [f"{model.path}: {model.size_bytes:,} bytes, {len(model.operators)} operators"]
    if model.card:
        lines.append(f"  {card_line(model.card)}")
    lines.append(f"  {'operator':20} {'version':>7} {'count':>5} {'MMAC':>8}  Edge TPU; types")
    for (name, version, kinds, mappable), (number, macs) in sorted(counted.items()):
        lines.append(f"  {name:20} {version:7} {number:5} {macs / 1e6:8.2f}  {mappable}; {kinds}")
    lines.append(
        f"  {model.macs / 1e6:.1f} million multiply-accumulates a call; an Edge TPU can run "
        f"{model.mappable_percent:.0f} % of the operators; needs TFLite {model.min_runtime}"
        + "".join(f"; since when there is {one} is not known" for one in model.unplaced)
    )
    scratch = model.memory.arena_bytes - model.memory.tensors_bytes
    lines.append(
        f"  arena {'at least ' * model.memory.at_least}{model.memory.arena_bytes:,} bytes: "
        f"tensors alive at once {model.memory.tensors_bytes:,}"
        + (f", scratch of TFLite's own integer convolutions {scratch:,}" if scratch else "")
    )
    return "\n".join(lines)


def card_line(card: dict[str, Any]) -> str:
    """What a card says, in one line."""
    form = f", {card['form']} half" if "form" in card else ""
    calibrated = card.get("calibration", {}).get("dataset")
    return (
        f"{card['variant']}{form} of {card['weights']} ({card['weights_sha256'][:12]}), "
        f"{card['signal']}, window {card['window']}, appearance {card['appearance']}, "
        + (f"calibrated with {calibrated}, " if calibrated else "")
        + f"by {card['converter']}"
    )


def _operator(
    name: str, version: int, inputs: list[Any], outputs: list[Any], types: dict[int, str]
) -> Operator:
    shape = _shape(outputs[0])
    kinds = tuple(types[tensor.type] for tensor in [*inputs, outputs[0]])
    return Operator(
        name,
        version,
        kinds,
        shape,
        _macs(name, inputs, shape),
        _refused(name, inputs, outputs, types),
        name == "CONV_2D" and types[inputs[1].type] == "INT8" and _shares_scale(inputs[1]),
    )


def _shares_scale(kernel: Any) -> bool:
    return _shape(kernel)[0] > 1 and len(kernel.quantization.scale) == 1


def _macs(name: str, inputs: list[Any], shape: tuple[int, ...]) -> int:
    """Products summed into the output, of the operators that have weights."""
    if name not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        return 0
    kernel = _shape(inputs[1])
    # Kernels are (out, h, w, in), (1, h, w, out) and (out, in).
    per_value = math.prod(kernel[1:3]) if name == "DEPTHWISE_CONV_2D" else math.prod(kernel[1:])
    return math.prod(shape) * per_value


def _refused(name: str, inputs: list[Any], outputs: list[Any], types: dict[int, str]) -> str:
    if name == EDGE_TPU_BINARY:
        return ""
    if name not in EDGE_TPU_OPERATORS:
        return "unknown to it"
    found = {types[tensor.type] for tensor in outputs}
    if not found <= EDGE_TPU_TYPES:
        return f"computes in {', '.join(sorted(found)).lower()}"
    if any(math.prod(_shape(tensor)[:-INNERMOST]) > 1 for tensor in [*inputs[:1], *outputs]):
        return f"more than {INNERMOST} dimensions"
    return ""


def _shape(tensor: Any) -> tuple[int, ...]:
    return () if tensor.shape is None else tuple(int(n) for n in tensor.shape)
