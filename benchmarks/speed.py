"""How fast and how lean is the pipeline? Prints figures beside a baseline measured in the same run.

    python benchmarks/speed.py [--clip VIDEO] [--open-rppg PYTHON]

Every replay is a process of its own, on one core and one thread. Without --clip it takes a clip of
the synthetic dataset (640x480, H.264, 30 fps). --open-rppg names a Python that has open-rppg
installed; its TS-CAN is then timed on the same frames, on the same core.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np

from harness.datasets.registry import open_dataset
from rppg_core import models
from rppg_core.pipeline import STAGES
from rppg_core.postprocess import detrend
from rppg_core.records import Record, read_record
from rppg_core.replay import JOB_SCHEMA

RUNS = 5
PEER_FRAMES = 480  # open-rppg's TS-CAN takes chunks of 160 frames
PEER = """
import json, sys, time
begin = time.perf_counter()
import rppg
model = rppg.Model("TSCAN.pure")
model.process_video(sys.argv[1])
first = time.perf_counter() - begin
times = []
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    model.process_video(sys.argv[1])
    times.append(time.perf_counter() - start)
print(json.dumps({"bpm": model.hr()["hr"], "first": first, "seconds": times}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--detector", default="auto")
    parser.add_argument("--model", default="tscan-afrl")
    parser.add_argument("--open-rppg", metavar="PYTHON")
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        clip, work = options.clip or synthetic_clip(), Path(folder)
        stages(clip, options, work)
        memory(clip, options, work)
        detrending()
        if options.open_rppg:
            peer(clip, options, work)


def stages(clip: Path, options: argparse.Namespace, work: Path) -> None:
    records = [replay(clip, options, work) for _ in range(RUNS)]
    factors = [sum(t.sum() for t in r.timings_ns.values()) / 1e9 / r.duration_s for r in records]
    frames = len(records[0].times_s)
    print(f"{clip.name}: {frames} frames, {records[0].bpm:.1f} bpm, {RUNS} runs, one core")
    print(f"  real-time factor  median {statistics.median(factors):.3f}  best {min(factors):.3f}")
    for stage in STAGES:
        ms = [r.timings_ns[stage].sum() / 1e6 / frames for r in records]
        print(f"  {stage:12} ms a frame  median {statistics.median(ms):.3f}  best {min(ms):.3f}")


def memory(clip: Path, options: argparse.Namespace, work: Path) -> None:
    peaks = []
    for minutes in (1 / 6, 10):
        video = repeat(clip, round(minutes * 60 * 30), work / f"{minutes:.2f}min.mkv")
        peaks.append(replay(video, options, work).raw["peak_memory_bytes"] / 2**20)
        print(f"  peak memory, {minutes * 60:3.0f} s of video  {peaks[-1]:.0f} MiB")
    print(f"  ratio 10 min / 10 s  {peaks[1] / peaks[0]:.2f}")


def detrending() -> None:
    size = 900
    signal = np.random.default_rng(0).standard_normal(size).cumsum()
    bend = np.diff(np.eye(size), 2, axis=0)

    def dense() -> None:
        np.linalg.solve(np.eye(size) + 100.0**2 * bend.T @ bend, signal)

    banded_s, dense_s = best_s(lambda: detrend(signal)), best_s(dense)
    print(f"  detrending {size} frames: {banded_s / size * 1e3:.4f} ms a frame", end="")
    print(f", dense {dense_s / size * 1e3:.4f}: {dense_s / banded_s:.0f} times faster")


def peer(clip: Path, options: argparse.Namespace, work: Path) -> None:
    video = repeat(clip, PEER_FRAMES, work / "peer.mkv")
    command = [options.open_rppg, "-c", PEER, str(video), str(RUNS)]
    output = subprocess.run(command, check=True, stdout=-1, stderr=-3).stdout
    answer = json.loads(output.splitlines()[-1])
    theirs = statistics.median(answer["seconds"]) / PEER_FRAMES * 1e3
    starts_s, records = [], []
    for _ in range(RUNS):
        start = time.perf_counter()
        records.append(replay(video, options, work))
        starts_s.append(time.perf_counter() - start)
    ours = statistics.median(r.raw["wall_s"] for r in records) / PEER_FRAMES * 1e3
    here_s = statistics.median(starts_s)
    print(
        f"  against open-rppg TSCAN.pure ({records[0].bpm:.1f} here, {answer['bpm']:.1f} bpm there)"
    )
    print(f"    ms a frame, once running: {ours:.2f} and {theirs:.2f}: {theirs / ours:.1f} times")
    print(
        f"    {PEER_FRAMES} frames from start to heart rate: {here_s:.1f} s and "
        f"{answer['first']:.1f} s: {answer['first'] / here_s:.1f} times"
    )


def replay(video: Path, options: argparse.Namespace, work: Path) -> Record:
    name, model = models.tflite_file(options.model)
    detector, files, _ = models.choose_detector(options.detector)
    job = {
        "schema": JOB_SCHEMA,
        "recordings": [{"id": "clip", "path": str(video), "times_s": None}],
        "model": {"path": str(model), "name": name},
        "detector": {"name": detector, "files": {n: str(p) for n, p in files.items()}},
        "out_dir": str(work),
    }
    (work / "job.json").write_text(json.dumps(job))
    command = [sys.executable, "-m", "rppg_core.replay", str(work / "job.json")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return read_record(json.loads(done.stdout.splitlines()[-1])["path"])


def repeat(clip: Path, frames: int, out: Path) -> Path:
    """The clip's coded frames over and over, `frames` in all, without coding them again."""
    with av.open(str(clip)) as source, av.open(str(out), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [bytes(p) for p in source.demux(video=0) if p.size]
        keys = [p.is_keyframe for p in av.open(str(clip)).demux(video=0) if p.size]
        for number in range(frames):
            packet = av.Packet(packets[number % len(packets)])
            packet.stream, packet.time_base = stream, source.streams.video[0].time_base
            packet.pts = packet.dts = round(number / 30 / packet.time_base)
            packet.is_keyframe = keys[number % len(packets)]
            target.mux(packet)
    return out


def synthetic_clip() -> Path:
    dataset = open_dataset("synthetic", Path(__file__).parent.parent / "datasets.yaml")
    dataset.prepare()
    return dataset.recordings()[0].video


def best_s(action, runs: int = 7) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
