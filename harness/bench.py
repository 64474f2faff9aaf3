"""What one pytest session or command holds: boards, datasets, replays, verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml
from rich.console import RenderableType

from harness.boards.base import Board
from harness.boards.inventory import load_boards, open_board
from harness.calibration import refuse_overlap
from harness.campaign import CaseRun, Pipe, pairs, run_case
from harness.datasets.base import Dataset
from harness.datasets.registry import load_datasets, open_dataset
from harness.reports.progress import CampaignProgress
from harness.reports.terminal import CaseSummary, summary
from harness.verdicts.accuracy import AccuracyReport, score
from harness.verdicts.counts import CountReport, count
from harness.verdicts.fidelity import FidelityReport
from harness.verdicts.gates import (
    GateResult,
    gate_accuracy,
    gate_counts,
    gate_latency,
    gate_quantization,
)
from harness.verdicts.latency import LatencyReport, measure
from harness.verdicts.thresholds import Case, Thresholds, parse_thresholds
from rppg_core import models
from rppg_core.errors import UserError
from rppg_core.model_card import read_card
from rppg_core.records import INSTRUCTIONS
from rppg_core.tscan_int8 import partner_of

NO_FACTORS: Mapping[str, float] = {}
FLOAT = "float32"  # the form that the others are compared with


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    boards: tuple[str, ...]
    datasets: tuple[str, ...]
    variants: tuple[str, ...]
    model: str
    detector: str
    recordings: tuple[str, ...]
    results: Path
    boards_file: Path
    datasets_file: Path
    thresholds_file: Path
    timeout_s: float


@dataclass
class Verdicts:
    """A case's reports and gates, as far as they were asked for."""

    run: CaseRun
    accuracy: AccuracyReport | None = None
    accuracy_gates: tuple[GateResult, ...] = ()
    latency: LatencyReport | None = None
    counts: CountReport | None = None
    latency_gates: tuple[GateResult, ...] = ()
    fidelity: FidelityReport | None = None
    fidelity_gates: tuple[GateResult, ...] = ()

    def add_speed(self) -> None:
        """Sum up the stages: their times, or what they count where the board has no clock."""
        if self.run.unit == INSTRUCTIONS:
            self.counts = count(self.run.times)
        else:
            self.latency = measure(self.run.times)


@dataclass
class Bench:
    """Opens each board once, replays each case once, remembers what came of it."""

    options: Options
    verdicts: dict[Case, Verdicts] = field(default_factory=dict)
    _boards: dict[str, Board] = field(default_factory=dict)
    _facts: dict[str, Any] = field(default_factory=dict)
    _failed: dict[Case, Exception] = field(default_factory=dict)
    _float_runs: dict[Case, CaseRun] = field(default_factory=dict)
    _folder: Path | None = None

    def cases(self) -> list[Case]:
        """Every board with every dataset and variant asked for. Raises UserError."""
        if self.options.model.endswith(".tflite"):
            variants: Sequence[str] = (read_card(Path(self.options.model))["variant"],)
        else:
            variants = self.options.variants
        return [
            Case(board, dataset, variant)
            for board in self.options.boards
            for dataset in self.options.datasets
            for variant in variants
        ]

    def check(self) -> None:
        """Refuse unknown names and unusable files before anything runs. Raises UserError."""
        known = load_boards(self.options.boards_file)
        for name in self.options.boards:
            if name not in known:
                raise UserError(
                    f"no board {name!r} in {self.options.boards_file}; it has: {', '.join(known)}"
                )
        for name in self.options.datasets:
            if name not in load_datasets(self.options.datasets_file):
                open_dataset(name, self.options.datasets_file)
        self.thresholds()
        models.choose_detector(self.options.detector)
        for case in self.cases():
            models.tflite_file(models.choose_model(self.options.model)[0], case.variant)

    def thresholds(self) -> Thresholds:
        """The rules in the thresholds file. Raises UserError."""
        path = self.options.thresholds_file
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as bad:
            raise UserError(f"{path}: cannot be read ({bad.strerror})") from None
        except (yaml.YAMLError, UnicodeDecodeError) as bad:
            raise UserError(f"{path}: not valid YAML ({' '.join(str(bad).split())})") from None
        return parse_thresholds(content, str(path))

    def run(self, case: Case, progress: CampaignProgress) -> CaseRun:
        """The case's replays; a case that failed once fails again at once."""
        if case in self._failed:
            raise self._failed[case]
        if case not in self.verdicts:
            try:
                self.verdicts[case] = Verdicts(self._replay(case, progress))
            except Exception as bad:
                self._failed[case] = bad
                raise
        return self.verdicts[case].run

    def judge_accuracy(self, case: Case) -> Verdicts:
        """The case with its accuracy report and gates."""
        held = self.verdicts[case]
        held.accuracy = score(held.run.scored)
        held.accuracy_gates = gate_accuracy(
            self.thresholds(), case, held.accuracy, held.run.failures
        )
        return held

    def judge_latency(self, case: Case) -> Verdicts:
        """The case with its latency report and gates; in instructions where its board counts."""
        held = self.verdicts[case]
        held.add_speed()
        rules, failures = self.thresholds(), held.run.failures
        if held.counts is not None:
            basis = measured_with(held.run)
            held.latency_gates = gate_counts(rules, case, held.counts, failures, basis)
        elif held.latency is not None:
            held.latency_gates = gate_latency(rules, case, held.latency, failures)
        return held

    def judge_quantization(self, case: Case, progress: CampaignProgress) -> Verdicts:
        """The case with its likeness to float32, replayed for it where it was not, and gates."""
        held = self.verdicts[case]
        size = sum(
            path.stat().st_size
            for path in self._model_files(models.choose_model(self.options.model)[0], case)
        )
        held.fidelity = FidelityReport(pairs(held.run, self._float_run(case, progress)), size)
        held.fidelity_gates = gate_quantization(
            self.thresholds(), case, held.fidelity, held.run.failures
        )
        return held

    def summary(self) -> RenderableType | None:
        """Both tables, or None when nothing was replayed."""
        if not self.verdicts:
            return None
        sent: dict[str, int] = {}
        for case, held in self.verdicts.items():
            sent[case.board] = sent.get(case.board, 0) + held.run.sent_bytes
        cases = [
            summarise(held, self._boards[case.board].instructions_per_ms)
            for case, held in self.verdicts.items()
        ]
        return summary(cases, str(self._results()), sent)

    def board_facts(self) -> dict[str, Any]:
        """What is known of the boards that were opened."""
        return dict(self._facts)

    def close(self) -> None:
        """Close every board."""
        for board in self._boards.values():
            board.close()
        self._boards.clear()

    def _replay(self, case: Case, progress: CampaignProgress) -> CaseRun:
        return self._replay_model(case, self.options.model, self._results(), progress)

    def _replay_model(
        self, case: Case, which: str, results: Path, progress: CampaignProgress
    ) -> CaseRun:
        dataset = self._dataset(case.dataset, progress)
        chosen, instead = models.choose_model(which)
        name, model = models.tflite_file(chosen, case.variant)
        refuse_overlap(read_card(model), dataset, dataset.recordings())
        detector, files, remark = models.choose_detector(self.options.detector)
        for line in filter(None, (instead, remark)):
            progress.say(line)
        return run_case(
            self._board(case.board),
            dataset,
            case,
            Pipe(name, model, detector, files, appearance=partner_of(model)),
            results,
            progress,
            self.options.recordings,
            self.options.timeout_s,
        )

    def _float_run(self, case: Case, progress: CampaignProgress) -> CaseRun:
        """The float32 form of the case's weights, on the same board and dataset."""
        plain = Case(case.board, case.dataset, FLOAT)
        if not self.options.model.endswith(".tflite"):
            return self.run(plain, progress)
        weights = read_card(Path(self.options.model))["weights"]
        if plain not in self._float_runs:
            folder = self._results() / "float32-for-comparison"
            self._float_runs[plain] = self._replay_model(plain, weights, folder, progress)
        return self._float_runs[plain]

    def _model_files(self, which: str, case: Case) -> list[Path]:
        model = models.tflite_file(which, case.variant)[1]
        return [path for path in (model, partner_of(model)) if path is not None]

    def _dataset(self, name: str, progress: CampaignProgress) -> Dataset:
        dataset = open_dataset(name, self.options.datasets_file)
        dataset.prepare(progress.rendered)
        return dataset

    def _board(self, name: str) -> Board:
        if name not in self._boards:
            board = open_board(load_boards(self.options.boards_file)[name])
            board.connect()
            self._boards[name] = board
            self._facts[name] = board.facts()
        return self._boards[name]

    def _results(self) -> Path:
        """A folder of its own: no run overwrites another's records."""
        if self._folder is None:
            started = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
            self._folder = self.options.results / started
        return self._folder


def measured_with(run: CaseRun) -> dict[str, str]:
    """What a count of instructions holds for."""
    return {
        "detector": run.named("detector"),
        "model": run.named("model", "name"),
        "recordings": ", ".join(sorted(one.recording for one in run.replays)),
    }


def summarise(held: Verdicts, instructions_per_ms: Mapping[str, float] = NO_FACTORS) -> CaseSummary:
    """A case as the terminal summary shows it."""
    run = held.run
    band = f"{run.named('settings', 'pulse', 'low_hz')}-{run.named('settings', 'pulse', 'high_hz')}"
    return CaseSummary(
        case=run.case,
        synthetic=run.synthetic,
        detector=run.named("detector"),
        model=f"{run.named('model', 'name')} on {run.named('runtime', 'name')} "
        f"{run.named('runtime', 'version')}",
        labels=", ".join(sorted({one.convention for one in run.replays})),
        heart_rate=f"{run.named('settings', 'pulse', 'method')}, {band} Hz, whole recording",
        accuracy=held.accuracy,
        accuracy_gates=held.accuracy_gates,
        latency=held.latency,
        counts=held.counts,
        instructions_per_ms=instructions_per_ms,
        latency_gates=held.latency_gates,
        failures=run.failures,
    )
