"""Slow-downs: told from none by paired runs on this machine, by instructions on an emulated one.

See `seeded_faults.py`.
"""

import json
import sys
from collections import defaultdict
from itertools import chain

from broken_pipelines import CLIPS, broken_copy, slowed

from harness.boards.local import LocalBoard
from harness.boards.virtual.board import VirtualBoard
from harness.campaign import Pipe, run_case
from harness.datasets.registry import open_dataset
from harness.datasets.selection import Selection, select
from harness.verdicts.counts import count, per_stage
from harness.verdicts.gates import gate_counts
from harness.verdicts.latency import STAGES, measure
from harness.verdicts.outcome import Outcome
from harness.verdicts.run_latency import slowdown
from harness.verdicts.thresholds import Case, parse_thresholds
from rppg_core import models

PERCENTS = (10.0, 5.0)
MARGIN_PERCENT = 5.0
CLIP_NAMES = ("motion-1", "motion-2", "motion-3", "low-rate-1", "low-rate-2", "low-rate-3")
COUNTED_NAMES = ("low-rate-1", "low-rate-2")  # counts do not vary: a few tell
ALL = "all stages"


def replay(lab, board, results, names=CLIP_NAMES):
    """One run of the clips on a board."""
    clips = select(open_dataset(CLIPS, lab.folder / "datasets.yaml"), Selection(names))
    clips.prepare()
    name, model = models.tflite_file(lab.model, "float32")
    detector, files, _ = models.choose_detector(lab.detector)
    case = Case(board.name, CLIPS, "float32")
    return run_case(board, clips, case, Pipe(name, model, detector, files), results, Silent())


class Silent:
    """Watches nothing."""

    def start(self, *_):
        """Nothing."""

    advance = done = say = start


def slow_on_this_machine(lab, options, row):
    """Replay the right and the slowed pipelines in turn, so that what drifts does so for all."""
    percents = [one for one in PERCENTS if options.only in slowed(one).name]
    if not percents:
        return
    packages = {slowed(one).name: broken_copy(slowed(one), lab.folder) for one in percents}
    boards = {"right": LocalBoard("right"), "right again": LocalBoard("again")}
    boards |= {name: LocalBoard("slow", package_root=path) for name, path in packages.items()}
    times = {name: defaultdict(lambda: defaultdict(list)) for name in boards}
    for number in range(options.rounds):
        order = list(boards) if number % 2 == 0 else list(reversed(boards))
        for name in order:
            run = replay(lab, boards[name], lab.folder / "slow" / name / str(number))
            figures = {one.stage: one.ms_per_frame for one in measure(run.times).stages}
            for stage, ms in {**figures, ALL: sum(figures.values())}.items():
                times[name][stage][f"round {number}"].append(ms)  # its pair is of the same round
    stages = {"right again": "-", **{name: slowed(1).stage for name in packages}}
    for name, stage in stages.items():
        found = {
            one: slowdown(times["right"][one], times[name][one], MARGIN_PERCENT)
            for one in (ALL, *STAGES)
        }
        whole = found[ALL]
        ends = "no interval"
        if whole.interval:
            ends = f"{whole.interval.low:+.1f} to {whole.interval.high:+.1f} %"
        added = {one: mean(times[name][one]) - mean(times["right"][one]) for one in STAGES}
        failed = whole.outcome is Outcome.FAIL
        yield row(
            "none (control), paired times" if stage == "-" else name,
            stage,
            ("slowdown_percent",) if failed else (),
            max(added, key=added.get) if failed else "-",
            int(failed),
            f"{whole.difference:+.1f} % ({ends}): {whole.outcome.value}",
        )


def mean(runs):
    rows = list(chain.from_iterable(runs.values()))
    return sum(rows) / len(rows)


def slow_on_virtual(lab, row):
    """Count the instructions of right and slowed pipelines; the gate is that of the benchmarks."""
    with VirtualBoard() as board:
        before = per_stage(count(replay(lab, board, lab.folder / "virtual", COUNTED_NAMES).times))
    rules = parse_thresholds(
        {"accuracy": [], "latency": [{"baseline_minstr_per_frame": before}]}, "virtual"
    )
    tried = [("none (control), instructions", "-", None)]
    tried += [(slowed(one).name, slowed(one).stage, slowed(one)) for one in PERCENTS]
    for name, stage, fault in tried:
        package = {} if fault is None else {"package_root": broken_copy(fault, lab.folder)}
        with VirtualBoard(**package) as board:
            report = count(replay(lab, board, lab.folder / "virtual" / name, COUNTED_NAMES).times)
        gates = gate_counts(rules, Case("virtual", CLIPS, "float32"), report)
        failed = [one for one in gates if one.outcome is Outcome.FAIL]
        added = {one: per_stage(report)[one] - before[one] for one in STAGES}
        print(name, json.dumps(per_stage(report)), file=sys.stderr)
        yield row(
            name,
            stage,
            tuple(one.gate for one in failed),
            max(added, key=added.get) if failed else "-",
            int(bool(failed)),
            f"{100 * (per_stage(report)['all'] / before['all'] - 1):+.2f} % instructions",
        )
