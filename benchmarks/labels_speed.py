"""Time and memory of listing and checking a large dataset's labels.

    python benchmarks/labels_speed.py [--recordings 3000] [--frames 1800]

Builds synthetic label files in the layout of UBFC-rPPG DATASET_2, without videos, in a temporary
folder; runs `rppg-bench labels` over them in a process of its own; and compares it with a process
that only reads the same files and turns their words into numbers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from harness.datasets.ubfc2 import LABELS_NAME, GroundTruth, write_ground_truth

RATE_HZ = 29.5
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6
DISTINCT = 40  # files that are rendered; the others have one value changed, so that none is alike
READ_ALONE = """
import sys
from pathlib import Path
for path in Path(sys.argv[1]).glob("*/ground_truth.txt"):
    for line in path.read_text().splitlines():
        list(map(float, line.split()))
"""


def build(root: Path, recordings: int, frames: int) -> None:
    """Write label files of heart rates over the whole range, every tenth with a wrap."""
    rng = np.random.default_rng(1)
    texts = []
    for number in range(min(DISTINCT, recordings)):
        time_s = np.cumsum(rng.normal(1 / RATE_HZ, 0.002, frames).clip(0.01, 0.1))
        bpm = 50 + 90 * number / DISTINCT + 3 * np.sin(time_s / 9)
        phase = 2 * np.pi * np.cumsum(bpm / 60 * np.gradient(time_s))
        ppg = np.sin(phase) + 0.3 * np.sin(2 * phase) + rng.normal(0, 0.02, frames)
        row = np.where(bpm > 127, bpm - 128, bpm) if number % 10 == 0 else bpm
        write_ground_truth(root / "one.txt", GroundTruth(ppg, np.round(row), time_s))
        texts.append((root / "one.txt").read_text())
    (root / "one.txt").unlink()
    for number in range(recordings):
        folder = root / f"subject{number + 1}"
        folder.mkdir()
        (folder / LABELS_NAME).write_text(
            f" {number % 997 / 1000:.7e}" + texts[number % DISTINCT][14:]
        )


def measure(command: list[str]) -> tuple[float, float, float]:
    """(seconds, seconds of processor time, peak MB) of a command with all its processes.

    Pages that processes share count for each of them.
    """
    start, before, peak_mb = time.perf_counter(), os.times(), 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak_mb = max(peak_mb, resident_mb(process.pid))
            time.sleep(0.1)
    if process.returncode not in (0, 1):
        sys.exit(f"{command[0]} ended with {process.returncode}")
    after = os.times()
    used_s = after.children_user + after.children_system
    used_s -= before.children_user + before.children_system
    return time.perf_counter() - start, used_s, peak_mb


def resident_mb(pid: int) -> float:
    """Resident memory of a process and its children."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, IndexError):  # it has just ended
        return 0.0
    return pages * PAGE_MB + sum(resident_mb(int(child)) for child in children)


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=int, default=3000)
    parser.add_argument("--frames", type=int, default=1800)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        root.mkdir()
        build(root, options.recordings, options.frames)
        datasets = Path(folder) / "datasets.yaml"
        datasets.write_text("many: {kind: ubfc-rppg-2, root: set}\n")
        check = [sys.executable, "-m", "harness.cli", "labels", "many", f"--datasets={datasets}"]
        read_s, read_cpu_s, _ = measure([sys.executable, "-c", READ_ALONE, str(root)])
        check_s, check_cpu_s, peak_mb = measure(check)
    print(f"{options.recordings} recordings of {options.frames} frames, labels only")
    print(
        f"listed and checked  {check_s:6.2f} s  processor {check_cpu_s:6.2f} s  {peak_mb:4.0f} MB"
    )
    print(f"read and parsed     {read_s:6.2f} s  processor {read_cpu_s:6.2f} s")
    print(
        f"ratio               {check_s / read_s:6.2f}    processor {check_cpu_s / read_cpu_s:6.2f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
