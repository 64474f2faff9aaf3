"""Which targets nothing beats: no other is as good in everything and better in one."""

from __future__ import annotations

import math
from collections.abc import Sequence


def optimal(costs: Sequence[Sequence[float]]) -> list[bool]:
    """Return for each target whether it is Pareto-optimal.

    ``costs`` (targets, criteria) are all the better the smaller. Equal targets do not beat each
    other. Raises ValueError for a cost that is no number.
    """
    if any(math.isnan(cost) for one in costs for cost in one):
        raise ValueError("a cost that is no number cannot be compared")
    return [not any(_beats(other, one) for other in costs) for one in costs]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
