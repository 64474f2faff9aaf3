"""What one pytest session or command holds: boards, datasets, replays, verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml
from rich.console import RenderableType

from harness.approving import Approval, compare_run, store
from harness.attempts import Effort
from harness.baselines import check_baselines
from harness.boards.errors import BoardError
from harness.boards.inventory import load_boards
from harness.calibration import own_calibration, refuse_overlap
from harness.campaign import Pipe, run_case
from harness.case_verdicts import Verdicts, measured_with, summarise
from harness.datasets.base import Dataset
from harness.datasets.registry import load_datasets, open_dataset
from harness.datasets.selection import Selection, parse_conditions, select
from harness.history.store import HISTORY_FILE
from harness.model_making import making_of
from harness.open_boards import OpenBoards
from harness.options import Options
from harness.realtime import paced_runs, sustained_runs, too_short, unfinished_runs
from harness.references import judge_memory, judge_reference, judge_repeat
from harness.replays import COMPARED_WITH, REPEATED, CaseRun, failures_of_both, likeness
from harness.reports.progress import CampaignProgress
from harness.reports.terminal import summary
from harness.reports.variants import FLOAT
from harness.run_file import RUN_FILE
from harness.run_log import Noted, RunLog
from harness.selftest_files import refuse_tight_margins
from harness.verdicts.accuracy import score
from harness.verdicts.against_baseline import Comparison
from harness.verdicts.gates import (
    gate_accuracy,
    gate_counts,
    gate_ended,
    gate_latency,
    gate_quantization,
    gate_realtime,
    gate_replayed,
    gate_spoilt,
    gate_sustained,
)
from harness.verdicts.outcome import GateResult
from harness.verdicts.provenance import Compared
from harness.verdicts.realtime import RealTimeReport, SustainedRun, measure_realtime
from harness.verdicts.thresholds import Case, Thresholds, change_rule, parse_thresholds
from rppg_core import models
from rppg_core.errors import UserError
from rppg_core.model_card import read_card
from rppg_core.tscan_int8 import partner_of

GONE = ("unreachable", "busy", "lease", "out of disk", "edge tpu")
"""What no other case on the same board need meet again."""


@dataclass
class Bench:
    """Opens each board once, replays each case once, remembers what came of it."""

    options: Options
    verdicts: dict[Case, Verdicts] = field(default_factory=dict)
    timed: bool = True
    """Whether a test asks for the times of the replays; else recordings are sent beside them."""
    boards: OpenBoards = field(init=False)
    _failed: dict[Case, Exception] = field(default_factory=dict)
    _dead: dict[str, Exception] = field(default_factory=dict)
    _float_runs: dict[Case, CaseRun] = field(default_factory=dict)
    _folder: Path | None = None
    _log: RunLog | None = None

    def __post_init__(self) -> None:
        asked = self.options
        self.boards = OpenBoards(asked.boards_file, asked.boards, asked.lease_wait_s)

    def cases(self) -> list[Case]:
        """Every board with every dataset and variant asked for. Raises UserError."""
        if self.options.model.endswith(".tflite"):
            variants: Sequence[str] = (read_card(Path(self.options.model))["variant"],)
        else:
            variants = self.options.variants
        return [
            Case(board, dataset, variant)
            for board in self.boards.targets()
            for dataset in self.options.datasets
            for variant in variants
        ]

    def check(self) -> None:
        """Refuse unknown names and unusable files before anything runs. Raises UserError."""
        self.options.check()
        for board in self.boards.unopened():
            why = self.options.pace.why_not_on(board.timings_unit)
            if why is not None:
                raise UserError(f"{board.name} {why}")
        for name in self.options.datasets:
            open_dataset(name, self.options.datasets_file)
            if self._selection():
                self._selected(name).recordings()
        self.thresholds()
        # Another file's boards and datasets are not those that the baselines are of.
        boards, sets = self.options.boards_file, self.options.datasets_file
        check_baselines(
            self.options.baselines,
            load_boards(boards) if self.options.usual(boards) else None,
            load_datasets(sets) if self.options.usual(sets) else None,
            self.cases(),
        )
        if not self.options.update_baseline:
            refuse_tight_margins(self.options.baselines, self.thresholds(), self.cases())
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
                self.log.begin(self.board_facts())
                self.verdicts[case] = Verdicts(self._replay(case, progress), timed=self.timed)
                self._note(case)
            except Exception as bad:
                self._failed[case] = bad
                said = " ".join(str(bad).split()) or repr(bad)
                self.log.ended(case, (gate_ended(said),), self.board_facts())
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
        held.error_change = self._compare(held, Compared.ERROR)
        self._note(case)
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
        spoilt = gate_spoilt(held.run.invalid, len(held.run.times))
        if held.run.invalid and not held.run.times:
            # There is no time to judge, and no figure to print.
            held.latency_gates = (*gate_replayed(failures), *spoilt)
            held.latency = held.counts = None
        else:
            held.latency_gates += spoilt
            held.time_change = self._compare(held, Compared.TIME)
        self._note(case)
        return held

    def update_baselines(self) -> list[Approval]:
        """Store what was replayed as baselines, each as far as it is fit for one."""
        stored = []
        for case in self.cases():
            if case not in self.verdicts:
                continue  # it ended before it had a figure, and its tests have failed
            held, partial = self.verdicts[case], bool(self._selection())
            try:
                rule = change_rule(self.thresholds(), case)
                stored.append(store(self.options.baselines, held.run, rule, held.timed, partial))
            except UserError as bad:
                stored.append(Approval((f"{case}: NOT stored: {bad}",), refused=True))
        return stored

    def _compare(self, held: Verdicts, compared: Compared) -> Comparison | None:
        """Hold a case against its baseline; None where there is none, or it is being replaced."""
        if self.options.update_baseline:
            return None
        selected = None
        if self._selection():
            chosen = self._selected(held.run.case.dataset).recordings()
            selected = frozenset(one.id for one in chosen)
        return compare_run(
            self.options.baselines,
            held.run,
            compared,
            change_rule(self.thresholds(), held.run.case),
            selected,
            self.options.require_baseline,
        )

    def judge_realtime(self, case: Case) -> RealTimeReport:
        """The case's paced replays, summed up; their gates go to its verdicts."""
        held = self.verdicts[case]
        report = measure_realtime(paced_runs(held.run))
        held.realtime_gates = (
            *gate_realtime(
                self.thresholds(), case, report, held.run.failures, too_short=too_short(held.run)
            ),
            *gate_spoilt(held.run.invalid, len(held.run.times)),
        )
        self._note(case)
        return report

    def judge_sustained(self, case: Case) -> tuple[SustainedRun, ...]:
        """The case's replays of minutes; their gates go to its verdicts."""
        held = self.verdicts[case]
        runs = sustained_runs(held.run)
        held.sustained_gates = (
            *gate_sustained(self.thresholds(), case, runs, held.run.failures),
            *gate_spoilt(held.run.invalid, len(held.run.times)),
        )
        self._note(case)
        return runs

    def judge_quantization(self, case: Case, progress: CampaignProgress) -> Verdicts:
        """The case with its likeness to float32, replayed for it where it was not, and gates."""
        held = self.verdicts[case]
        whole = self._float_run(case, progress)
        failures = failures_of_both(held.run, whole)
        likeness_found = likeness(held.run, whole)
        _, model = self._model(models.choose_model(self.options.model)[0], case)
        held.fidelity = replace(likeness_found, making=making_of(model))
        held.fidelity_gates = gate_quantization(self.thresholds(), case, held.fidelity, failures)
        self._note(case)
        return held

    def judge_reference(self, case: Case) -> tuple[GateResult, ...]:
        """The gates of each stage of the case against the reference run. Raises UserError."""
        held = self.verdicts[case]
        gates = judge_reference(held.run, self.thresholds(), self.options.reference)
        return self._stages_judged(case, gates)

    def judge_memory(self, case: Case) -> tuple[GateResult, ...]:
        """The gates of the case's peak memory, against the reference too where there is one."""
        held = self.verdicts[case]
        gates = judge_memory(held.run, self.thresholds(), self.options.reference)
        return self._stages_judged(case, gates)

    def judge_repeat(self, case: Case, progress: CampaignProgress) -> tuple[GateResult, ...]:
        """The gates of the case's first usable recording, replayed again."""
        held = self.verdicts[case]
        usable = [one.recording for one in held.run.replays if one.record.ok]
        folder, which = self._results() / REPEATED, self.options.model
        again = self._replay_model(case, which, folder, progress, only=tuple(usable[:1]))
        gates = judge_repeat(held.run, again, self.thresholds())
        return self._stages_judged(case, gates)

    def _stages_judged(self, case: Case, gates: tuple[GateResult, ...]) -> tuple[GateResult, ...]:
        self.verdicts[case].stage_gates += gates
        self._note(case)
        return gates

    def summary(self) -> RenderableType | None:
        """Both tables, or None when nothing was replayed."""
        left = unfinished_runs(self._results())
        if not (self.verdicts or left):
            return None
        sent: dict[str, int] = {}
        for case, held in self.verdicts.items():
            sent[case.board] = sent.get(case.board, 0) + held.run.sent_bytes
        cases = [
            summarise(held, self.boards.instructions_per_ms(case.board))
            for case, held in self.verdicts.items()
        ]
        return summary(cases, str(self._results()), sent, left)

    @property
    def log(self) -> RunLog:
        """What is written down of this run as it goes."""
        if self._log is None:
            history = self.options.history or self._results().parent / HISTORY_FILE
            options = self.options
            self._log = RunLog(self._results(), history, options.root, options.command)
        return self._log

    def _note(self, case: Case) -> None:
        held = self.verdicts[case]
        self.log.judged(held.run, held.gates, self.board_facts())

    def finish(self) -> None:
        """Nothing more will be replayed or judged."""
        if (self._results() / RUN_FILE).exists():
            self.log.finish()

    def board_facts(self) -> dict[str, Any]:
        """What is known of the boards that were made ready."""
        return self.boards.facts()

    def close(self) -> None:
        """Close every board."""
        self.boards.close()

    def _replay(self, case: Case, progress: CampaignProgress) -> CaseRun:
        return self._replay_model(case, self.options.model, self._results(), progress)

    def _replay_model(
        self,
        case: Case,
        which: str,
        results: Path,
        progress: CampaignProgress,
        only: tuple[str, ...] = (),
    ) -> CaseRun:
        dataset = select(self._dataset(case.dataset, progress), Selection(only))
        chosen, instead = models.choose_model(which)
        name, model = self._model(chosen, case)
        refuse_overlap(read_card(model), dataset, dataset.recordings())
        detector, files, remark = models.choose_detector(self.options.detector)
        for line in filter(None, (instead, remark)):
            progress.say(line)
        return run_case(
            self.boards.target(case.board, progress),
            dataset,
            case,
            Pipe(
                name,
                model,
                detector,
                files,
                appearance=partner_of(model),
                pace=self.options.pace,
            ),
            results,
            Noted(progress, self.log) if results == self._results() else progress,
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
        return select(open_dataset(name, self.options.datasets_file), self._selection())

    def _selection(self) -> Selection:
        return Selection(self.options.recordings, (), parse_conditions(self.options.conditions))

    def use_results(self, folder: Path) -> None:
        """Write into a run's folder that another process of this run made up."""
        self._folder = folder

    @property
    def results(self) -> Path:
        """The folder of this run's records; it may not be there yet."""
        return self._results()

    def _results(self) -> Path:
        """A folder of its own: no run overwrites another's records."""
        if self.options.resume is not None:
            return self.options.resume
        if self._folder is None:
            started = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
            self._folder = self.options.results / started
        return self._folder
