"""What one pytest session or command holds: boards, datasets, replays, verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml
from rich.console import RenderableType

from harness.attempts import Effort
from harness.boards.base import Board
from harness.boards.errors import BoardError
from harness.boards.inventory import load_boards, open_board
from harness.calibration import own_calibration, refuse_overlap
from harness.campaign import Pipe, run_case
from harness.datasets.base import Dataset
from harness.datasets.registry import open_dataset
from harness.datasets.selection import Selection, parse_conditions, select
from harness.model_making import making_of
from harness.replays import COMPARED_WITH, CaseRun, likeness
from harness.reports.progress import CampaignProgress
from harness.reports.terminal import CaseSummary, summary
from harness.reports.variants import FLOAT, Fidelity, Variant
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
GONE = ("unreachable", "busy", "lease", "out of disk", "edge tpu")
"""What no other case on the same board need meet again."""


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
    conditions: tuple[str, ...] = ()
    lease_wait_s: float = 600.0
    timing_retries: int = 2
    resume: Path | None = None


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
    timed: bool = False

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
    timed: bool = True
    """Whether a test asks for the times of the replays; else recordings are sent beside them."""
    _boards: dict[str, Board] = field(default_factory=dict)
    _facts: dict[str, Any] = field(default_factory=dict)
    _failed: dict[Case, Exception] = field(default_factory=dict)
    _dead: dict[str, Exception] = field(default_factory=dict)
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
        if self.options.resume is not None and not self.options.resume.is_dir():
            raise UserError(f"{self.options.resume}: no such folder; name the folder of a run")
        known = load_boards(self.options.boards_file)
        for name in self.options.boards:
            if name not in known:
                raise UserError(
                    f"no board {name!r} in {self.options.boards_file}; it has: {', '.join(known)}"
                )
        for name in self.options.datasets:
            open_dataset(name, self.options.datasets_file)
        parse_conditions(self.options.conditions)
        self.thresholds()
        models.choose_detector(self.options.detector)
        for case in self.cases():
            model = self._model(models.choose_model(self.options.model)[0], case)[1]
            card = read_card(model)
            if "calibration" in card:
                dataset = self._selected(case.dataset)
                refuse_overlap(card, dataset, dataset.recordings())

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
        if case.board in self._dead:
            raise self._dead[case.board]
        if case not in self.verdicts:
            try:
                self.verdicts[case] = Verdicts(self._replay(case, progress), timed=self.timed)
            except Exception as bad:
                self._failed[case] = bad
                if isinstance(bad, BoardError) and bad.kind in GONE:
                    self._dead[case.board] = bad
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
        if held.run.invalid and not held.run.times:
            held.latency_gates = ()  # there is nothing to judge, and no figure to print
            held.latency = held.counts = None
        return held

    def judge_quantization(self, case: Case, progress: CampaignProgress) -> Verdicts:
        """The case with its likeness to float32, replayed for it where it was not, and gates."""
        held = self.verdicts[case]
        likeness_found = likeness(held.run, self._float_run(case, progress))
        _, model = self._model(models.choose_model(self.options.model)[0], case)
        held.fidelity = replace(likeness_found, making=making_of(model))
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
        name, model = self._model(chosen, case)
        refuse_overlap(read_card(model), dataset, dataset.recordings())
        detector, files, remark = models.choose_detector(self.options.detector)
        for line in filter(None, (instead, remark)):
            progress.say(line)
        return run_case(
            self._board(case.board, progress),
            dataset,
            case,
            Pipe(name, model, detector, files, appearance=partner_of(model)),
            results,
            progress,
            Effort(
                timeout_s=self.options.timeout_s,
                timed=self.timed,
                timing_retries=self.options.timing_retries,
                lease_wait_s=self.options.lease_wait_s,
            ),
            resume=self.options.resume is not None,
        )

    def _float_run(self, case: Case, progress: CampaignProgress) -> CaseRun:
        """The float32 form of the case's weights, on the same board and dataset."""
        plain = Case(case.board, case.dataset, FLOAT)
        if not self.options.model.endswith(".tflite"):
            return self.run(plain, progress)
        weights = read_card(Path(self.options.model))["weights"]
        if plain not in self._float_runs:
            folder = self._results() / COMPARED_WITH
            self._float_runs[plain] = self._replay_model(plain, weights, folder, progress)
        return self._float_runs[plain]

    def _model(self, which: str, case: Case) -> tuple[str, Path]:
        return models.tflite_file(which, case.variant, own_calibration)

    def _dataset(self, name: str, progress: CampaignProgress) -> Dataset:
        dataset = self._selected(name)
        dataset.prepare(progress.rendered)
        return dataset

    def _selected(self, name: str) -> Dataset:
        wanted = Selection(self.options.recordings, (), parse_conditions(self.options.conditions))
        return select(open_dataset(name, self.options.datasets_file), wanted)

    def _board(self, name: str, progress: CampaignProgress) -> Board:
        if name not in self._facts:
            board = open_board(load_boards(self.options.boards_file)[name])
            self._boards[name] = board
            board.connect()
            board.acquire(self.options.lease_wait_s, progress.say)
            facts = board.facts()
            wrong = board.settings.expect.mismatch(facts)
            if wrong:
                raise UserError(f"{name}: not the board that 'expect' describes: {wrong}")
            self._facts[name] = facts
        return self._boards[name]

    def _results(self) -> Path:
        """A folder of its own: no run overwrites another's records."""
        if self.options.resume is not None:
            return self.options.resume
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
        labels=label_note(run),
        heart_rate=f"{run.named('settings', 'pulse', 'method')}, {band} Hz, whole recording",
        accuracy=held.accuracy,
        accuracy_gates=held.accuracy_gates,
        latency=held.latency,
        counts=held.counts,
        instructions_per_ms=instructions_per_ms,
        latency_gates=held.latency_gates,
        failures=run.failures,
        fidelity=None
        if held.fidelity is None
        else Fidelity(run.case, run.synthetic, held.fidelity, held.fidelity_gates),
        variant=None
        if run.unit == INSTRUCTIONS  # which are no time
        else Variant(
            run.case,
            run.synthetic,
            run.model_bytes,
            score(run.scored).overall,
            measure(run.times),
            held.fidelity,
            (*held.accuracy_gates, *held.latency_gates, *held.fidelity_gates),
        ),
        absent=run.absent,
        invalid=run.invalid,
        timed=held.timed,
    )


def label_note(run: CaseRun) -> str:
    """The conventions of the reference heart rates, and how many of those cannot be trusted."""
    conventions = ", ".join(sorted({one.convention for one in run.replays}))
    count = sum(bool(one.label_defects) for one in run.replays)
    if not count:
        return conventions
    noun = "recording" if count == 1 else "recordings"
    return (
        f"{conventions}; {count} {noun} with unrepaired defects: "
        f"rppg-bench labels {run.case.dataset}"
    )
