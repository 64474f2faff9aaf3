"""`rppg-bench targets`: boards and forms of the model side by side, from runs' records."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.rating import Target, targets_of
from harness.reports.targets import as_csv, as_json, markdown, target_tables
from harness.run_selection import HELP_WITH_CASES, add_history_options, select
from rppg_core.errors import UserError

PICTURES = (".png", ".svg")


def add_commands(commands: Any) -> None:
    """Register the command with `rppg-bench`."""
    add = commands.add_parser("targets", help="boards and forms of the model side by side")
    add.add_argument("runs", nargs="+", metavar="RUN", help=HELP_WITH_CASES)
    add.add_argument("--format", choices=("table", "markdown", "json", "csv"), default="table")
    where = add.add_mutually_exclusive_group()
    where.add_argument("--picture", type=Path, metavar="FILE", help="one picture, .png or .svg")
    where.add_argument("--out", type=Path, metavar="DIR", help="default: plots/ in the first RUN")
    where.add_argument("--no-picture", action="store_true", help="tables only")
    add_history_options(add)
    add.set_defaults(command=targets)


def targets(options: argparse.Namespace) -> int:
    """`rppg-bench targets RUN ...`: the tables, and a picture of error against time."""
    if options.picture and options.picture.suffix.lower() not in PICTURES:
        raise UserError(f"{options.picture}: a picture's name ends with {' or '.join(PICTURES)}")
    selections = [select(options, text) for text in options.runs]
    runs = [run for selection in selections for _, run in selection.load()]
    found = targets_of(runs)
    if len(found) < len(runs):
        twice = "some boards and variants are in several runs; of these, the last whole one counts"
        print(f"rppg-bench: {twice}", file=sys.stderr)
    if options.format == "table":
        Console(highlight=False).print(target_tables(found))
    else:
        written = {"markdown": markdown, "json": as_json, "csv": as_csv}[options.format](found)
        print(written.rstrip("\n"))
    if not options.no_picture:
        _draw(found, options.picture, options.out or selections[0].folders[0] / "plots")
    return 0


def _draw(found: Sequence[Target], picture: Path | None, folder: Path) -> None:
    # Matplotlib takes a second to import, which tables alone should not.
    from harness.reports.plots.pareto import write_pareto, write_picture  # noqa: PLC0415

    if picture is not None:
        write_picture(found, picture)
    for path in [picture] if picture else write_pareto(found, folder):
        print(path, file=sys.stderr)
