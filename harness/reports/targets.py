"""Boards and forms of the model side by side: error, time, memory, size, energy if metered."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.plain_text import printable
from harness.rating import Target
from harness.reports.layout import NOTHING, dataset_name, milliseconds, number, plain_table
from harness.reports.markdown import markdown_text
from harness.verdicts.accuracy import HeartRateGroup
from harness.verdicts.latency import STAGES

SYNTHETIC_NOTE = "synthetic: rendered clips with a known pulse; no person was measured"
MARK = "*"
NOTES = (
    "* nothing here is at least as good in both MAE and time a frame and better in one (Pareto), "
    "by the figures as measured; M instr are compared among themselves only",
    "ms, p99: of a frame over all stages; decode to post: % of the time",
)
ENERGY_NOTE = "J/s: joules a second of video, by the board's meter; - where it has none"


def target_tables(targets: Sequence[Target]) -> RenderableType:
    """Two tables for each dataset, and what their columns mean."""
    parts: list[RenderableType] = []
    for dataset in dict.fromkeys(one.case.dataset for one in targets):
        here = [one for one in targets if one.case.dataset == dataset]
        name = dataset_name(here[0].case, here[0].synthetic)
        parts += [_table(f"Error and time on {name}: bpm, ms a frame", here, HEAD, head_row), ""]
        title = f"Stages and memory on {name}"
        parts += [_table(title, here, rest_columns(here), rest_row(here)), ""]
    return Group(*parts, *(Text(note) for note in notes(targets)))


def markdown(targets: Sequence[Target]) -> str:
    """Return the same for a pull request."""
    lines = []
    for dataset in dict.fromkeys(one.case.dataset for one in targets):
        here = [one for one in targets if one.case.dataset == dataset]
        lines += [f"**{markdown_text(dataset_name(here[0].case, here[0].synthetic))}**", ""]
        for columns, row in ((HEAD, head_row), (rest_columns(here), rest_row(here))):
            lines.append("| " + " | ".join(columns) + " |")
            lines.append("|---|---|" + "--:|" * (len(columns) - 2))
            for one in here:
                lines.append("| " + " | ".join(map(markdown_text, row(one))) + " |")
            lines.append("")
    return "\n".join([*lines, *(markdown_text(note) + "  " for note in notes(targets))])


def as_json(targets: Sequence[Target]) -> str:
    """Return every figure of every target."""
    return json.dumps([_plain(one) for one in targets], indent=1)


def as_csv(targets: Sequence[Target]) -> str:
    """Return a line for each target, with a column for each figure that any of them has."""
    names = sorted({name for one in targets for name in one.figures})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ("board", "dataset", "variant", "synthetic", "unit", "pareto", "unrated")
    writer.writerow([*head, *names])
    for one in targets:
        about = (one.case.board, one.case.dataset, one.case.variant, one.synthetic, one.unit)
        writer.writerow([*about, one.best, one.unrated, *(one.value(name) for name in names)])
    return text.getvalue()


def notes(targets: Sequence[Target]) -> list[str]:
    """Return what the columns mean, and that no person was measured where that is so."""
    unrated = [f"{one.case}: not compared: {one.unrated}" for one in targets if one.unrated]
    energy = [ENERGY_NOTE] * _metered(targets)
    synthetic = [SYNTHETIC_NOTE] * any(one.synthetic for one in targets)
    return [*NOTES, *energy, *map(printable, unrated), *synthetic]


HEAD = ("board", "variant", "MAE", "low", "middle", "high", "RTF", "ms", "p99", "M instr", MARK)
REST = ("board", "variant", "decode", "detect", "prep.", "predict", "post", "MB", "model kB")
NOT_RATED = "?"


def rest_columns(targets: Sequence[Target]) -> tuple[str, ...]:
    """Return the columns of the second table; energy only where a board has a meter."""
    return (*REST, *["J/s"] * _metered(targets))


def head_row(one: Target) -> tuple[str, ...]:
    """Return error and time."""
    timed = one.unit == "ms"
    groups = [number(one.value(f"mae_bpm.{group.value}"), 2) for group in HeartRateGroup]
    return (
        one.case.board,
        one.case.variant,
        number(one.value("mae_bpm"), 2),
        *groups,
        number(one.value("real_time_factor"), 3),
        milliseconds(one.cost) if timed else NOTHING,
        milliseconds(one.value("p99_ms")) if timed else NOTHING,
        NOTHING if timed else number(one.cost, 2),
        NOT_RATED if one.unrated else MARK if one.best else "",
    )


def rest_row(targets: Sequence[Target]) -> Callable[[Target], tuple[str, ...]]:
    """Return what writes where the time goes, and what else it takes, for one of these."""
    metered = _metered(targets)

    def row(one: Target) -> tuple[str, ...]:
        energy = number(one.value("joules_per_media_s"), 2)
        return (*_rest(one), *[energy] * metered)

    return row


def _metered(targets: Sequence[Target]) -> bool:
    return any(one.value("joules_per_media_s") is not None for one in targets)


def _rest(one: Target) -> tuple[str, ...]:
    peak, size = one.value("peak_memory_bytes"), one.value("model_bytes")
    return (
        one.case.board,
        one.case.variant,
        *(number(one.value(f"share_percent.{stage}"), 1) for stage in STAGES),
        number(None if peak is None else peak / 1e6, 0),
        number(None if size is None else size / 1e3, 0),
    )


def _table(title: str, targets: Sequence[Target], columns: Sequence[str], row: Any) -> Table:
    table = plain_table(printable(title))
    for column in columns[:2]:
        table.add_column(column, overflow="fold", min_width=7)
    for column in columns[2:]:
        table.add_column(column, justify="right", no_wrap=True)
    board = ""
    for one in targets:
        if one.case.board != board:
            table.add_section()
        board = one.case.board
        table.add_row(*(Text(printable(cell)) for cell in row(one)))
    return table


def _plain(one: Target) -> dict[str, Any]:
    return {
        "board": one.case.board,
        "dataset": one.case.dataset,
        "variant": one.case.variant,
        "synthetic": one.synthetic,
        "unit": one.unit,
        "pareto": one.best,
        "unrated": one.unrated,
        "figures": {name: figure.value for name, figure in one.figures.items()},
        "intervals": {
            name: [figure.interval.low, figure.interval.high]
            for name, figure in one.figures.items()
            if figure.interval
        },
    }
