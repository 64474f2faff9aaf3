"""`rppg compare-models A B --dataset D`: what is left of model A's pulse in model B.

Both go through the whole pipeline, on this machine, over the same recordings.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.boards.errors import BoardError
from harness.boards.local import LocalBoard
from harness.calibration import own_calibration, refuse_overlap
from harness.campaign import Pipe, run_case
from harness.datasets.base import Dataset, Recording
from harness.datasets.registry import open_dataset
from harness.datasets.selection import Selection, select
from harness.replays import CaseRun, likeness
from harness.reports.comparison import Comparison, as_json, tables
from harness.reports.progress import CampaignProgress
from harness.verdicts.thresholds import Case
from rppg_core import models
from rppg_core.errors import UserError
from rppg_core.model_card import read_card
from rppg_core.tscan_int8 import partner_of


@dataclass(frozen=True)
class Model:
    """A model by name; `appearance` is the second file of one in two."""

    name: str
    path: Path
    appearance: Path | None


def find_model(named: str) -> Model:
    """A model by NAME/VARIANT, NAME (float32), auto or .tflite file. Raises UserError."""
    name, variant = models.split_form(named)
    shown, path = models.tflite_file(models.choose_model(name)[0], variant, own_calibration)
    return Model(str(path) if named.endswith(".tflite") else shown, path, partner_of(path))


def compare(
    a: Model,
    b: Model,
    dataset: Dataset,
    detector: str,
    progress: CampaignProgress,
) -> Comparison:
    """Replay every recording through both. Raises UserError, BoardError.

    A recording that either was calibrated with is refused before any is replayed.
    """
    chosen, files, remark = models.choose_detector(detector)
    if remark:
        progress.say(remark)
    recordings = dataset.recordings()
    _refuse_overlaps((a, b), dataset, recordings)
    dataset.prepare(progress.rendered)
    _refuse_overlaps((a, b), dataset, recordings)  # again: a rendered file is there only now
    runs: list[CaseRun] = []
    with tempfile.TemporaryDirectory() as folder, LocalBoard() as board:
        for side, model in (("a", a), ("b", b)):
            pipe = Pipe(model.name, model.path, chosen, files, appearance=model.appearance)
            # A folder is named after the case: no file's path may lead out of it.
            label = model.path.stem if model.name.endswith(".tflite") else model.name
            case = Case(board.name, dataset.name, f"{side.upper()} {label}")
            runs.append(run_case(board, dataset, case, pipe, Path(folder) / side, progress))
    failures = {**runs[1].failures, **runs[0].failures}
    report = likeness(runs[1], runs[0])
    if not report.pairs:
        raise UserError(f"no recording gave a heart rate with both: {min(failures.values())}")
    return Comparison(a.name, b.name, dataset.name, dataset.synthetic, report, failures)


def add_commands(commands: Any) -> None:
    """Add `compare-models` to a command line."""
    add = commands.add_parser("compare-models", help="one model's pulse and heart rates in another")
    add.add_argument("a", metavar="A", help="NAME/VARIANT, NAME or a .tflite file")
    add.add_argument("b", metavar="B", help="the same, held against A")
    add.add_argument("--dataset", required=True, metavar="NAME")
    add.add_argument("--datasets", type=Path, default=Path("datasets.yaml"), metavar="FILE")
    add.add_argument("--recordings", default="", help="only these, comma-separated")
    add.add_argument("--detector", default="auto", help="face detector (default: %(default)s)")
    add.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    add.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """`compare-models`: both tables, or JSON. Raises UserError."""
    only = tuple(name.strip() for name in options.recordings.split(",") if name.strip())
    dataset = select(open_dataset(options.dataset, options.datasets), Selection(only))
    progress = CampaignProgress()
    try:
        found = compare(
            find_model(options.a), find_model(options.b), dataset, options.detector, progress
        )
    except BoardError as bad:
        raise UserError(str(bad)) from None  # this machine is the board
    finally:
        progress.close()
    if options.json:
        print(json.dumps(as_json(found), allow_nan=False))
    else:
        Console(highlight=False).print(tables(found))
    return 0


def _refuse_overlaps(
    both: Sequence[Model], dataset: Dataset, recordings: Sequence[Recording]
) -> None:
    for model in both:
        refuse_overlap(read_card(model.path), dataset, recordings)
