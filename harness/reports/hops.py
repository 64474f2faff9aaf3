"""The table of hops: how far each stage parts from the hop before."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from harness.reports.layout import NOTHING, SHOWN, SYNTHETIC, plain_table
from harness.verdicts.hops import Hop
from harness.verdicts.outcome import Outcome


def hops_table(hops: Sequence[Hop], synthetic: bool) -> Table:
    """A row for each stage's figures at each hop: the worst recording's."""
    remark = f"; {SYNTHETIC} clips" if synthetic else ""
    table = plain_table(f"Hop by hop: the worst recording's difference at each stage{remark}")
    table.add_column("stage", no_wrap=True)
    table.add_column("figure")
    for heading in ("found", "tolerance"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("recording", overflow="fold")
    table.add_column("", no_wrap=True)
    for hop in hops:
        table.add_section()
        name = f"{hop.before} -> {hop.after}"
        table.add_row("", Text(name, style="bold"), f"n={hop.recordings}", "", "", "")
        for one in hop.differences:
            unit = f", {one.unit}" if one.unit else ""
            found = NOTHING if one.value is None else f"{one.value:.4g}"
            bound = f"{'>=' if one.least else '<='} {one.limit:g}"
            outcome = Outcome.INCONCLUSIVE if one.within is None else Outcome.of(one.within)
            row = (one.stage, Text(f"{one.what}{unit}"), found, bound, Text(one.recording))
            table.add_row(*row, Text.assemble(SHOWN[outcome]))
    return table
