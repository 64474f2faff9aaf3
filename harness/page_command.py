"""`rppg-bench page`: the report of a run as one HTML file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.history.store import HISTORY_FILE
from harness.plot_command import Thumbnails
from harness.realtime import unfinished_runs
from harness.replays import CaseRun
from harness.reports.page.content import case_order
from harness.reports.page.history import read_history
from harness.reports.page.rendering import render_page
from harness.run_file import RunFile, read_run
from harness.run_selection import HELP_WITH_CASES, add_history_options, select_one
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError

PAGE = "report.html"


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    add = commands.add_parser("page", help="the report of a run as one HTML file")
    add.add_argument("run", metavar="RUN", help=HELP_WITH_CASES)
    add.add_argument("-o", "--out", type=Path, metavar="FILE", help=f"default: {PAGE} in the run")
    add.add_argument(
        "--thumbnails",
        action="store_true",
        help="show faces of real people too, not only of rendered clips",
    )
    add.add_argument("--datasets", type=Path, default=Path("datasets.yaml"), metavar="FILE")
    add_history_options(add)
    add.set_defaults(command=page)


def page(options: argparse.Namespace) -> int:
    """`rppg-bench page RUN`: write the page and print where it is."""
    selection = select_one(options, options.run)
    results = selection.folders[0]
    if not (selection.all_cases or options.out):
        raise UserError(f"{options.run!r} is a part of a run; say where with -o FILE")
    runs, kept = [run for _, run in selection.load()], read_run(results)
    if kept is not None:
        gates = {case: found for case, found in kept.gates.items() if selection.fits(case)}
        kept = replace(kept, gates=gates)
    page = write_page(
        runs,
        kept,
        results,
        options.datasets,
        out=options.out,
        history=options.history,
        real_people=options.thumbnails,
    )
    print(page)
    return 0


def write_page(
    runs: Sequence[CaseRun],
    kept: RunFile | None,
    results: Path,
    datasets_file: Path,
    *,
    out: Path | None = None,
    history: Path | None = None,
    real_people: bool = False,
) -> Path:
    """Write the page of a run, into its folder ``results`` unless told where to.

    Raises UserError where it cannot be written, or where a ``history`` cannot be read; without one
    it takes that beside the run's folder, if there is one.
    """
    pictures = Thumbnails(runs, datasets_file, real_people)
    beside = results.absolute().parent / HISTORY_FILE
    before = read_history(history or beside, results, _cases(runs), wanted=history is not None)
    left = unfinished_runs(results)
    text = render_page(runs, kept, str(results), pictures, before, left, real_people)
    out = out or results / PAGE
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as bad:
        raise UserError(f"{out}: cannot be written ({bad.strerror or bad})") from None
    return out


def _cases(runs: Sequence[CaseRun]) -> list[Case]:
    return sorted((one.case for one in runs), key=case_order)
