"""A gate as a table shows it: its name, figure, threshold and baseline, with their units."""

from __future__ import annotations

from math import isfinite

from harness.reports.gate_words import meaning_of
from harness.verdicts.accuracy import HeartRateGroup
from harness.verdicts.gates import IN_WORST_MINUTE
from harness.verdicts.latency import STAGES
from harness.verdicts.outcome import GateResult

EXACT = 6
"""Digits of a threshold: as it was written."""
TINY = 1e-9
"""Below this share of its threshold, a figure is about nothing."""
SHARE_LOST = 0.02
"""Of the distance to a threshold, what rounding may take."""
GROUPS = tuple(group.value for group in HeartRateGroup)
WORST_MINUTE = IN_WORST_MINUTE.removeprefix(".")
PARTS = {**{group: f"{group} group" for group in GROUPS}, WORST_MINUTE: "worst minute"}
"""What may follow a gate's name, beside stages."""


def gate_name(gate: GateResult) -> str:
    """What a gate measures, as a table names it."""
    known, part = meaning_of(gate), gate.gate.partition(".")[2]
    if known is None:
        return gate.gate
    if "{stage}" in known.says:
        return f"{known.name}, {part if part not in ('', 'all') else 'all stages'}"
    if not part or part not in (*GROUPS, WORST_MINUTE, *STAGES):
        return known.name
    return f"{known.name}, {PARTS.get(part, part)}"


def relation(gate: GateResult) -> str:
    """How a figure has to stand to its threshold."""
    known = meaning_of(gate)
    return "≥" if known is not None and known.least else "≤"


def unit(gate: GateResult) -> str:
    """The unit of a gate's figure and threshold, as they are shown."""
    known = meaning_of(gate)
    return known.unit if known is not None else ""


def figure_text(gate: GateResult) -> str:
    """A gate's figure, exact enough to see on which side of its threshold it is."""
    figure, limit = shown(gate, gate.figure), shown(gate, gate.threshold)
    if figure is None:
        return "–"
    if limit is None or figure == limit or not isfinite(figure):
        return number(figure)
    if 0 < abs(figure) < TINY * abs(limit):
        return "≈ 0"
    for digits in range(3, 9):
        text = number(figure, digits)
        if abs(float(text.replace(",", "")) - figure) <= SHARE_LOST * abs(figure - limit):
            return text
    return repr(figure)


def limit_text(gate: GateResult) -> str:
    """What the figure is held against, as a table shows it."""
    limit = shown(gate, gate.threshold)
    return "–" if limit is None else f"{relation(gate)} {number(limit, EXACT)}"


def baseline_text(gate: GateResult) -> str:
    """What was compared with, with its unit."""
    known = meaning_of(gate)
    if gate.baseline is None:
        return "–"
    if known is None:
        return number(gate.baseline)
    return with_unit(number(gate.baseline / known.compared_size), known.compared_with)


def interval_text(gate: GateResult) -> str:
    """How sure a change is, in the unit of its threshold."""
    ends = gate.interval
    return "–" if ends is None else f"{number(ends.low)} to {number(ends.high)}"


def number(value: float, digits: int = 3) -> str:
    """A figure as people write it: 0.0021, 9.2, 12,345."""
    if abs(value) >= 1000 and isfinite(value):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def with_unit(figure: str, unit: str) -> str:
    """A figure before its unit; of one there is no plural."""
    if figure == "1" and len(unit) > len("ms"):
        unit = unit.removesuffix("s")
    return f"{figure} {unit}".rstrip()


def shown(gate: GateResult, value: float | None) -> float | None:
    """A figure in the unit it is shown in."""
    known = meaning_of(gate)
    return value if value is None or known is None else value / known.size
