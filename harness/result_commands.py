"""`rppg-bench report` and `rppg-bench conditions`: what records say, without a board."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from harness.case_verdicts import Verdicts, summarise
from harness.datasets.selection import parse_conditions
from harness.examine import study
from harness.plain_text import printable
from harness.realtime import unfinished_runs
from harness.replays import CaseRun, likeness, load_cases, whole_of
from harness.reports.accuracy_tables import accuracy_tables
from harness.reports.conditions import condition_tables
from harness.reports.terminal import summary
from harness.run_selection import HELP_WITH_CASES, add_history_options, cases_of, select_one
from harness.verdicts.accuracy import score
from rppg_core.errors import UserError


def add_commands(commands: Any) -> None:
    """Register both commands with `rppg-bench`."""
    add = commands.add_parser("report", help="the tables again, from a run's records")
    add.add_argument("run", metavar="RUN", help=HELP_WITH_CASES)
    add_history_options(add)
    add.set_defaults(command=report)
    add = commands.add_parser("conditions", help="which conditions hold, from runs' records")
    add.add_argument("runs", metavar="RUN", nargs="+", help=HELP_WITH_CASES)
    add.add_argument("--by", default="difficulty", metavar="CONDITION")
    add.add_argument("--condition", action="append", default=[], metavar="NAME=VALUE")
    add_history_options(add)
    add.set_defaults(command=conditions)


def report(options: argparse.Namespace) -> int:
    """`rppg-bench report RUN`: the tables again, from the records of a run alone."""
    selection, console = select_one(options, options.run), Console(highlight=False)
    results = selection.folders[0]
    left = unfinished_runs(results)
    try:
        runs = [run for _, run in selection.load()]
    except UserError:
        if not left:
            raise
        console.print(summary([], str(results), {}, left))
        return 0
    console.print(tables_of(results, runs))
    console.print(accuracy_tables([study(run) for run in runs]))
    for run in runs:
        if run.partial:
            text = f"{run.case}: partial, {run.partial}; its figures are of those"
            console.print(Text(printable(text), style="yellow"))
    return 0


def tables_of(results: Path, runs: Sequence[CaseRun] = ()) -> RenderableType:
    """The tables of a run by its records, without verdicts. Raises UserError."""
    held = []
    runs = runs or load_cases(results)
    for run in runs:
        one = Verdicts(run, accuracy=score(run.scored), timed=True)
        one.add_speed()
        whole = whole_of(run, runs, results)
        if whole is not None:
            one.fidelity = likeness(run, whole)
        held.append(one)
    return summary([summarise(one) for one in held], str(results), {}, unfinished_runs(results))


def conditions(options: argparse.Namespace) -> int:
    """`rppg-bench conditions RUN ...`: where the heart rate holds, and what was measured there."""
    runs = cases_of(options, options.runs)
    only = parse_conditions(options.condition)
    Console(highlight=False).print(condition_tables(runs, options.by, only))
    return 0
