"""Since which release TFLite has each version of an operator, of those that matter here.

Out of TFLite's own list (tensorflow/lite/tools/versioning). What a converter writes into a file as
the runtime it needs leaves out versions newer than that list, so it is not relied on.
"""

from __future__ import annotations

from collections.abc import Iterable

# By version of the operator, from 1: the release of the runtime that brought it.
# fmt: off
SINCE: dict[str, tuple[str, ...]] = {
    "ADD": ("1.5", "1.14", "2.4", "2.6"),
    "AVERAGE_POOL_2D": ("1.5", "1.14", "2.3"),
    "CONCATENATION": ("1.5", "1.14", "2.3"),
    "CONV_2D": ("1.5", "1.14", "1.14", "2.3", "2.4", "2.9"),
    "DEPTHWISE_CONV_2D": ("1.5", "1.12", "1.14", "2.2", "2.3", "2.3"),
    "DEQUANTIZE": ("1.13", "1.14", "1.15", "2.2", "2.7"),
    "DIV": ("1.6", "2.3"),
    "EXPAND_DIMS": ("1.10",),
    "FULLY_CONNECTED": ("1.5", "1.10", "1.14", "1.14", "2.0", "2.1", "2.3", "2.3", "2.3"),
    "L2_NORMALIZATION": ("1.5", "1.14"),
    "LOGISTIC": ("1.14", "1.14", "2.3"),
    "MAXIMUM": ("1.14", "1.14", "2.3", "2.3"),
    "MAX_POOL_2D": ("1.5", "1.14", "2.3"),
    "MEAN": ("1.6", "1.14", "2.4"),
    "MINIMUM": ("1.14", "1.14", "2.3", "2.3"),
    "MUL": ("1.5", "1.14", "1.15", "2.3", "2.6"),
    "PACK": ("1.11", "1.14", "2.3"),
    "PAD": ("1.5", "1.14", "2.4", "2.6"),
    "PRELU": ("1.8",),
    "QUANTIZE": ("1.14", "1.15", "2.7"),
    "REDUCE_MAX": ("1.11", "1.14", "2.5"),
    "REDUCE_MIN": ("1.11", "1.14", "2.5"),
    "RELU": ("1.5", "2.1", "2.5"),
    "RELU6": ("1.5", "1.14", "2.5"),
    "RESHAPE": ("1.5",),
    "RESIZE_BILINEAR": ("1.7", "1.14", "2.2", "2.5"),
    "RESIZE_NEAREST_NEIGHBOR": ("1.13", "1.14", "2.3", "2.4"),
    "RSQRT": ("1.10", "2.5"),
    "SLICE": ("1.14", "1.14", "1.14", "2.4", "2.5"),
    "SOFTMAX": ("1.5", "1.14", "2.3"),
    "SPACE_TO_DEPTH": ("1.5", "1.14"),
    "SPLIT": ("1.5", "1.14", "1.14", "2.3"),
    "SPLIT_V": ("1.13", "2.3"),
    "SQUARED_DIFFERENCE": ("1.13", "2.5"),
    "SQUEEZE": ("1.6", "2.5"),
    "STRIDED_SLICE": ("1.6", "1.14", "2.1", "2.2", "2.5", "2.6"),
    "SUB": ("1.6", "1.14", "2.3", "2.4", "2.4"),
    "SUM": ("1.10", "1.15"),
    "TANH": ("1.14", "1.14", "2.3"),
    "TRANSPOSE": ("1.6", "1.14", "1.15", "2.3", "2.4"),
    "TRANSPOSE_CONV": ("1.9", "2.2", "2.3"),
}
# fmt: on


def smallest_runtime(operators: Iterable[tuple[str, int]]) -> tuple[str, tuple[str, ...]]:
    """(release, unknown) for operators given as (name, version).

    The release is the first that has all those known; `unknown` names those it cannot tell of,
    newer than the list or none of TFLite's own, each as "NAME version N".
    """
    needed, unknown = [(1, 0)], set()
    for name, version in operators:
        releases = SINCE.get(name, ())
        if 1 <= version <= len(releases):
            major, minor = releases[version - 1].split(".")
            needed.append((int(major), int(minor)))
        else:
            unknown.add(f"{name} version {version}")
    major_minor = max(needed)
    return f"{major_minor[0]}.{major_minor[1]}", tuple(sorted(unknown))
