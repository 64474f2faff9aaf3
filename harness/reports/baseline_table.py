"""The table of what changed since the approved figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from harness.reports.layout import NOTHING, SHOWN, Row, add_case, empty_table
from harness.verdicts.against_baseline import BASELINE, COMPLETE, Comparison
from harness.verdicts.change_gates import ALL, ERROR_CHANGE, INSTRUCTIONS_ADDED, SLOWDOWN
from harness.verdicts.gates import COMPARABLE
from harness.verdicts.outcome import GateResult

UNITS = {ERROR_CHANGE: "bpm", SLOWDOWN: "ms", INSTRUCTIONS_ADDED: "M instr"}
IN_PERCENT = (SLOWDOWN, INSTRUCTIONS_ADDED)
WORDS = {COMPARABLE: "another origin", COMPLETE: "not the same", BASELINE: "no baseline"}


@dataclass(frozen=True)
class Against:
    """A case's comparisons with its baseline."""

    names: tuple[str, str, str]
    comparisons: tuple[Comparison, ...]

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """The gates of both."""
        return tuple(gate for one in self.comparisons for gate in one.gates)


def baseline_table(cases: Iterable[Against]) -> Table:
    """Return a table with a row for each figure that was held against an approved one."""
    title = "Since the baseline: MAE in bpm; geometric mean ms or M instr a frame"
    table = empty_table(title, ("figure", "before", "now", "change", "99 % CI"))
    for one in cases:
        gates = one.gates
        if gates:
            add_case(table, one.names, [_row(gate) for gate in gates], [[_said(g)] for g in gates])
    return table


def baseline_notes(cases: Iterable[Against]) -> Iterator[str]:
    """Say why a case could not be compared, and what else is not as in its baseline."""
    for one in cases:
        name = " / ".join(one.names)
        lacking = [each.lacking.value for each in one.comparisons if each.lacking]
        if lacking:
            yield f"{name}: none of {' and '.join(lacking)}; --update-baseline makes it"
        for gate in one.gates:
            if gate.gate.partition(".")[0] in WORDS:
                yield f"{name}: {gate.message}"
        noted = dict.fromkeys(str(change) for each in one.comparisons for change in each.noted)
        if noted:
            yield f"{name}: otherwise than in the baseline: {'; '.join(noted)}"
        if any(each.sessions == 1 for each in one.comparisons):
            yield (
                f"{name}: times of one session are approved, which cannot tell how far sessions "
                "lie apart; --update-baseline on another day adds one"
            )


def _row(gate: GateResult) -> Row:
    kind, _, of = gate.gate.partition(".")
    if kind not in UNITS:
        return (f"{of or 'recordings'}", NOTHING, NOTHING, NOTHING, NOTHING)
    percent = kind in IN_PERCENT
    figure = f"{'MAE ' if kind == ERROR_CHANGE else 'time '}{of or ALL}"
    if kind == INSTRUCTIONS_ADDED:
        figure = f"work {of or ALL}"
    unit, digits = (" %", 1) if percent else ("", 2)
    ends = gate.interval
    return (
        figure,
        NOTHING if gate.baseline is None else f"{gate.baseline:.3g}",
        _now(gate, percent),
        NOTHING if gate.figure is None else f"{gate.figure:+.{digits}f}{unit}",
        NOTHING if ends is None else f"{ends.low:+.{digits}f} {ends.high:+.{digits}f}",
    )


def _now(gate: GateResult, percent: bool) -> str:
    """The baseline with the change in it."""
    was, change = gate.baseline, gate.figure
    if was is None or change is None:
        return NOTHING
    return f"{was * (1 + change / 100) if percent else was + change:.3g}"


def _said(gate: GateResult) -> Text:
    kind = gate.gate.partition(".")[0]
    if kind in UNITS and gate.threshold is not None:
        said = f"< {gate.threshold:g}{' %' if kind in IN_PERCENT else ''}"
    else:
        said = WORDS.get(kind, kind)
    return Text.assemble(SHOWN[gate.outcome], " ", said)
