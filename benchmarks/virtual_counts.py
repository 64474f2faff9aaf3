"""How far a count of instructions on the virtual board can be trusted.

    python benchmarks/virtual_counts.py spread    [--boots 5] [--hogs 0] [--runs 1]
    python benchmarks/virtual_counts.py slowdown  [--percent 1.0]
    python benchmarks/virtual_counts.py likeness
    python benchmarks/virtual_counts.py variants  [--variants published,float32,dynamic,int8]
    python benchmarks/virtual_counts.py memory    [--minutes 10] [--huge-pages]

`spread` replays after fresh starts of the board, beside busy processes of the host if asked, and
holds every replay against the first: an A/A comparison, in which each alarm is a false one.
`slowdown` plants a slow-down in a copy of the pipeline. `likeness` compares heart rates with this
machine's. `variants` shows where each form of the model spends its instructions, and its memory;
`published` is the graph as its authors have it, an appearance image for every frame. `memory`
compares the peak of a long video, a rendered clip over and over at 15 fps, with that of its first
seconds; huge pages, which a kernel makes of a process's memory after some minutes, are off there
without --huge-pages.
All take --variant, --dataset, --recordings, --detector and --model as a campaign does.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from harness.attempts import Effort
from harness.boards.base import PACKAGE_ROOT, Board
from harness.boards.errors import BoardError
from harness.boards.local import LocalBoard
from harness.boards.virtual.board import VirtualBoard
from harness.campaign import Pipe, run_case
from harness.datasets.registry import open_dataset
from harness.datasets.selection import Selection, select
from harness.replays import CaseRun, pairs
from harness.reports.progress import CampaignProgress
from harness.verdicts.counts import count, per_stage, slowdown_percent
from harness.verdicts.thresholds import DEFAULT_SLOWDOWN_PERCENT, Case
from rppg_core import models
from rppg_core.errors import UserError
from rppg_core.lightening.convert import convert, model_card, write_model
from rppg_core.lightening.weights import load_weights
from rppg_core.tscan_int8 import partner_of
from rppg_core.video import open_source

# What one turn of Python's emptiest loop costs is measured on the board with this.
LOOP = "import time; t=time.process_time_ns(); [None for _ in range({n})]; "
LOOP += "print(time.process_time_ns()-t)"
LOOP_TURNS = 1_000_000
PREDICT = "    def predict(self, motion: np.ndarray, appearance: np.ndarray) -> np.ndarray:\n"
TOLERANCE_BPM = 0.5
"""OpenCV's decoder turns YUV into RGB by other code on ARM: frames are a grey level apart, which in
clips of 6 s moved heart rates by up to 0.2 bpm. From PNG images, which decode to the same bits,
they were 2e-7 bpm apart: so it is the decoder alone."""

HUGE_PAGES = "/sys/kernel/mm/transparent_hugepage/enabled"
LONG_FPS, SHORT_S = 15.0, 10.0
MOST_BYTES, FLAT = 200e6, 1.05
"""Of the board's 1 GB; and how much more a long video may take than a short one."""


PUBLISHED = "published"


@dataclass(frozen=True)
class Asked:
    """What is replayed."""

    dataset: str
    variant: str
    model: str
    detector: str
    recordings: tuple[str, ...]
    timeout_s: float
    datasets_file: Path = Path("datasets.yaml")

    def replay(self, board: Board, results: Path) -> CaseRun:
        """Replay it on a board, which is left open."""
        known = open_dataset(self.dataset, self.datasets_file)
        dataset = select(known, Selection(self.recordings))
        progress = CampaignProgress()
        dataset.prepare(progress.rendered)
        weights = models.choose_model(self.model)[0]
        if self.variant == PUBLISHED:
            name, model = f"{weights}/{PUBLISHED}", published(weights, results)
        else:
            name, model = models.tflite_file(weights, self.variant)
        detector, files, _ = models.choose_detector(self.detector)
        pipe = Pipe(name, model, detector, files, appearance=partner_of(model))
        case = Case(board.name, self.dataset, self.variant)
        run = run_case(
            board, dataset, case, pipe, results, progress, Effort(timeout_s=self.timeout_s)
        )
        progress.close()
        if run.failures:
            raise UserError(f"replays failed: {dict(run.failures)}")
        return run


def published(weights: str, folder: Path) -> Path:
    """Make the graph that the pipeline's own float32 form is held against."""
    given = load_weights(models.weights_path(weights))
    path = folder / f"{PUBLISHED}.tflite"
    folder.mkdir(parents=True, exist_ok=True)
    card = model_card(given, weights, appearance_per_frame=True)
    write_model(path, convert(given, appearance_per_frame=True), card)
    return path


def spread(asked: Asked, results: Path, boots: int, hogs: int, runs: int) -> int:
    """Return 1 if any replay differs from the first by more than the gate's tolerance."""
    rows = []
    with _hogs(hogs):
        for boot in range(boots):
            with VirtualBoard() as board:
                for again in range(runs):
                    found = per_stage(count(asked.replay(board, results).times))
                    rows.append(found)
                    figures = ", ".join(f"{stage} {one:.4f}" for stage, one in found.items())
                    print(f"boot {boot + 1}, run {again + 1}: M instr a frame: {figures}")
                    sys.stdout.flush()
    alarms = 0
    for stage in rows[0]:
        counts = np.array([row[stage] for row in rows])
        alarms += int(np.sum(counts > counts[0] * (1 + DEFAULT_SLOWDOWN_PERCENT / 100)))
        wide = 100 * np.ptp(counts) / counts.mean()
        print(f"{stage:12} mean {counts.mean():9.4f}  largest - smallest {wide:.4f} %")
    print(
        f"{boots} boots, {len(rows)} replays of the dataset, {hogs} busy processes beside: "
        f"{alarms} alarms in {len(rows) - 1} A/A comparisons at {DEFAULT_SLOWDOWN_PERCENT} %"
    )
    return int(alarms > 0)


def slowdown(asked: Asked, results: Path, percent: float) -> int:
    """Return 0 if a slow-down of the whole by so many percent is told from none at all."""
    with VirtualBoard() as board:
        honest = count(asked.replay(board, results).times)
        said = board.run_as_root(f"python3 -c '{LOOP.format(n=LOOP_TURNS)}'")
    per_turn = int(said) / LOOP_TURNS
    calls = next(one.calls for one in honest.stages if one.stage == "predict")
    whole = (honest.minstr_per_frame or 0.0) * 1e6 * honest.frames
    turns = round(whole * percent / 100 / calls / per_turn)
    with tempfile.TemporaryDirectory() as folder:
        slow = broken_copy(Path(folder), turns)
        with VirtualBoard(package_root=slow) as board:
            slower = count(asked.replay(board, results).times)
    print(f"planted {percent} %: {turns} turns of a loop in each of {calls} predictions")
    before, after = per_stage(honest), per_stage(slower)
    for stage, figure in after.items():
        print(f"{stage:12} {before[stage]:9.4f} {slowdown_percent(figure, before[stage]):+.3f} %")
    caught = slowdown_percent(after["all"], before["all"]) > DEFAULT_SLOWDOWN_PERCENT
    print("caught" if caught else "NOT caught", f"at {DEFAULT_SLOWDOWN_PERCENT} %")
    return int(not caught)


def broken_copy(folder: Path, turns: int) -> Path:
    """Copy the pipeline into a folder, each prediction with so many turns of an idle loop more."""
    copy = folder / PACKAGE_ROOT.name
    shutil.copytree(PACKAGE_ROOT, copy, ignore=shutil.ignore_patterns("__pycache__", "lightening"))
    source = copy / "tscan.py"
    head, found, tail = source.read_text().partition(PREDICT)
    if not found:
        raise UserError(f"{source.name} has no predict() of the expected form to slow down")
    source.write_text(f"{head}{found}        [None for _ in range({turns})]\n{tail}")
    return copy


def likeness(asked: Asked, results: Path) -> int:
    """Return 1 if any heart rate differs from this machine's by more than ``TOLERANCE_BPM``."""
    with LocalBoard() as board:
        here = asked.replay(board, results)
    with VirtualBoard() as board:
        there = asked.replay(board, results)
    worst = 0.0
    for pair in pairs(there, here):
        worst = max(worst, pair.difference_bpm)
        print(
            f"{pair.recording}: local {pair.float_bpm:.5f}, virtual {pair.variant_bpm:.5f} bpm, "
            f"apart {pair.difference_bpm:.6f}; derivative: correlation {pair.correlation:.8f}"
        )
    print(f"largest difference {worst:.6f} bpm, tolerance {TOLERANCE_BPM} bpm")
    return int(worst > TOLERANCE_BPM)


def variants(asked: Asked, results: Path, names: tuple[str, ...]) -> int:
    """Print instructions a frame and stage, and peak memory, for each form of the model."""
    with VirtualBoard() as board:
        for name in names:
            form = Asked(**{**vars(asked), "variant": name})
            run = form.replay(board, results)
            report = count(run.times)
            peak = max(one.record.raw["peak_memory_bytes"] for one in run.replays)
            print(f"{name}: peak memory {peak / 1e6:.1f} MB; M instr a frame:")
            for stage in report.stages:
                print(
                    f"  {stage.stage:12} {stage.minstr_per_frame:9.4f} {stage.share_percent:5.1f} %"
                )
            largest = ", ".join(one.stage for one in report.largest(3))
            print(f"  {'all':12} {report.minstr_per_frame:9.4f}; largest: {largest}")
            sys.stdout.flush()
    return 0


def memory(asked: Asked, results: Path, minutes: float, huge_pages: bool = False) -> int:
    """Return 1 if a long video's peak memory is above the limit, or grows with its length."""
    clips = open_dataset(asked.dataset, asked.datasets_file)
    clips.prepare(CampaignProgress().rendered)
    clip = next(one.video for one in clips.recordings())
    peaks = []
    with tempfile.TemporaryDirectory() as folder, VirtualBoard() as board:
        board.connect()
        if not huge_pages:
            board.run_as_root(f"echo never > {HUGE_PAGES}")
        for name, seconds in (("short", SHORT_S), ("long", 60 * minutes)):
            home = Path(folder, name)
            frames = repeated(clip, home, round(seconds * LONG_FPS))
            datasets = Path(folder, "datasets.yaml")
            datasets.write_text(f"{name}: {{kind: folder, root: '{home}'}}\n")
            one = Asked(**{**vars(asked), "dataset": name, "datasets_file": datasets})
            record = one.replay(board, results).replays[0].record
            peaks.append(record.raw["peak_memory_bytes"])
            print(f"{seconds:.0f} s, {frames} frames: peak memory {peaks[-1] / 1e6:.1f} MB")
            sys.stdout.flush()
    flat = peaks[1] <= FLAT * peaks[0]
    print(f"ratio {peaks[1] / peaks[0]:.3f}; limits {MOST_BYTES / 1e6:.0f} MB and {FLAT}")
    return int(not flat or peaks[1] > MOST_BYTES)


def repeated(clip: Path, folder: Path, frames: int) -> int:
    """Write so many frames of a clip, over and over, as a dataset of one video; return them."""
    folder.mkdir()
    shown = [cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR) for frame in open_source(clip)]
    height, width = shown[0].shape[:2]
    code = cv2.VideoWriter_fourcc(*"mp4v")
    video = cv2.VideoWriter(str(folder / "video.mp4"), code, LONG_FPS, (width, height))
    for number in range(frames):
        video.write(shown[number % len(shown)])
    video.release()
    (folder / "labels.csv").write_text("file,bpm\nvideo.mp4,60\n")  # nobody asks for the rate
    return frames


@contextlib.contextmanager
def _hogs(number: int) -> Iterator[None]:
    """Keep so many processors busy."""
    busy = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(number)]
    for one in busy:
        one.start()
    try:
        yield
    finally:
        for one in busy:
            one.kill()


def _spin() -> None:
    while True:
        pass


def main() -> int:
    """Exit status 1 where the claim does not hold, 2 after one line for a mistake."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("spread", "slowdown", "likeness", "variants", "memory"))
    parser.add_argument("--dataset", default="synthetic-small")
    parser.add_argument("--datasets", type=Path, default=Path("datasets.yaml"), metavar="FILE")
    parser.add_argument("--variant", default="float32")
    parser.add_argument("--variants", default=f"{PUBLISHED},float32,dynamic,int8")
    parser.add_argument("--model", default=models.BUNDLED_MODEL)
    parser.add_argument("--detector", default="haar")
    parser.add_argument("--recordings", default="")
    parser.add_argument("--boots", type=int, default=5)
    parser.add_argument("--runs", type=int, default=1, help="replays of the dataset a boot")
    parser.add_argument("--hogs", type=int, default=0, help="busy processes beside the board")
    parser.add_argument("--percent", type=float, default=1.0)
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the long video")
    parser.add_argument("--huge-pages", action="store_true", help="leave the kernel's as they are")
    parser.add_argument("--timeout", type=float, default=7200.0, help="seconds for a recording")
    parser.add_argument("--results", type=Path, default=Path("results/virtual-counts"))
    options = parser.parse_args()
    recordings = tuple(name for name in options.recordings.split(",") if name)
    asked = Asked(
        options.dataset,
        options.variant,
        options.model,
        options.detector,
        recordings,
        options.timeout,
        options.datasets,
    )
    try:
        if options.what == "spread":
            return spread(asked, options.results, options.boots, options.hogs, options.runs)
        if options.what == "slowdown":
            return slowdown(asked, options.results, options.percent)
        if options.what == "likeness":
            return likeness(asked, options.results)
        if options.what == "memory":
            return memory(asked, options.results, options.minutes, options.huge_pages)
        return variants(asked, options.results, tuple(options.variants.split(",")))
    except (UserError, BoardError) as bad:
        print(bad, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
