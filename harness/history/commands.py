"""`rppg-bench history`: what became of the figures, commit after commit."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.history.filling import import_run, run_folders
from harness.history.showing import as_csv, as_json, trend_tables
from harness.history.store import HISTORY_FILE, History
from harness.history.trend import WANTED, by_case, points
from rppg_core.errors import UserError

LAST = 10


def add_commands(commands: Any) -> None:
    """Register the command with `rppg-bench`."""
    add = commands.add_parser("history", help="figures over commits; rebuild, import")
    add.add_argument("--results", type=Path, default=Path("results"), metavar="DIR")
    add.add_argument("--history", type=Path, metavar="FILE", help="default: in the results folder")
    for name in WANTED:
        add.add_argument(f"--{name}", default="", metavar="PATTERN")
    add.add_argument("--last", type=int, default=LAST, metavar="N", help="runs (%(default)s)")
    how = add.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="every figure")
    how.add_argument("--csv", action="store_true", help="every figure, a line for each case")
    add.add_argument("action", nargs="?", choices=("show", "rebuild", "import"), default="show")
    add.add_argument("runs", type=Path, nargs="*", metavar="RUN", help="what to import")
    add.set_defaults(command=history_command)


def history_command(options: argparse.Namespace) -> int:
    """`rppg-bench history [rebuild | import RUN ...]`."""
    if options.runs and options.action != "import":
        raise UserError("only import takes a run; say what to show with --run, --commit, ...")
    return {"show": show, "rebuild": rebuild, "import": import_runs}[options.action](options)


def show(options: argparse.Namespace) -> int:
    """`rppg-bench history`: a table for each board, dataset and variant."""
    if options.last < 1:
        raise UserError("--last: at least 1")
    wanted = {name: value for name in WANTED if (value := getattr(options, name))}
    with History(_file(options)) as history:
        cases = by_case(points(history, wanted), options.last)
    if not cases:
        asked = " ".join(f"--{name} {value}" for name, value in wanted.items())
        raise UserError(f"{_file(options)}: nothing fits {asked}" if asked else "no run in it yet")
    found = [one for of_case in cases.values() for one in of_case]
    if options.json:
        print(as_json(found))
    elif options.csv:
        print(as_csv(found), end="")
    else:
        Console(highlight=False).print(trend_tables(cases))
    return 0


def rebuild(options: argparse.Namespace) -> int:
    """`rppg-bench history rebuild`: a new file, from every run in the results folder.

    The one before is kept: it may have runs whose records are gone.
    """
    if not options.results.is_dir():
        raise UserError(f"{options.results}: no such folder; name it with --results")
    target = _file(options)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".history-") as folder:
        new = Path(folder) / HISTORY_FILE
        with History(new, create=True) as history:
            status = _import(history, list(run_folders(options.results)))
        before = _kept_as(target)
        if target.exists():
            target.replace(before)
            print(f"the history before: {before}")
        # What a process that was killed had begun in the old file is not for the new one.
        target.with_name(target.name + "-journal").unlink(missing_ok=True)
        new.replace(target)
    return status


def _kept_as(target: Path) -> Path:
    """Return where the file is kept: no other that was kept is overwritten."""
    kept = target.with_name(target.name + ".before")
    number = 1
    while kept.exists():
        number += 1
        kept = target.with_name(f"{target.name}.before-{number}")
    return kept


def import_runs(options: argparse.Namespace) -> int:
    """`rppg-bench history import RUN ...`: what is there of a run already is replaced."""
    if not options.runs:
        raise UserError("import: name the folder of a run")
    for folder in options.runs:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; name the folder of a run")
    with History(_file(options), create=True) as history:
        return _import(history, options.runs)


def _import(history: History, runs: Sequence[Path]) -> int:
    """Import run by run; one that is broken is said so, and the others go in."""
    status = 0
    for folder in runs:
        try:
            count = import_run(history, folder)
        except UserError as bad:
            print(f"rppg-bench: {bad}; left out", file=sys.stderr)
            status = 1
            continue
        print(f"{folder}: {count} {'case' if count == 1 else 'cases'}")
    return status


def _file(options: argparse.Namespace) -> Path:
    return Path(options.history or options.results / HISTORY_FILE)
