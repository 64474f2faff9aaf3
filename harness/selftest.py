"""`rppg-bench selftest BOARD`: the board against itself; what its gates are worth there.

Each session connects anew (an emulated board starts anew) and replays the same recordings. Records
lie in a folder of the session, so a self-test that was cut off goes on with --resume.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.baselines import provenance_of
from harness.bench import Bench
from harness.replay_options import add_replay_options, bench_options
from harness.replays import CaseRun
from harness.reports.layout import plain_table
from harness.reports.progress import CampaignProgress
from harness.run_sides import Side
from harness.selftest_files import save_selftest
from harness.side_figures import ALL, stage_runs
from harness.verdicts.noninferiority import PairedError
from harness.verdicts.run_latency import Runs
from harness.verdicts.selftest import (
    FEWEST_SESSIONS,
    GateTest,
    most_alarms,
    session_sd,
    try_errors,
    try_times,
)
from harness.verdicts.selftest_findings import Finding, SelfTest, effect_text, too_tight
from harness.verdicts.thresholds import Case, change_rule
from rppg_core.errors import UserError
from rppg_core.records import INSTRUCTIONS

MOST_FALSE_ALARMS = 0.01
LONGEST_NAME = 26
"""Of a gate: so much is left beside the figures of a table of 80 columns."""


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
    add.add_argument("--save", action="store_true", help="keep it for the gates, beside baselines")
    add.add_argument(
        "--baselines", type=Path, default=Path("benchmarks/baselines"), metavar="FOLDER"
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
    found = findings(runs[0], stages, tests, options)
    apart = "" if counted else f"; whole sessions lie {found.session_sd_percent:.2f} % apart (sd)"
    console.print(f"{options.sessions} sessions of {found.recordings} recordings{apart}; "
                  f"records in {folder}")  # fmt: skip
    if options.save:
        console.print(f"-> {save_selftest(options.baselines, found)}", soft_wrap=True)
    wrong = [
        f"{one.gate}: cries wolf in {one.false_alarm_rate:.1%} of equal sessions"
        for one in tests
        if one.false_alarm_rate > MOST_FALSE_ALARMS
    ]
    tight = too_tight(found, rule)
    for line in (*wrong, *filter(None, [tight])):
        console.print(line, soft_wrap=True)
    return int(bool(wrong or tight))


def findings(
    run: CaseRun, stages: Mapping[str, Runs], tests: Sequence[GateTest], options: argparse.Namespace
) -> SelfTest:
    """What is kept of a self-test. Raises UserError for records without origin."""
    where = provenance_of(run)
    return SelfTest(
        board=run.case.board,
        processor=where.processor,
        delegate=where.delegate,
        threads=where.threads,
        dataset=run.case.dataset,
        variant=run.case.variant,
        recordings=len(next(iter(stages.values()))),
        sessions=options.sessions,
        baseline=options.baseline,
        session_sd_percent=0.0 if run.unit == INSTRUCTIONS else _digits(session_sd(stages)),
        gates={
            one.gate: Finding(
                unit=one.unit,
                margin=one.margin,
                comparisons=one.comparisons,
                false_alarms=one.false_alarms,
                undecided=one.undecided,
                detectable=None if one.detectable is None else _digits(one.detectable),
            )
            for one in tests
        },
    )


def table(tests: Sequence[GateTest], case: Case, options: argparse.Namespace) -> Table:
    """A row for each gate."""
    shown = plain_table(
        f"{case} against itself: {options.repeats} comparisons of 1 session with "
        f"{options.baseline} (errors with 1)"
    )
    shown.padding = 0  # the names need the room
    shown.add_column("gate", overflow="fold")
    for heading in ("margin", "false\nalarms", "at\nmost", "undecided", "detectable", "caught"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for one in tests:
        most = most_alarms(one.false_alarms, one.comparisons)
        shown.add_row(
            _folded(one.gate),
            f"{one.margin:g} {one.unit}",
            f"{one.false_alarm_rate:.2%}",
            f"{most:.2%}",
            f"{one.undecided / one.comparisons:.1%}",
            effect_text(one.detectable, one.unit),
            effect_text(one.least, one.unit),
        )
    return shown


def _folded(gate: str) -> str:
    """A gate's name, at its dot in two lines where one is too long for a terminal."""
    return gate if len(gate) <= LONGEST_NAME else gate.replace(".", "\n.", 1)


def _digits(value: float) -> float:
    return float(f"{value:.3g}")


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
