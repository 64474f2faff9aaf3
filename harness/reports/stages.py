"""The table of cases held against other replays: which stage parts from them, and memory."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from harness.reports.layout import SHOWN, Row, add_case, empty_table
from harness.verdicts.outcome import GateResult

Named = tuple[Sequence[str], Sequence[GateResult]]
"""What stands beside a case, and its gates."""


def stage_table(cases: Sequence[Named]) -> Table:
    """A row for each gate: the stage it speaks of, its name, figure and bound."""
    table = empty_table("Stage by stage, against other replays", ("stage", "figure", "found"))
    for names, gates in cases:
        rows: list[Row] = [(one.stage or "", one.gate, _figure(one.figure)) for one in gates]
        if rows:
            add_case(table, names, rows, [[_verdict(one)] for one in gates])
    return table


def _figure(figure: float | None) -> str:
    if figure is None:
        return "-"
    return f"{figure:,.0f}" if figure >= 1e5 else f"{figure:.4g}"


def _verdict(gate: GateResult) -> Text:
    bound = ""
    if gate.threshold is not None:
        sign = ">=" if gate.gate.endswith(("correlation", "snr_db")) else "<="
        bound = f" {sign} {_figure(gate.threshold)}"
    return Text.assemble(SHOWN[gate.outcome], bound)
