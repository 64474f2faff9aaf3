"""What boards cost and bring: the overhead of SSH, and how much faster two boards are than one.

    python benchmarks/board_costs.py [--clips 12] [--seconds 10]

Overhead: the campaign of the synthetic clips on `loopback`, the second time (everything is there
already), beside `local`, in turns; each time is of the whole pytest run, from start to end.
Speed-up: the same paced replays (frames come when a camera would bring them, so that the boards and
not this machine are the limit) on one loopback board and on a pool of two.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3
ACCURACY = Path(__file__).parent / "test_accuracy.py"
LENIENT = "accuracy: [{max_mae_bpm: 200.0}]\nlatency: []\nquantization: []\n"
BOARDS = """\
local: {kind: local}
one: {kind: loopback, labels: [pair]}
other: {kind: loopback, labels: [pair]}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=10, help="of each clip")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rppg-costs-") as temporary:
        folder = Path(temporary)
        entry = f"{{kind: synthetic, clips: {options.clips}, seconds: {options.seconds}}}"
        (folder / "datasets.yaml").write_text(f"clips: {entry}\n")
        (folder / "boards.yaml").write_text(BOARDS)
        (folder / "thresholds.yaml").write_text(LENIENT)
        print(f"{options.clips} synthetic clips of {options.seconds} s, tscan-synthetic, Haar")
        overhead(folder)
        speed_up(folder)


def overhead(folder: Path) -> None:
    """Print loopback less local, medians of turns; the first of each makes everything ready."""
    taken: dict[str, list[float]] = {"local": [], "one": []}
    for _ in range(1 + ROUNDS):
        for board, seconds in taken.items():
            seconds.append(campaign(folder, board))
    local, there = (statistics.median(seconds[1:]) for seconds in taken.values())
    print(f"  local {local:.1f} s, loopback {there:.1f} s: {there - local:+.1f} s", end="")
    print(f", {100 * (there / local - 1):+.1f} % (first time {taken['one'][0]:.1f} s)")


def speed_up(folder: Path) -> None:
    """Print how much faster a pool of two is than one of its boards, set-up included."""
    campaign(folder, "label:pair")  # so that both have everything
    one, both = (campaign(folder, board, "--pace=realtime") for board in ("one", "label:pair"))
    print(f"  paced, one board {one:.1f} s, a pool of two {both:.1f} s: {one / both:.2f} times")


def campaign(folder: Path, board: str, *more: str) -> float:
    """Run one; returns its wall time in s."""
    options = [f"--{one}s={folder}/{one}s.yaml" for one in ("board", "dataset", "threshold")]
    options += [f"--results={folder}/results", f"--board={board}", "--dataset=clips"]
    options += ["--model=tscan-synthetic", "--detector=haar", "--variant=dynamic"]
    command = [sys.executable, "-m", "pytest", str(ACCURACY), f"--rootdir={folder}", "-q"]
    begin = time.perf_counter()
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", *options, *more],
        capture_output=True,
        text=True,
        check=False,
    )
    taken = time.perf_counter() - begin
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return taken


if __name__ == "__main__":
    main()
