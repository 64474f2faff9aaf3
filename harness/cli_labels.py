"""`rppg-bench datasets`, `labels`, `render`: what there is, what is wrong with it, what is made."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from harness.datasets.base import Dataset
from harness.datasets.checking import check_dataset
from harness.datasets.registry import load_datasets, open_dataset
from harness.datasets.selection import Selection, parse_conditions, select
from harness.plain_text import printable
from harness.reports import labels as report


def add_commands(commands: Any) -> None:
    """Register the commands with `rppg-bench`."""
    add = commands.add_parser("render", help="render a synthetic dataset")
    add.add_argument("name", nargs="?", default="synthetic")
    add.add_argument("--datasets", type=Path, default=Path("datasets.yaml"), metavar="FILE")
    add.set_defaults(command=render)
    add = commands.add_parser("datasets", help="list the datasets, or what there is of one")
    add.add_argument("name", nargs="?", help="a dataset, or one of its splits as NAME:SPLIT")
    _add_common(add)
    add.set_defaults(command=datasets)
    add = commands.add_parser(
        "labels",
        help="check a dataset's labels",
        description="Check a dataset's labels, with or without its videos. Exit status: 0 if no "
        "defect touches the convention in use or it repairs those that do, 1 otherwise.",
    )
    add.add_argument("name", help="a dataset, or one of its splits as NAME:SPLIT")
    _add_common(add)
    add.add_argument(
        "--bpm", action="store_true", help="every recording's heart rate by each convention"
    )
    add.set_defaults(command=labels)


def render(options: argparse.Namespace) -> int:
    """`rppg-bench render NAME`: make what is missing of a synthetic dataset."""
    from harness.reports.progress import CampaignProgress  # noqa: PLC0415 (the others need none)

    dataset = open_dataset(options.name, options.datasets)
    progress = CampaignProgress()
    try:
        dataset.prepare(progress.rendered)
    finally:
        progress.close()
    print(dataset.root)
    return 0


def labels(options: argparse.Namespace) -> int:
    """`rppg-bench labels NAME`: the label check, the groups, the repairs."""
    dataset = _open(options)
    checked = check_dataset(dataset)
    convention = dataset.convention
    blocks = [list(report.check_lines(checked, convention))]
    if options.bpm:
        blocks.append(list(report.reference_lines(checked)))
    blocks += [list(report.group_lines(checked)), list(report.repair_lines(checked))]
    for block in filter(None, blocks):
        print("\n".join(block), end="\n\n")
    print(report.closing_line(checked, convention))
    return int(any(one.unrepaired(convention) for one in checked))


def datasets(options: argparse.Namespace) -> int:
    """`rppg-bench datasets [NAME]`: the datasets there are, or what there is of one."""
    if options.name is None:
        for name, entry in load_datasets(options.datasets).items():
            print(f"{name:16} {entry.kind}")
        return 0
    dataset = _open(options)
    checked = check_dataset(dataset)
    for line in report.inventory_lines(dataset.recordings(), checked, dataset.convention):
        print(line)
    for line in dataset.absent():
        print(f"absent  {printable(line)}")
    return int(any(one.references.get(dataset.convention) is None for one in checked))


def _add_common(add: argparse.ArgumentParser) -> None:
    add.add_argument("--datasets", type=Path, default=Path("datasets.yaml"), metavar="FILE")
    add.add_argument("--recordings", default="", help="only these, comma-separated; * and ? work")
    add.add_argument(
        "--condition",
        action="append",
        default=[],
        metavar="NAME=VALUE[,VALUE]",
        help="only recordings taken so; may be repeated",
    )


def _open(options: argparse.Namespace) -> Dataset:
    names = tuple(name.strip() for name in options.recordings.split(",") if name.strip())
    selection = Selection(recordings=names, conditions=parse_conditions(options.condition))
    return select(open_dataset(options.name, options.datasets), selection)
