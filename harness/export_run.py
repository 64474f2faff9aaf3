"""`rppg-bench export`: a run as pytest-benchmark's JSON, or as CSV with a line for each replay."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_benchmark.stats import Stats

from harness.case_figures import UNITS, unit_of
from harness.history.rows import recording_rows
from harness.replays import CaseRun
from harness.run_file import RunFile, read_run
from harness.run_selection import HELP_WITH_CASES, add_history_options, select_one
from harness.verdicts.latency import INSTRUCTIONS, NS_PER_MS, NS_PER_S, STAGES, measure
from rppg_core.errors import UserError

TEST = "benchmarks/test_latency.py::"
GROUP = "board time per frame"
MAKE_STATS: Any = Stats
"""Theirs, without types of its own: so the figures are what a run of theirs has."""
MEASURED_BY = "5.0.0"
"""A version of pytest-benchmark that wrote its JSON in this form."""


def add_commands(commands: Any) -> None:
    """Register the command with `rppg-bench`."""
    add = commands.add_parser("export", help="a run for other programs")
    add.add_argument("run", metavar="RUN", help=HELP_WITH_CASES)
    add.add_argument("--format", choices=("pytest-benchmark", "csv"), required=True)
    add.add_argument("-o", "--out", type=Path, metavar="FILE", help="default: printed")
    add_history_options(add)
    add.set_defaults(command=export)


def export(options: argparse.Namespace) -> int:
    """`rppg-bench export RUN --format F`: write it, and say what is not in it on stderr."""
    selection = select_one(options, options.run)
    runs = [run for _, run in selection.load()]
    for run in runs:
        if run.partial:
            print(f"rppg-bench: {run.case}: partial, {run.partial}", file=sys.stderr)
    if options.format == "csv":
        text = as_csv(runs)
    else:
        text = json.dumps(as_pytest_benchmark(runs, read_run(selection.folders[0])), indent=4)
    if options.out is None:
        print(text.rstrip("\n"))
        return 0
    try:
        options.out.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    except OSError as bad:
        raise UserError(f"{options.out}: cannot be written ({bad.strerror})") from None
    return 0


def as_pytest_benchmark(runs: Sequence[CaseRun], about: RunFile | None) -> dict[str, Any]:
    """Return the stage times as `--benchmark-json` writes them: one round for each replay.

    Cases of a board that counts instructions have no time and are left out, which is said on
    stderr. Raises UserError where nothing is left.
    """
    timed = [run for run in runs if run.unit != INSTRUCTIONS and run.times]
    for run in runs:
        if run not in timed:
            why = "no valid times" if run.unit != INSTRUCTIONS else "instructions are no time"
            print(f"rppg-bench: {run.case}: left out: {why}", file=sys.stderr)
    if not timed:
        raise UserError("no case has times; --format csv has what was counted")
    boards = dict(about.boards) if about else {}
    return {
        "machine_info": {**_machine(timed), "boards": boards},
        "commit_info": _commit(about),
        "benchmarks": [one for run in timed for one in _benchmarks(run)],
        "datetime": about.started if about else "",
        "version": MEASURED_BY,
    }


def as_csv(runs: Sequence[CaseRun]) -> str:
    """Return a line for each replay: heart rates in bpm, times per frame in ms or M instr."""
    text = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for run in runs:
        stages = {one.recording: one for one in run.times}
        case = {"board": run.case.board, "dataset": run.case.dataset, "variant": run.case.variant}
        about = {**case, "synthetic": run.synthetic, "partial": run.partial, "unit": unit_of(run)}
        size = UNITS[run.unit][1]
        for row in sorted(recording_rows(run), key=lambda one: str(one["recording"])):
            times = stages.get(row["recording"])
            means = {
                f"{stage}_per_frame": times.stages[at].total_ns / times.frames / size
                if times
                else None
                for at, stage in enumerate(STAGES)
            }
            content = {**about, **row, **means}
            if writer is None:
                writer = csv.DictWriter(text, list(content), lineterminator="\n")
                writer.writeheader()
            writer.writerow(content)
    return text.getvalue()


def _benchmarks(run: CaseRun) -> list[dict[str, Any]]:
    found = []
    for one in measure(run.times).stages:
        stats = MAKE_STATS()
        for mean_ms in one.run_ms_per_frame:
            stats.update(mean_ms * NS_PER_MS / NS_PER_S)
        case = "-".join((run.case.board, run.case.dataset, run.case.variant))
        name = f"test_stage_time[{case}-{one.stage}]"
        found.append(
            {
                "group": GROUP,
                "name": name,
                "fullname": TEST + name,
                "params": {"case": str(run.case), "stage": one.stage},
                "param": f"{case}-{one.stage}",
                "extra_info": {
                    "stage": one.stage,
                    "board": run.case.board,
                    "dataset": run.case.dataset,
                    "variant": run.case.variant,
                    "synthetic": run.synthetic,
                    "partial": run.partial,
                },
                "options": {"timer": "board_clock"},
                "stats": {**stats.as_dict(), "data": stats.data, "iterations": 1},
            }
        )
    return found


def _machine(runs: Sequence[CaseRun]) -> dict[str, Any]:
    """What pytest-benchmark's tables look for, of the boards by their records."""

    def of(*path: str) -> str:
        return ", ".join(dict.fromkeys(filter(None, (run.named(*path) for run in runs))))

    return {
        "node": of("campaign", "board"),
        "machine": of("host", "machine"),
        "python_version": of("host", "python"),
        "cpu": {"brand_raw": of("host", "cpu")},
    }


def _commit(about: RunFile | None) -> dict[str, Any]:
    if about is None:
        return {"id": None, "time": None, "dirty": None, "branch": None}
    return {
        "id": about.commit,
        "time": about.started,
        "dirty": about.dirty,
        "branch": about.branch,
    }
