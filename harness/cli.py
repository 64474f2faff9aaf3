"""`rppg-bench`: what is useful outside a pytest run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from harness import board_commands, calibration, cli_labels, compare_models, plot_command
from harness.bench import Verdicts, summarise
from harness.boards.errors import BoardError
from harness.boards.inventory import load_boards
from harness.datasets.registry import open_dataset
from harness.datasets.selection import parse_conditions
from harness.examine import study
from harness.replays import likeness, load_cases, whole_of
from harness.reports.accuracy_tables import accuracy_tables
from harness.reports.conditions import condition_tables
from harness.reports.progress import CampaignProgress
from harness.reports.terminal import summary
from harness.verdicts.accuracy import score
from rppg_core.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status (2 for a user's mistake)."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except (UserError, BoardError) as bad:
        print(f"rppg-bench: {bad}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def boards(options: argparse.Namespace) -> int:
    """`rppg-bench boards`: what boards.yaml names."""
    for name, spec in load_boards(options.boards).items():
        print(f"{name:16} {spec.kind}")
    return 0


def render(options: argparse.Namespace) -> int:
    """`rppg-bench render NAME`: make what is missing of a synthetic dataset."""
    dataset = open_dataset(options.name, options.datasets)
    progress = CampaignProgress()
    try:
        dataset.prepare(progress.rendered)
    finally:
        progress.close()
    print(dataset.root)
    return 0


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rppg-bench", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add = commands.add_parser("boards", help="list the boards")
    add.add_argument("--boards", type=Path, default=Path("boards.yaml"), metavar="FILE")
    add.set_defaults(command=boards)
    cli_labels.add_commands(commands)
    board_commands.add_to(commands)
    add = commands.add_parser("render", help="render a synthetic dataset")
    add.add_argument("name", nargs="?", default="synthetic")
    add.add_argument("--datasets", type=Path, default=Path("datasets.yaml"), metavar="FILE")
    add.set_defaults(command=render)
    add = commands.add_parser("report", help="the tables again, from a run's records")
    add.add_argument("results", type=Path)
    add.set_defaults(command=report)
    calibration.add_command(commands)
    compare_models.add_command(commands)
    plot_command.add_to(commands)
    add = commands.add_parser("conditions", help="which conditions hold, from runs' records")
    add.add_argument("results", type=Path, nargs="+")
    add.add_argument("--by", default="difficulty", metavar="CONDITION")
    add.add_argument("--condition", action="append", default=[], metavar="NAME=VALUE")
    add.set_defaults(command=conditions)
    return parser


if __name__ == "__main__":
    sys.exit(main())
