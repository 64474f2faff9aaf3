"""`rppg-bench doctor BOARD`: is the board fit to be measured on? One line a question."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from harness.attempts import Attempts, Effort, RecordingFailedError
from harness.boards.base import Board
from harness.boards.errors import BoardError
from harness.boards.health import troubles
from harness.boards.provision import MINIMUM
from harness.boards.ssh import RemoteBoard
from harness.campaign import Pipe, job_of
from harness.datasets.base import Labels, Recording
from harness.datasets.plans import plan_clips
from harness.datasets.synthetic import SyntheticDataset, default_root
from rppg_core import models
from rppg_core.errors import UserError
from rppg_core.runtime import RUNTIMES
from rppg_core.tscan_int8 import partner_of

Verdict = Literal["ok", "warn", "fail"]
LOW_DISK_BYTES = 500 * 10**6
LOW_MEMORY_BYTES = 300 * 10**6
"""A replay takes up to 200 MB."""
HOT_C = 70.0
BUSY_CORES = 0.25
SKEW_S = 60.0
CLIP_SECONDS, CLIP_SEED, CLIP_SIDES_PX = 8.0, 7, (320, 240)
TOLERANCE_BPM = 6.0
"""Of a clip so short the spectrum tells no more; a broken pipeline is tens of bpm off."""


@dataclass(frozen=True)
class Line:
    """One answer; ``remedy`` is empty where all is well."""

    verdict: Verdict
    what: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{self.verdict:4}  {self.what:12} {self.found}"
        return f"{line}; {self.remedy}" if self.remedy else line


def examine(board: Board) -> Iterator[Line]:
    """Look at a board from the outside in; ends at the first thing that makes the rest moot.

    ``Board.connect`` is the first question. The self-test waits for no one: a board in use by
    someone else is not disturbed.
    """
    try:
        begun = time.monotonic()
        board.connect()
        facts = board.facts()
    except (UserError, BoardError) as bad:
        if isinstance(bad, BoardError) and bad.kind == "busy":  # it is not touched then
            yield Line("warn", "lease", bad.message, "nothing was tried while it is in use")
        else:
            yield Line("fail", "connect", str(bad))
        return
    yield Line("ok", "connect", f"answers within {time.monotonic() - begun:.1f} s")
    model, system = facts["cpu_model"], f"kernel {facts['kernel']}, Python {facts['python']}"
    yield Line("ok", "board", f"{model} ({facts['machine']}), {facts['cpu_count']} cores, {system}")
    wrong = board.settings.expect.mismatch(facts)
    if wrong:
        yield Line("fail", "expected", wrong, "mend 'expect' in boards.yaml, or the board")
    if isinstance(board, RemoteBoard):
        began_s = time.time()
        found = board.checks()
        skew_s = found["time_s"] - (began_s + time.time()) / 2
        lease = _take(board)
        yield from _packages(board, found, ours=lease.verdict == "ok")
        yield from _edge_tpu(board, found)
        yield from _state(board, found, skew_s)
        yield lease
        if lease.verdict != "ok":
            return
    yield _self_test(board)


def _take(board: RemoteBoard) -> Line:
    """Take the lease, without which nothing may be changed on the board."""
    try:
        board.acquire(0.0, lambda line: None)
    except BoardError as bad:
        if bad.kind == "busy":
            return Line("warn", "lease", bad.message, "no self-test while it is in use")
        return Line("fail", "lease", bad.message, bad.hint or "no self-test without it")
    return Line("ok", "lease", "free")


def _packages(board: RemoteBoard, found: dict[str, Any], *, ours: bool) -> Iterator[Line]:
    there = found["packages"]
    shown = ", ".join(f"{name} {version or '(version unknown)'}" for name, version in there.items())
    wanted = [*MINIMUM, "a TFLite runtime"]
    runtimes = [name for name in RUNTIMES if name in there and board.runtime in ("auto", name)]
    missing = [name for name in MINIMUM if name not in there]
    missing += [] if runtimes else wanted[-1:]
    if not missing:
        yield Line("ok", "packages", shown)
        return
    lacks = f"{shown or 'none'}; lacks {', '.join(missing)}"
    if not ours:
        yield Line("warn", "packages", lacks, "they are sent once its lease is to be had")
        return
    try:
        begun = time.monotonic()
        board.deploy()
        took = time.monotonic() - begun
        yield Line("ok", "packages", f"{lacks}, which were sent from here ({took:.0f} s)")
    except (UserError, BoardError) as bad:
        yield Line("fail", "packages", lacks, str(bad))


def _edge_tpu(board: RemoteBoard, found: dict[str, Any]) -> Iterator[Line]:
    chips, library = found["edge_tpus"], found["edge_tpu_library"]
    asked = board.settings.delegate == "edgetpu"
    if not chips and not library:
        remedy = "plug it in, or leave 'delegate' out" if asked else ""
        yield Line("fail" if asked else "ok", "Edge TPU", "none", remedy)
        return
    shown = f"{', '.join(chips) or 'no device'}; {library or 'no libedgetpu.so.1'}"
    if chips and library:
        yield Line("ok", "Edge TPU", shown)
    elif chips:
        yield Line("fail" if asked else "warn", "Edge TPU", shown, "install libedgetpu1-std there")
    else:
        yield Line("fail" if asked else "warn", "Edge TPU", shown, "plug it in, or replug it")


def _state(board: RemoteBoard, found: dict[str, Any], skew_s: float) -> Iterator[Line]:
    health, free = found["health"], found["free_bytes"]
    yield _judge("disk", f"{free / 1e9:.1f} GB free", free < LOW_DISK_BYTES, "free some there")
    memory = health["min_free_memory_bytes"]
    low = memory < LOW_MEMORY_BYTES
    yield _judge("memory", f"{memory / 1e6:.0f} MB free", low, "end what else runs there")
    governor = health.get("governor", "not said")
    slow = governor not in ("performance", "not said")
    remedy = "set it to performance, or times depend on the load before them"
    yield _judge("governor", governor, slow, remedy)
    degrees = health.get("max_temperature_c")
    shown = "no sensor" if degrees is None else f"{degrees:.0f} degrees Celsius"
    yield _judge("temperature", shown, (degrees or 0) > HOT_C, "let it cool, give it air")
    load = health["foreign_cores"] or 0.0
    yield _judge("load", f"{load:.2f} cores busy", load > BUSY_CORES, "end what else runs there")
    bad = troubles(health, board.settings.health)
    if bad:
        yield Line("warn", "health", "; ".join(bad), "times taken now would be invalid")
    remedy = "set it (timedatectl set-ntp true); records would be dated wrongly"
    yield _judge("clock", f"{skew_s:+.1f} s from this machine's", abs(skew_s) > SKEW_S, remedy)


def _judge(what: str, found: str, bad: bool, remedy: str) -> Line:
    return Line("warn", what, found, remedy) if bad else Line("ok", what, found)


def _self_test(board: Board) -> Line:
    """Replay a synthetic clip whose heart rate is known."""
    name = "self-test"
    try:
        chosen, _ = models.choose_model("auto")
        model_name, model = models.tflite_file(chosen, "float32")
        pipe = Pipe(model_name, model, "haar", {}, appearance=partner_of(model))
        recording, truth = _clip()
        board.deploy()
        attempts = Attempts(board, Effort(timeout_s=120.0, board_retries=0, timed=False), print)
        record = attempts.replay(
            recording.id,
            [*pipe.files, recording.video],
            # The model is not compiled for an Edge TPU: this is the processor's test.
            lambda placed: {
                **job_of(board, recording, truth, pipe, placed),
                "runtime": board.runtime,
            },
            lambda event: None,
        )
    except (UserError, BoardError, RecordingFailedError) as bad:
        return Line("fail", name, str(bad))
    if record["status"] != "ok":
        return Line("fail", name, record["error"]["message"])
    bpm, factor = record["result"]["bpm"], record["result"]["real_time_factor"]
    speed = "its clock counts instructions" if factor is None else f"real-time factor {factor:.2f}"
    runtime = f"{record['runtime']['name']} {record['runtime']['version']}"
    shown = f"{bpm:.1f} bpm, truth {truth.reference_bpm:.1f} (synthetic); {speed}, with {runtime}"
    wrong = board.settings.expect.mismatch({"runtime": runtime})
    if wrong:
        return Line("fail", name, wrong, "mend 'expect' in boards.yaml, or the board")
    if abs(bpm - truth.reference_bpm) > TOLERANCE_BPM:
        return Line("fail", name, shown, "the pipeline is wrong on this board: compare its records")
    return Line("ok", name, shown)


def _clip() -> tuple[Recording, Labels]:
    width, height = CLIP_SIDES_PX
    plan = plan_clips(1, CLIP_SECONDS, CLIP_SEED, width, height)
    dataset = SyntheticDataset("doctor", default_root(), plan)
    dataset.prepare(lambda *_: None)
    (recording,) = dataset.recordings()
    return recording, dataset.labels(recording)
