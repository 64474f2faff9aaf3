"""Break the pipeline and the model on purpose, and see that a gate notices and names the stage.

    python benchmarks/seeded_faults.py --quick        # broken pipelines alone; nothing to convert
    python benchmarks/seeded_faults.py                # broken models and slow-downs as well
    python benchmarks/seeded_faults.py --board virtual  # slow-downs in counted instructions

Each fault goes through the benchmarks as any change would, beside reference records of the unbroken
pipeline on the same clips. Exit status 1 if a fault is missed or laid to another stage, or if the
unbroken control is flagged.
"""

import argparse
import contextlib
import io
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from broken_pipelines import CLIPS, FAULTS, FLOAT, INT8, PANNED, Fault, broken_copy
from slow_pipelines import slow_on_this_machine, slow_on_virtual

from harness.datasets.encoding import Box, encode
from harness.datasets.registry import open_dataset
from harness.datasets.selection import Selection, select
from harness.verdicts.explain import first_stage
from harness.verdicts.outcome import GateResult, Outcome
from rppg_core.errors import UserError
from rppg_core.video import open_source

HERE = Path(__file__).parent
TESTS = ("test_accuracy.py", "test_stages.py")
MODEL_TESTS = (*TESTS, "test_quantization.py")
# Ordinary clips, one of them of 15 fps; and one that pans, so that the face crosses the picture.
RECORDINGS = ("motion-1", "low-rate-1", "low-rate-2")
PAN_OVER, PAN_PX = "low-rate-1", 80
NOTHING = Fault("none (control)", (), "-")


@dataclass(frozen=True)
class Outcomes:
    """What came of a fault: the gates that failed, the stage they name, the exit status."""

    fault: str
    expected_stage: str
    failed: tuple[str, ...]
    stage: str
    exit_status: int | None
    remark: str = ""

    @property
    def right(self) -> bool:
        """Whether it was caught and laid to its stage; for the control, whether it was not."""
        if self.expected_stage == NOTHING.stage:
            return self.exit_status == 0 and not self.failed
        return bool(self.failed) and self.exit_status == 1 and self.stage == self.expected_stage


@dataclass
class Lab:
    """A folder with clips, boards and the reference records."""

    folder: Path
    model: str
    detector: str

    def prepare(self) -> None:
        """Render the clips."""
        (self.folder / "datasets.yaml").write_text(
            f"{CLIPS}: {{kind: synthetic, set: full, difficulty: [motion, low-rate], "
            f"clips_each: 3, seconds: 8, size: [320, 240]}}\n"
            f"{PANNED}: {{kind: folder, root: panned}}\n"
        )
        whole = open_dataset(CLIPS, self.folder / "datasets.yaml")
        clips = select(whole, Selection(RECORDINGS))
        clips.prepare()
        videos = {one.id: one.video for one in clips.recordings()}
        pan(videos[PAN_OVER], self.folder / "panned")
        (self.folder / "boards.yaml").write_text("right: {kind: local}\n")

    def bench(self, name: str, tests: Sequence[str], *more: str) -> tuple[int, list[GateResult]]:
        """Run benchmarks; return the exit status and every gate that was not passed."""
        junit = self.folder / f"{name}.xml"
        arguments = [
            *(str(HERE / test) for test in tests),
            *("-q", "-p", "no:cacheprovider", f"--junitxml={junit}", "--detector", self.detector),
            *("--results", str(self.folder / "results"), "--boards", self.path("boards.yaml")),
            *("--datasets", self.path("datasets.yaml"), "--recordings", ",".join(RECORDINGS)),
            *("--thresholds", str(HERE / "thresholds.yaml"), *more),
        ]
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = int(pytest.main(arguments))
        (self.folder / f"{name}.txt").write_text(said.getvalue())
        if status > 1:
            raise UserError(f"{name}: pytest ended with {status}: {said.getvalue()[-1500:]}")
        return status, gates_of(junit)

    def path(self, name: str) -> str:
        """A file of this folder."""
        return str(self.folder / name)

    def reference(self) -> None:
        """Replay what is to be right, through this project's own pipeline."""
        for dataset, variants in ((CLIPS, f"{FLOAT},{INT8}"), (PANNED, FLOAT)):
            more = ("--board", "right", "--variant", variants, "--results", self.path(dataset))
            whole = () if dataset == CLIPS else ("--recordings", "")
            status, failed = self.bench(
                f"reference-{dataset}", TESTS[:1], "--dataset", dataset, "--model", self.model,
                *more, *whole,
            )  # fmt: skip
            if status:
                raise UserError(f"the reference itself fails: {[one.message for one in failed]}")

    def try_pipeline(self, fault: Fault) -> Outcomes:
        """Replay through a broken copy and see what the gates say."""
        package = broken_copy(fault, self.folder)
        self._boards(f"broken: {{kind: local, package: {package}}}")
        whole = () if fault.dataset == CLIPS else ("--recordings", "")
        status, failed = self.bench(
            package.parent.name, TESTS, "--board", "broken", "--dataset", fault.dataset,
            "--variant", fault.variant, "--model", self.model,
            "--reference", self.path(fault.dataset), *whole,
        )  # fmt: skip
        return outcomes(fault.name, fault.stage, status, failed)

    def try_model(self, name: str, stage: str, model: Path) -> Outcomes:
        """Replay through a broken model and see what the gates say."""
        status, failed = self.bench(
            f"model-{name}".replace(" ", "-"), MODEL_TESTS, "--board", "right", "--dataset", CLIPS,
            "--model", str(model), "--reference", self.path(CLIPS),
        )  # fmt: skip
        return outcomes(f"model: {name}", stage, status, failed)

    def _boards(self, *lines: str) -> None:
        text = "\n".join(("right: {kind: local}", *lines))
        (self.folder / "boards.yaml").write_text(f"{text}\n")


def gates_of(junit: Path) -> list[GateResult]:
    """The gates that failed, as the JUnit file tells any CI."""
    failed = []
    for test in ET.parse(junit).iter("testcase"):
        noted = {one.get("name"): one.get("value") for one in test.iter("property")}
        for name, value in noted.items():
            if name.endswith(".verdict") and value == Outcome.FAIL.value:
                gate = name.removesuffix(".verdict")
                figure = noted.get(gate)
                failed.append(
                    GateResult(
                        gate,
                        None if figure in (None, "None") else float(figure),
                        None,
                        Outcome.FAIL,
                        f"{gate} = {figure}",
                        stage=noted.get(f"{gate}.stage"),
                    )
                )
    return failed


def outcomes(name: str, stage: str, status: int, failed: Sequence[GateResult]) -> Outcomes:
    gates = tuple(dict.fromkeys(one.gate for one in failed))
    return Outcomes(name, stage, gates, first_stage(failed) or "-", status)


def pan(video: Path, folder: Path) -> None:
    """Write a clip seen through a window that moves, as a dataset of one video."""
    folder.mkdir()
    frames = [(frame.time_s, frame.rgb) for frame in open_source(video)]
    height, width = frames[0][1].shape[:2]
    seen = width - PAN_PX
    places = np.linspace(0, PAN_PX, len(frames)).round().astype(int)
    shown = (
        np.ascontiguousarray(rgb[:, left : left + seen])
        for left, (_, rgb) in zip(places, frames, strict=True)
    )
    times = np.array([time_s for time_s, _ in frames])
    encode(shown, folder / "panned.avi", times, Box(0, 0, seen, height))
    truth = (video.parent / "ground_truth.txt").read_text().splitlines()[1].split()
    mean = np.mean([float(one) for one in truth])
    (folder / "labels.csv").write_text(f"file,bpm\npanned.avi,{mean:.2f}\n")


def table(rows: Sequence[Outcomes]) -> str:
    """The table, as Markdown."""
    lines = [
        "| fault | gates that caught it | stage named | exit status | |",
        "|---|---|---|---|---|",
    ]
    for one in rows:
        gates = ", ".join(one.failed[:3]) + (
            f", {len(one.failed) - 3} more" * (len(one.failed) > 3)
        )
        wrong = "" if one.right else f"**wrong**: {one.expected_stage} was broken"
        if one.remark:
            wrong = f"{wrong} {one.remark}".strip()
        status = "-" if one.exit_status is None else str(one.exit_status)
        lines.append(f"| {one.fault} | {gates or 'none'} | {one.stage} | {status} | {wrong} |")
    return "\n".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="broken pipelines alone")
    parser.add_argument("--only", default="", help="only faults with this in their name")
    parser.add_argument("--board", choices=("local", "virtual"), default="local")
    parser.add_argument("--model", default="tscan-synthetic", help="weights by name")
    parser.add_argument("--weights", help="the same, as `rppg quantize --weights` takes them")
    parser.add_argument("--detector", default="haar")
    parser.add_argument("--rounds", type=int, default=24, help="pairs of replays of a slow-down")
    options = parser.parse_args(argv)
    rows = []

    def told(row):
        rows.append(row)
        print(f"{'ok  ' if row.right else 'WRONG'} {row.fault}: {row.stage}", file=sys.stderr)

    with tempfile.TemporaryDirectory(prefix="seeded-") as folder:
        lab = Lab(Path(folder), options.model, options.detector)
        try:
            lab.prepare()
            if options.board == "virtual":
                for row in slow_on_virtual(lab, Outcomes):
                    told(row)
            else:
                try_all(lab, options, told)
        except UserError as bad:
            sys.exit(f"seeded_faults: {bad}")
    print(table(rows))
    wrong = [one for one in rows if not one.right]
    print(f"{len(rows) - len(wrong)} of {len(rows)} as they should be")
    return int(bool(wrong) or not rows)


def try_all(lab, options, told):
    lab.reference()
    for fault in (NOTHING, *FAULTS):
        if options.only in fault.name:
            told(lab.try_pipeline(fault))
    if options.quick:
        return
    from broken_models import broken_models  # noqa: PLC0415 (needs TensorFlow)

    for name, stage, model in broken_models(lab.folder, options):
        told(lab.try_model(name, stage, model))
    for row in slow_on_this_machine(lab, options, Outcomes):
        told(row)


if __name__ == "__main__":
    sys.exit(main())
