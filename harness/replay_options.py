"""What commands that replay on boards have in common: their options, and the bench's from them."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.options import Options


def add_replay_options(parser: argparse.ArgumentParser, variant: str) -> None:
    """Add what is replayed, through what, and where records go; ``variant`` is the usual form."""
    add = parser.add_argument
    add("--dataset", default="synthetic", help="(default: %(default)s)")
    add("--variant", default=variant, help="form of the model (default: %(default)s)")
    add("--model", default="auto", help="TS-CAN weights by name")
    add("--detector", default="auto", help="face detector (default: %(default)s)")
    add("--recordings", default="", help="only these; * and ? work")
    add("--out", type=Path, default=Path("results"), help="where records go")
    add("--boards", type=Path, default=Path("boards.yaml"), metavar="FILE")
    add("--datasets", type=Path, default=Path("datasets.yaml"), metavar="FILE")


def bench_options(
    given: argparse.Namespace,
    boards: tuple[str, ...],
    variants: tuple[str, ...],
    thresholds_file: Path = Path(),
    resume: Path | None = None,
) -> Options:
    """Return the options of a bench that replays what was asked for."""
    return Options(
        boards=boards,
        datasets=(given.dataset,),
        variants=variants,
        model=given.model,
        detector=given.detector,
        recordings=tuple(one.strip() for one in given.recordings.split(",") if one.strip()),
        results=given.out,
        boards_file=given.boards,
        datasets_file=given.datasets,
        thresholds_file=thresholds_file,
        timeout_s=900.0,
        resume=resume,
    )
