"""`rppg-bench report` and `rppg-bench conditions`: what records say, without a board."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.bench import Verdicts, summarise
from harness.datasets.selection import parse_conditions
from harness.examine import study
from harness.replays import likeness, load_cases, whole_of
from harness.reports.accuracy_tables import accuracy_tables
from harness.reports.conditions import condition_tables
from harness.reports.terminal import summary
from harness.verdicts.accuracy import score


def add_commands(commands: Any) -> None:
    """Register both commands with `rppg-bench`."""
    add = commands.add_parser("report", help="the tables again, from a run's records")
    add.add_argument("results", type=Path)
    add.set_defaults(command=report)
    add = commands.add_parser("conditions", help="which conditions hold, from runs' records")
    add.add_argument("results", type=Path, nargs="+")
    add.add_argument("--by", default="difficulty", metavar="CONDITION")
    add.add_argument("--condition", action="append", default=[], metavar="NAME=VALUE")
    add.set_defaults(command=conditions)


def report(options: argparse.Namespace) -> int:
    """`rppg-bench report RESULTS`: the tables again, from the records of a run alone."""
    held, runs = [], load_cases(options.results)
    for run in runs:
        one = Verdicts(run, accuracy=score(run.scored), timed=True)
        one.add_speed()
        whole = whole_of(run, runs, options.results)
        if whole is not None:
            one.fidelity = likeness(run, whole)
        held.append(one)
    tables = summary([summarise(one) for one in held], str(options.results), {})
    Console(highlight=False).print(tables)
    Console(highlight=False).print(accuracy_tables([study(run) for run in runs]))
    return 0


def conditions(options: argparse.Namespace) -> int:
    """`rppg-bench conditions RESULTS`: where the heart rate holds, and what was measured there."""
    Console(highlight=False).print(
        condition_tables(options.results, options.by, parse_conditions(options.condition))
    )
    return 0
