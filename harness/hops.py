"""`rppg-bench hops`: where a board's heart rates part from this machine's, hop by hop.

The same recordings go through float32 here, the lightened form here, the lightened form on the
board's processor and, where the board has a delegate, on its Edge TPU.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from typing import Any

from rich.console import Console

from harness.bench import Bench
from harness.boards.errors import BoardError
from harness.replay_options import add_replay_options, bench_options
from harness.replays import CaseRun
from harness.reports.hops import hops_table
from harness.reports.progress import CampaignProgress
from harness.reports.variants import FLOAT
from harness.run_selection import HELP_WITH_CASES, add_history_options, cases_of
from harness.traces import traces_of, usual_tolerances
from harness.verdicts.hops import Hop, compare, verdict
from harness.verdicts.outcome import Outcome
from harness.verdicts.thresholds import Case
from rppg_core.edgetpu import NAME as EDGE_TPU
from rppg_core.errors import UserError

COMPILED = "int8-edgetpu"
"""The form of the model that an Edge TPU runs."""


def add_commands(commands: Any) -> None:
    """Add `hops` to a command line."""
    add = commands.add_parser("hops", help="where a board's heart rates part from this machine's")
    add.add_argument(
        "runs", metavar="RUN", nargs="*", help=f"{HELP_WITH_CASES}; instead of new replays"
    )
    add.add_argument("--host", default="local", help="the board to start from (default: local)")
    add.add_argument("--board", help="the board to end on")
    add_replay_options(add, variant="int8")
    add_history_options(add)
    add.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """`rppg-bench hops`: the table and one sentence; 1 where a stage is out of tolerance."""
    if bool(options.runs) == bool(options.board):
        raise UserError("hops: name a run's folder, or a board with --board to replay on")
    if options.runs:
        chains = chains_of(cases_of(options, options.runs), options.host)
    else:
        chains = [replay_chain(options)]
    console, worst = Console(highlight=False), Outcome.PASS
    for chain in chains:
        hops = hops_of(chain)
        console.print(hops_table(hops, chain[0].synthetic))
        console.print(verdict(hops), soft_wrap=True)
        if any(one.first_out is not None or not one.differences for one in hops):
            worst = Outcome.FAIL
    return int(worst is Outcome.FAIL)


def hops_of(chain: Sequence[CaseRun]) -> list[Hop]:
    """Each run of a chain held against the one before. Raises UserError for a broken record."""
    hops = []
    for before, after in pairwise(chain):
        old, new = traces_of(before), traces_of(after)
        shared = {one.recording for one in old} & {one.recording for one in new}
        differences = compare(old, new, usual_tolerances(before, after))
        hops.append(Hop(_name(before), _name(after), len(shared), differences))
    return hops


def chains_of(runs: Sequence[CaseRun], host: str) -> list[list[CaseRun]]:
    """The chains that start with float32 on `host`, one for each board and form there is.

    Raises UserError where there is none.
    """
    chains = [chain for start in runs if _is(start, host, FLOAT) for chain in _from(start, runs)]
    if not chains:
        have = ", ".join(str(one.case) for one in runs)
        raise UserError(
            f"hops: no replays through {FLOAT} on {host} and through anything else of the same "
            f"recordings; there are: {have}; --host names another board to start from"
        )
    return chains


def replay_chain(options: argparse.Namespace) -> list[CaseRun]:
    """Replay every hop. Raises UserError, BoardError."""
    boards, variants = (options.host, options.board), (FLOAT, options.variant)
    asked = bench_options(options, boards, variants)
    progress = CampaignProgress()
    try:
        with closing(Bench(asked)) as bench:
            bench.timed = False
            chip = bench.boards.set_delegate(options.board, None)
            cases = [Case(options.host, options.dataset, FLOAT)]
            cases += [
                Case(board, options.dataset, options.variant)
                for board in dict.fromkeys((options.host, options.board))
            ]
            chain = [bench.run(case, progress) for case in cases]
            if chip is not None:
                bench.boards.set_delegate(options.board, chip)
                chain.append(bench.run(Case(options.board, options.dataset, COMPILED), progress))
            print(f"records in {bench.results}")
            return chain
    except BoardError as bad:
        raise UserError(str(bad)) from None
    finally:
        progress.close()


def _from(start: CaseRun, runs: Sequence[CaseRun]) -> Iterator[list[CaseRun]]:
    """The chains that begin with `start`: here in each form, then on each board in that form."""
    alike = [
        one
        for one in runs
        if one is not start
        and one.case.dataset == start.case.dataset
        and one.named("detector") == start.named("detector")
    ]
    forms = dict.fromkeys(one.case.variant for one in alike)
    for form in forms:
        here = [one for one in alike if _is(one, start.case.board, form)]
        there = [one for one in alike if one.case.variant == form and one not in here]
        chips = [one for one in alike if EDGE_TPU in one.named("runtime", "name")]
        if form == COMPILED and any(one.case.variant != COMPILED for one in alike):
            continue  # it ends the chain of the form it was compiled from
        if not there:
            yield [start, *here]
        for one in there:
            last = [chip for chip in chips if chip.case.board == one.case.board]
            yield [start, *here, one, *last[:1]]


def _is(run: CaseRun, board: str, variant: str) -> bool:
    return (run.case.board, run.case.variant) == (board, variant)


def _name(run: CaseRun) -> str:
    chip = " on its Edge TPU" if EDGE_TPU in run.named("runtime", "name") else ""
    return f"{run.case.board} {run.case.variant}{chip}"
