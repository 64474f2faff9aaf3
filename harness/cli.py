"""`rppg-bench`: what is useful outside a pytest run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from harness.bench import Verdicts, summarise
from harness.boards.errors import BoardError
from harness.boards.inventory import load_boards
from harness.campaign import load_cases
from harness.datasets.registry import load_datasets, open_dataset
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


def datasets(options: argparse.Namespace) -> int:
    """`rppg-bench datasets [NAME]`: the datasets there are, or the recordings of one."""
    if options.name is None:
        for name, entry in load_datasets(options.datasets).items():
            print(f"{name:16} {entry.kind}")
        return 0
    dataset = open_dataset(options.name, options.datasets)
    unusable = 0
    for recording in dataset.recordings():
        try:
            labels = dataset.labels(recording)
            there = "" if recording.video.exists() else "  (no video here)"
            state = f"{labels.reference_bpm:6.1f} bpm by {labels.convention}{there}"
        except UserError as bad:
            unusable += 1
            state = f"unusable: {bad}"
        print(f"{recording.id:24} {state}")
    return 1 if unusable else 0


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
    """`rppg-bench report RESULTS`: both tables again, from the records of a run alone."""
    held = []
    for run in load_cases(options.results):
        held.append(Verdicts(run, accuracy=score(run.scored)))
        held[-1].add_speed()
    tables = summary([summarise(one) for one in held], str(options.results), {})
    Console(highlight=False).print(tables)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rppg-bench", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add = commands.add_parser("boards", help="list the boards")
    add.add_argument("--boards", type=Path, default=Path("boards.yaml"), metavar="FILE")
    add.set_defaults(command=boards)
    add = commands.add_parser("datasets", help="list the datasets, or one's recordings")
    add.add_argument("name", nargs="?")
    add.add_argument("--datasets", type=Path, default=Path("datasets.yaml"), metavar="FILE")
    add.set_defaults(command=datasets)
    add = commands.add_parser("render", help="render a synthetic dataset")
    add.add_argument("name", nargs="?", default="synthetic")
    add.add_argument("--datasets", type=Path, default=Path("datasets.yaml"), metavar="FILE")
    add.set_defaults(command=render)
    add = commands.add_parser("report", help="the tables again, from a run's records")
    add.add_argument("results", type=Path)
    add.set_defaults(command=report)
    return parser


if __name__ == "__main__":
    sys.exit(main())
