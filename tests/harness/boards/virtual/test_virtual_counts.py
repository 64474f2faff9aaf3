"""Instructions on the emulated board: the same on every start, and 1 % more is seen."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.virtual_counts import LOOP, LOOP_TURNS, TOLERANCE_BPM, Asked, broken_copy
from harness.boards.local import LocalBoard
from harness.boards.virtual.board import VirtualBoard
from harness.campaign import Pipe, run_case
from harness.datasets.base import Dataset
from harness.datasets.registry import open_dataset
from harness.datasets.signals import Signals
from harness.replays import pairs
from harness.reports.progress import CampaignProgress
from harness.verdicts.counts import count, per_stage, slowdown_percent
from harness.verdicts.gates import gate_counts
from harness.verdicts.thresholds import Case, parse_thresholds
from rppg_core import models

pytestmark = pytest.mark.virtual

REPEATABLE_PERCENT = 0.1
MEMORY_BYTES = 200e6


class Images(Dataset):
    """A rendered clip as a folder of its decoded frames."""

    kind, synthetic = "images", True

    def __init__(self, clip: Dataset, folder: Path) -> None:
        super().__init__("images", folder)
        clip.prepare()
        [self._clip] = clip.recordings()
        folder.mkdir()
        video = cv2.VideoCapture(str(self._clip.video))
        self._frames = 0
        while (read := video.read())[0]:
            cv2.imwrite(str(folder / f"{self._frames:05d}.png"), read[1])
            self._frames += 1
        self._labels = clip.labels(self._clip)

    def recordings(self):
        return [replace(self._clip, video=self.root)]

    def signals(self, recording):
        return Signals(hr_bpm=np.array([self._labels.reference_bpm]))

    def labels(self, recording):
        return replace(self._labels, frame_times_s=np.arange(self._frames) / 30)


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> Asked:
    """One short rendered clip through the model that comes along."""
    datasets = tmp_path_factory.mktemp("small") / "datasets.yaml"
    datasets.write_text("tiny: {kind: synthetic, clips: 1, seconds: 4, size: [320, 240]}\n")
    return Asked("tiny", "float32", models.BUNDLED_MODEL, "haar", (), 1800.0, datasets)


@pytest.fixture(scope="module")
def run(board, asked, tmp_path_factory):
    """The clip on the board that all tests share."""
    return asked.replay(board, tmp_path_factory.mktemp("results"))


def test_the_heart_rate_is_this_machines(run, asked, tmp_path):
    with LocalBoard() as here:
        [pair] = pairs(run, asked.replay(here, tmp_path))
    assert pair.difference_bpm <= TOLERANCE_BPM


def test_from_the_same_pixels_everything_is_this_machines(board, asked, tmp_path):
    """Images decode to the same bits on both; H.264 does not, see TOLERANCE_BPM."""
    dataset = Images(open_dataset(asked.dataset, asked.datasets_file), tmp_path / "frames")
    name, model = models.tflite_file(asked.model, asked.variant)
    pipe = Pipe(name, model, asked.detector, {})
    runs = [
        run_case(at, dataset, Case(at.name, "i", "v"), pipe, tmp_path, CampaignProgress())
        for at in (board, LocalBoard())
    ]
    [pair] = pairs(*runs)
    assert pair.difference_bpm < 1e-4
    assert pair.correlation > 0.999999


def test_a_record_says_what_it_counts(run):
    [one] = run.replays
    assert one.record.raw["timings_unit"] == "instructions"
    assert one.record.raw["host"]["machine"] == "aarch64"
    assert one.record.raw["result"]["real_time_factor"] is None
    assert one.record.raw["peak_memory_bytes"] <= MEMORY_BYTES


def test_counts_are_the_same_after_another_start_and_one_percent_more_is_caught(
    run, board, asked, tmp_path
):
    first = per_stage(count(run.times))
    rule = {"baseline_minstr_per_frame": first, "measured_with": {}}
    rules = parse_thresholds({"accuracy": [], "latency": [rule]})
    with VirtualBoard() as other:
        again = count(asked.replay(other, tmp_path).times)
    apart = {s: abs(slowdown_percent(one, first[s])) for s, one in per_stage(again).items()}
    assert max(apart["predict"], apart["all"]) <= REPEATABLE_PERCENT, apart
    assert all(gate.passed for gate in gate_counts(rules, run.case, again))

    report = count(run.times)
    per_turn = int(board.run_as_root(f"python3 -c '{LOOP.format(n=LOOP_TURNS)}'")) / LOOP_TURNS
    calls = next(one.calls for one in report.stages if one.stage == "predict")
    extra = first["all"] * 1e6 * report.frames / 100
    slow = broken_copy(Path(tmp_path), round(extra / calls / per_turn))
    with VirtualBoard(package_root=slow) as other:
        slower = count(asked.replay(other, tmp_path).times)
    assert slowdown_percent(per_stage(slower)["all"], first["all"]) == pytest.approx(1, abs=0.2)
    failed = {gate.gate for gate in gate_counts(rules, run.case, slower) if not gate.passed}
    assert failed == {"minstr_per_frame.predict", "minstr_per_frame.all"}
