"""What a campaign does when its board fails: each fault is made for real, beside a replay.

    python benchmarks/board_faults.py [NAME ...]     all of them without a name; --list names them

A campaign of two recordings runs as `pytest test_accuracy.py --resume` does; the first is there
already. The fault comes with the first progress of the second. Printed: what the user is told,
when, the exit status, whether the first record is untouched, whether the second is the same as
without the fault, and what processes and files the board is left with. Exit status 1 where
anything is not as it has to be.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.fault_list import FAULTS, VIRTUAL_S, Stage, command_of, staged
from harness.boards.virtual.board import VirtualBoard
from harness.plugin import BENCH
from harness.reports.progress import CampaignProgress

SECONDS = {"pi": 60, "virtual": 4}
FIRST, SECOND = "subject1", "subject2"
LIMIT_S = 900.0
GONE_S = 90.0
"""The agent gives up a host that is silent after 60 s."""
LENIENT = "accuracy: [{max_mae_bpm: 200.0}]\nlatency: []\nquantization: []\n"
OWN = "ps -u bench -o args= | grep -v -e '^ps' -e sshd -e systemd -e '(sd-pam)' || true"
FILES = "find / -xdev -user bench -not -path '/home/bench/.cache/rppg-bench*' -not -path '/proc/*'"
JOBS = "find /home/bench/.cache/rppg-bench/jobs -mindepth 1 || true"


class Injector:
    """A pytest plugin that makes a fault while the campaign runs, and watches what is said."""

    def __init__(self, stage: Stage, name: str | None) -> None:
        self._stage, self._fault = stage, FAULTS[name] if name else None
        self._patch = pytest.MonkeyPatch()
        self._made_at = 0.0
        self._files: set[str] = set()
        self._thread: threading.Thread | None = None
        self.said: list[tuple[float, str]] = []
        self.left: list[str] = []
        self.trouble = ""

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Listen to the campaign, and wait for the second recording's first progress."""
        self._config = config
        say, advance = CampaignProgress.say, CampaignProgress.advance

        def heard(progress: CampaignProgress, line: str) -> None:
            self._hear(line)
            say(progress, line)

        def moved(progress: CampaignProgress, case: Any, recording: str, share: float) -> None:
            advance(progress, case, recording, share)
            if recording == SECOND and self._fault and not self._made_at:
                self._made_at = time.monotonic()
                self._thread = threading.Thread(target=self._make)
                self._thread.start()

        self._patch.setattr(CampaignProgress, "say", heard)
        self._patch.setattr(CampaignProgress, "advance", moved)
        self._patch.setattr(VirtualBoard, "silence_s", VIRTUAL_S)

    def _make(self) -> None:
        board = self._config.stash[BENCH].boards.opened()[0]
        try:
            if isinstance(board, VirtualBoard):
                self._stage.virtual = board
                self._files = self._of_bench(FILES)
            self._made_at = time.monotonic()
            assert self._fault is not None
            self._fault.make(self._stage)
        except Exception as bad:
            self.trouble = f"the fault itself failed: {bad!r}"

    def _hear(self, line: str) -> None:
        if self._made_at:
            self.said.append((time.monotonic() - self._made_at, line))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A failure is the last thing the user is told."""
        if report.failed:
            self._hear(str(report.longrepr))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Look at what is left, once the harness has let go but before the board goes off."""
        if self._thread is not None:
            self._thread.join()
        for timer in self._stage.later:
            timer.join()
        if self._fault is None:
            return
        for board in self._config.stash[BENCH].boards.opened():
            board.hang_up()
        if self._stage.cable is not None:
            self._stage.cable.plug()
        end = time.monotonic() + GONE_S
        while time.monotonic() < end:
            try:
                self.left = self._left_there() if self._stage.virtual else self._left_here()
            except Exception as bad:
                self.left = [f"cannot be looked at: {bad}"]
            if not self.left:
                return
            time.sleep(1.0)

    def _left_here(self) -> list[str]:
        work = str(self._stage.folder).encode()
        own = [p for p in self._stage.below_sshd() if (c := command_of(p)) and b"sshd" not in c]
        found = [command_of(pid).decode(errors="replace")[:80] for pid in own]
        for path in Path("/proc").glob("[0-9]*"):
            command = command_of(int(path.name))
            if work in command and b"board_faults" not in command and b"sshd" not in command:
                found.append(command.decode(errors="replace")[:80])
        return found

    def _left_there(self) -> list[str]:
        virtual = self._stage.virtual
        assert virtual is not None
        if virtual._emulator is None:
            return ["it is off"]
        virtual.qmp.link(True)
        virtual.qmp.resume()
        processes = self._of_bench(OWN)
        return sorted(processes | (self._of_bench(FILES) - self._files))

    def _of_bench(self, command: str) -> set[str]:
        return set(self._stage.as_root(command).split("\n")) - {""}

    def close(self) -> None:
        """Leave the harness as it was."""
        self._patch.undo()


def campaign(name: str | None, board: str, results: Path, output: Path) -> dict[str, Any]:
    """Run one campaign, with a fault or none, resuming what `results` holds."""
    with tempfile.TemporaryDirectory(prefix="rppg-faults-") as temporary:
        folder = Path(temporary)
        with staged(board, folder) as stage:
            (folder / "thresholds.yaml").write_text(LENIENT)
            tests = Path(__file__).parent / "test_accuracy.py"
            entry = f"{{kind: synthetic, clips: 2, seconds: {SECONDS[board]}, size: [320, 240]}}"
            (folder / "datasets.yaml").write_text(f"tiny: {entry}\n")
            options = [f"--{one}s={folder}/{one}s.yaml" for one in ("board", "dataset")]
            options += [f"--thresholds={folder}/thresholds.yaml", f"--resume={results}"]
            options += [f"--board={board}", "--dataset=tiny", "--variant=dynamic"]
            options += ["--detector=haar", "-p", "no:cacheprovider", f"--rootdir={folder}"]
            injector = Injector(stage, name)
            began = time.monotonic()
            try:
                status = pytest.main([str(tests), *options], plugins=[injector])
            finally:
                injector.close()
    return {
        "status": int(status),
        "seconds": time.monotonic() - began,
        "said": injector.said,
        "left": injector.left,
        "trouble": injector.trouble,
    }


def record(results: Path, recording: str) -> dict[str, Any] | None:
    """The record of a recording below a results folder."""
    for path in results.rglob("*.json"):
        content = json.loads(path.read_text())
        if content.get("campaign", {}).get("recording") == recording:
            return dict(content)
    return None


def accuracy(content: dict[str, Any]) -> dict[str, Any]:
    """The part of a record that the same pixels always give."""
    result = dict(content["result"])
    for key in ("timings_ns", "real_time_factor"):
        result.pop(key, None)
    return result


def in_a_process(arguments: list[str]) -> Any:
    """Run one campaign in a process of its own; its results come as the last line."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=LIMIT_S, check=False)
    return json.loads(done.stdout.splitlines()[-1])


def try_fault(name: str, base: Path) -> bool:
    """Make one fault; print what came of it; return whether that is as it has to be."""
    fault = FAULTS[name]
    undisturbed = base / f"{fault.board}-{SECONDS[fault.board]}s"
    if record(undisturbed, SECOND) is None:
        undisturbed.mkdir(parents=True, exist_ok=True)
        in_a_process(["--run", "", fault.board, str(undisturbed)])
    with tempfile.TemporaryDirectory(prefix="rppg-faults-") as temporary:
        results = Path(temporary) / "results"
        shutil.copytree(undisturbed, results)
        for path in results.rglob("*.json"):
            if json.loads(path.read_text()).get("campaign", {}).get("recording") == SECOND:
                path.unlink()
        first = record(results, FIRST)
        found = in_a_process(["--run", name, fault.board, str(results)])
        after = record(results, SECOND)
        kept = first is not None and record(results, FIRST) == first
    expected = record(undisturbed, SECOND)
    same = after is not None and expected is not None and accuracy(after) == accuracy(expected)
    said = found["said"]
    noticed = said[0][0] if said else None
    wrong = list(_wrong(fault, found, kept, same, noticed))
    print(f"{name} on {fault.board}: {'as it should be' if not wrong else 'WRONG'}")
    for at, line in said:
        print(f"  after {at:5.1f} s: {' '.join(line.split())}")
    if not said:
        print("  the user is told nothing")
    print(
        f"  exit status {found['status']}; the whole took {found['seconds']:.0f} s; first record "
        f"{'kept' if kept else 'LOST'}; second "
        f"{'as undisturbed' if same else 'missing' if after is None else 'DIFFERENT'}; "
        f"left on the board: {found['left'] or 'nothing'}"
    )
    for one in wrong:
        print(f"  WRONG: {one}")
    sys.stdout.flush()
    return not wrong


def _wrong(
    fault: Any, found: dict[str, Any], kept: bool, same: bool, noticed: float | None
) -> Iterator[str]:
    if found["trouble"]:
        yield found["trouble"]
    if found["status"] != fault.status:
        yield f"exit status {found['status']}, not {fault.status}"
    if fault.says and not any(fault.says in line for _, line in found["said"]):
        yield f"nobody said {fault.says!r}"
    if noticed is not None and noticed > fault.deadline_s:
        yield f"noticed after {noticed:.0f} s, later than {fault.deadline_s:.0f} s"
    if not kept:
        yield "the first record was touched"
    if fault.status == 0 and not same:
        yield "the second record is not that of an undisturbed campaign"
    if found["left"]:
        yield "something is left on the board"


def main() -> int:
    """Exit status 1 where a fault did not go as it has to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="name the faults and stop")
    parser.add_argument("--results", type=Path, default=Path("results/board-faults"))
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.list:
        print("\n".join(FAULTS))
        return 0
    if options.run:
        name, board, results = options.run
        stdout, sys.stdout = sys.stdout, sys.stderr
        found = campaign(name or None, board, Path(results), Path(results))
        print(json.dumps(found), file=stdout)
        return 0
    unknown = set(options.names) - set(FAULTS)
    if unknown:
        parser.error(f"no fault {min(unknown)!r}; --list names them")
    went = [try_fault(name, options.results) for name in options.names or FAULTS]
    print(f"{sum(went)} of {len(went)} faults as they should be")
    return int(not all(went))


if __name__ == "__main__":
    sys.exit(main())
