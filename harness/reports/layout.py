"""What the tables of a summary have in common: a case beside its figures and its gates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from harness.verdicts.gates import (
    CALIBRATED_WITH,
    COMPARABLE,
    CORRELATION,
    DELAY,
    DROPPED,
    FIDELITY_SNR,
    IN_WORST_MINUTE,
    LOST,
    MISSED,
    MS_PER_FRAME,
    PAIRED,
    REPLAYED,
    RTF,
    RULE,
    SHARED_SCALES,
    SIZE,
    SNR,
)
from harness.verdicts.outcome import GateResult, Outcome
from harness.verdicts.thresholds import Case

SYNTHETIC = "synthetic"
NOTHING = "-"

# What stands before a gate's threshold where its row does not say which figure is meant.
RELATIONS = {
    SNR: "SNR >=",
    FIDELITY_SNR: "SNR >=",
    CORRELATION: "r >=",
    LOST: "lost <=",
    PAIRED: "apart <=",
    SIZE: "B <=",
    SHARED_SCALES: "shared <=",
    CALIBRATED_WITH: "calib. >=",
    MISSED: "late <=",
    DROPPED: "drop <=",
    DELAY: "p99 <=",
    RTF + IN_WORST_MINUTE: "RTF <=",
}

Row = tuple[str, ...]


def empty_table(title: str, columns: Sequence[str], last: str = "gate") -> Table:
    """Return an empty table: the case, a name, figures, and the gates."""
    table = plain_table(title)
    table.add_column("case", overflow="fold", min_width=8)
    table.add_column(columns[0], no_wrap=True)
    for column in columns[1:]:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column(last, no_wrap=True)
    return table


def plain_table(title: str) -> Table:
    """Return a table without columns in the summary's style."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
    )


def dataset_name(case: Case, synthetic: bool) -> str:
    """Name a dataset so that rendered clips are never taken for recordings of people."""
    if synthetic and SYNTHETIC not in case.dataset:
        return f"{case.dataset} ({SYNTHETIC})"
    return case.dataset


def add_case(
    table: Table,
    names: Sequence[str],
    rows: Sequence[Row],
    verdicts: Sequence[Sequence[Text]],
) -> None:
    """Add a case's rows with their verdicts; ``names`` stand beside them, one a line."""
    table.add_section()
    blank: Row = ("",) * len(rows[0])
    lines: list[tuple[Row, Text]] = []
    for row, of_row in zip(rows, verdicts, strict=True):
        lines += zip((row, *[blank] * len(of_row)), of_row or [Text()], strict=False)
    lines += [(blank, Text())] * (len(names) - len(lines))
    for i, (row, verdict) in enumerate(lines):
        table.add_row(Text(names[i] if i < len(names) else "", style="bold"), *row, verdict)


def number(figure: float | None, digits: int) -> str:
    """Write a figure, or that there is none."""
    return NOTHING if figure is None else f"{figure:.{digits}f}"


def milliseconds(figure: float | None, digits_below_1: int = 2) -> str:
    """Write a time in about three digits, so that all columns fit beside each other."""
    if figure is None or figure < 1:
        return number(figure, digits_below_1)
    return number(figure, 2 if figure < 10 else 1 if figure < 100 else 0)


SHOWN = {
    Outcome.PASS: ("pass", "green"),
    Outcome.FAIL: ("FAIL", "bold red"),
    Outcome.INCONCLUSIVE: ("unsure", "yellow"),
    Outcome.INVALID: ("invalid", "bold yellow"),
}


def verdicts_of(results: Iterable[GateResult], *gates: str) -> list[Text]:
    """Write the results that there are for some gates."""
    return [_verdict(one) for one in results if one.gate in gates]


def _verdict(result: GateResult) -> Text:
    if result.gate == RULE:
        bound = "no rule"
    elif result.gate == REPLAYED:
        bound = f"{result.figure:.0f} failed"
    elif result.gate == COMPARABLE:
        bound = "another baseline"
    elif result.figure is None and result.gate.startswith(MS_PER_FRAME):
        bound = f"no {result.gate.removeprefix(MS_PER_FRAME)[1:]}"
    else:
        threshold = result.threshold
        exact = threshold is not None and threshold >= 1e5
        written = f"{threshold:.0f}" if exact else f"{threshold:g}"
        relation = RELATIONS.get(result.gate) or RELATIONS.get(
            result.gate.removesuffix(IN_WORST_MINUTE), "<="
        )
        bound = f"{relation} {written}"
    return Text.assemble(SHOWN[result.outcome], " ", bound)
