"""`rppg-bench selftest BOARD`: the board against itself; what its gates are worth there.

Each session connects anew (an emulated board starts anew) and replays the same recordings. Records
lie in a folder of the session, so a self-test that was cut off goes on with --resume.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.bench import Bench
from harness.replay_options import add_replay_options, bench_options
from harness.replays import CaseRun
from harness.reports.layout import NOTHING, plain_table
from harness.reports.progress import CampaignProgress
from harness.run_sides import Side
from harness.side_figures import ALL, stage_runs
from harness.verdicts.noninferiority import PairedError
from harness.verdicts.selftest import (
    FEWEST_SESSIONS,
    GateTest,
    most_alarms,
    session_sd,
    try_errors,
    try_times,
)
from harness.verdicts.thresholds import Case, change_rule
from rppg_core.errors import UserError
from rppg_core.records import INSTRUCTIONS

ASKS_TOO_MUCH = 2.0
"""A margin is too small where an effect must be so many times as large to be caught."""


def add_commands(commands: Any) -> None:
    """Register the command with `rppg-bench`."""
    add = commands.add_parser("selftest", help="a board against itself: what its gates are worth")
    add.add_argument("board")
    add.add_argument("--sessions", type=int, default=12, help="(default: %(default)s)")
    add.add_argument("--baseline", type=int, default=3, help="sessions that stand for a baseline")
    add.add_argument("--repeats", type=int, default=1000, help="comparisons (default: %(default)s)")
    add_replay_options(add, variant="float32")
    add.add_argument("--resume", type=Path, metavar="FOLDER", help="go on with a self-test")
    add.add_argument(
        "--thresholds", type=Path, default=Path("benchmarks/thresholds.yaml"), metavar="FILE"
    )
    add.set_defaults(command=selftest)


def selftest(options: argparse.Namespace) -> int:
    """`rppg-bench selftest BOARD`: returns 1 if a gate alarms too often, or asks too much."""
    if options.sessions < max(FEWEST_SESSIONS, options.baseline + 1) or options.baseline < 1:
        raise UserError(
            f"--sessions {options.sessions}: at least {FEWEST_SESSIONS}, and one more than "
            f"--baseline {options.baseline}, which is at least 1"
        )
    if options.repeats < 1:
        raise UserError("--repeats: at least 1")
    folder = options.resume or options.out / f"selftest-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
    case = Case(options.board, options.dataset, options.variant)
    folders = [str(number) for number in range(1, options.sessions + 1)]
    runs = [_session(options, case, folder / name) for name in folders]
    rule = change_rule(_bench(options, folder).thresholds(), case)
    counted = runs[0].unit == INSTRUCTIONS
    stages = {
        stage: rows
        for stage, rows in stage_runs(Side(tuple(runs), tuple(folders))).items()
        if rows and stage != ALL  # which the gate adds up itself
    }
    if not stages:
        raise UserError("no recording has valid times in every session; see `rppg-bench doctor`")
    times = try_times(rule, stages, options.baseline, options.repeats, counted=counted)
    tests = (*try_errors(rule, _pairs(runs), options.repeats), *times)
    console = Console(highlight=False)
    console.print(table(tests, case, options))
    apart = "" if counted else f"; whole sessions lie {session_sd(stages):.2f} % apart (sd)"
    console.print(f"{options.sessions} sessions of {len(next(iter(stages.values())))} recordings"
                  f"{apart}; records in {folder}")  # fmt: skip
    wrong = [line for one in tests if (line := complaint(one))]
    for line in wrong:
        console.print(line, soft_wrap=True)
    return int(bool(wrong))


def complaint(one: GateTest) -> str:
    """Say what is wrong with a gate on this board, in one line; empty where nothing is."""
    if one.false_alarm_rate > 0.01:
        return f"{one.gate}: cries wolf in {one.false_alarm_rate:.1%} of equal sessions"
    if one.least is not None and one.least > ASKS_TOO_MUCH * one.margin:
        return (
            f"{one.gate}: {one.margin:g} {one.unit} is less than can be told here; set the margin "
            f"to {one.least / ASKS_TOO_MUCH:.2g} {one.unit} or more, or quiet the board"
        )
    return ""


def table(tests: Sequence[GateTest], case: Case, options: argparse.Namespace) -> Table:
    """A row for each gate."""
    shown = plain_table(
        f"{case} against itself: {options.repeats} comparisons of 1 session with "
        f"{options.baseline} (errors with 1)"
    )
    shown.add_column("gate", overflow="fold")
    for heading in ("margin", "false alarms", "at most", "undecided", "least effect caught"):
        shown.add_column(heading, justify="right")
    for one in tests:
        most = most_alarms(one.false_alarms, one.comparisons)
        least = NOTHING if one.least is None else f"{one.least:.3g} {one.unit}"
        shown.add_row(
            one.gate,
            f"{one.margin:g} {one.unit}",
            f"{one.false_alarm_rate:.2%}",
            f"{most:.2%}",
            f"{one.undecided / one.comparisons:.1%}",
            least,
        )
    return shown


def _session(options: argparse.Namespace, case: Case, folder: Path) -> CaseRun:
    progress = CampaignProgress()
    bench = _bench(options, folder)
    try:
        bench.check()
        run = bench.run(case, progress)
        bench.finish()
    finally:
        progress.close()
        bench.close()
    if run.failures:
        name, reason = next(iter(run.failures.items()))
        raise UserError(f"{name}: {reason}; a self-test needs every recording")
    return run


def _bench(options: argparse.Namespace, folder: Path) -> Bench:
    again = folder if folder.is_dir() else None
    asked = bench_options(
        options, (options.board,), (options.variant,), options.thresholds, resume=again
    )
    bench = Bench(asked)
    bench.use_results(folder)
    return bench


def _pairs(runs: Sequence[CaseRun]) -> list[list[PairedError]]:
    """The heart rates of each session, of the recordings that all of them have."""
    sessions = [{one.recording: one for one in run.scored} for run in runs]
    names = [one for one in sessions[0] if all(one in session for session in sessions)]
    return [
        [
            PairedError(
                name,
                (one := session[name]).subject,
                one.reference_bpm,
                one.estimate_bpm,
                one.estimate_bpm,
            )
            for name in names
        ]
        for session in sessions
    ]
