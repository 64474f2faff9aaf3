"""What a board that counts instructions instead of time has to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from harness.reports.layout import Row, add_case, empty_table, number, verdicts_of
from harness.verdicts.counts import CountReport, StageCount
from harness.verdicts.gates import count_gate
from harness.verdicts.outcome import GateResult
from harness.verdicts.thresholds import Case


@dataclass(frozen=True)
class Counted:
    """A case with its counts, if it has any, their gates, and what its user measured elsewhere."""

    names: Sequence[str]
    case: Case
    counts: CountReport | None
    gates: Sequence[GateResult]
    instructions_per_ms: Mapping[str, float]


def count_table(cases: Sequence[Counted]) -> Table:
    """Return a table with a row for each stage of each case whose board counts instructions."""
    title = "Work: millions of instructions per call, mean per frame; no time"
    table = empty_table(title, ("stage", "calls", "p50", "p99", "/frame", "%"))
    for one in cases:
        if one.counts is None:
            continue
        stages = one.counts.stages
        rows = [_count_row(stage) for stage in stages]
        rows.append(("all", "", "", "", number(one.counts.minstr_per_frame, 3), ""))
        verdicts = [verdicts_of(one.gates, count_gate(stage.stage)) for stage in stages]
        shown = {count_gate(stage.stage) for stage in stages}
        others = [gate.gate for gate in one.gates if gate.gate not in shown]
        verdicts.append(verdicts_of(one.gates, *others))
        add_case(table, one.names, rows, verdicts)
    return table


def estimates(cases: Sequence[Counted]) -> list[str]:
    """Say what counts might mean in time, by factors the user measured."""
    return [
        f"{one.case}: about {estimate_ms:.1f} ms a frame on {board}, at {factor:g} instructions "
        "per ms (boards.yaml); not measured"
        for one in cases
        if one.counts is not None
        for board, factor in sorted(one.instructions_per_ms.items())
        if (estimate_ms := one.counts.estimate_ms(factor)) is not None
    ]


def _count_row(figures: StageCount) -> Row:
    percentiles = (figures.p50_minstr, figures.p99_minstr)
    return (
        figures.stage,
        str(figures.calls),
        *(number(one, 3) for one in percentiles),
        number(figures.minstr_per_frame, 3),
        f"{figures.share_percent:.1f}",
    )
