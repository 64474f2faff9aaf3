"""The corridor: every recording of a dataset, through one variant, on a board.

Each record is written to the results folder as soon as it is back, together with its labels, so
that every figure can be made again from that folder alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from harness.boards.base import Board, PutReport
from harness.boards.errors import BoardError
from harness.datasets.base import Dataset, Labels, Recording
from harness.verdicts.accuracy import Scored
from harness.verdicts.fidelity import Pair
from harness.verdicts.latency import RunTimes, StageTimes
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError
from rppg_core.pipeline import STAGES, Settings
from rppg_core.records import FAILED, INSTRUCTIONS, NANOSECONDS, Record, parse_record, write_json
from rppg_core.replay import EXIT_UNUSABLE, JOB_SCHEMA, record_name

REPLAY_TIMEOUT_S = 900.0  # for one recording; a frozen board is given up after this long


@dataclass(frozen=True)
class Pipe:
    """What every recording goes through: a TFLite model, a face detector, settings.

    `appearance` is the second file of a model in two, `model` its motion half then.
    """

    model_name: str
    model: Path
    detector: str
    detector_files: Mapping[str, Path]
    settings: Settings = field(default_factory=Settings)
    appearance: Path | None = None

    @property
    def files(self) -> list[Path]:
        """What has to be on the board."""
        halves = [self.model] if self.appearance is None else [self.model, self.appearance]
        return [*halves, *self.detector_files.values()]


@dataclass(frozen=True)
class Replayed:
    """One recording's record beside its labels; `record` says itself whether it is a failure."""

    recording: str
    subject: str
    reference_bpm: float
    convention: str
    record: Record


@dataclass(frozen=True)
class CaseRun:
    """All replays of one case. `failures` maps recordings without a heart rate to the reason."""

    case: Case
    synthetic: bool
    replays: tuple[Replayed, ...]
    failures: Mapping[str, str]
    sent_bytes: int

    @property
    def unit(self) -> str:
        """What the stage times count: a board has one clock, and all its records the same."""
        return next((one.record.timings_unit for one in self.replays), NANOSECONDS)

    @property
    def scored(self) -> tuple[Scored, ...]:
        """Heart rates beside their references, of the replays that gave one."""
        return tuple(
            Scored(one.recording, one.subject, one.reference_bpm, record.bpm, record.snr_db)
            for one in self.replays
            if (record := one.record).bpm is not None and record.snr_db is not None
        )

    @property
    def times(self) -> tuple[RunTimes, ...]:
        """Stage times of the replays that gave a heart rate."""
        return tuple(
            RunTimes(
                one.recording,
                one.record.duration_s,
                tuple(StageTimes(stage, one.record.timings_ns[stage]) for stage in STAGES),
                one.record.timings_unit,
            )
            for one in self.replays
            if one.record.ok
        )

    def named(self, *path: str) -> str:
        """The distinct values of a field of the raw records, for the summary."""
        found = []
        for one in self.replays:
            value: Any = one.record.raw
            for key in path:
                value = value.get(key, {}) if isinstance(value, Mapping) else {}
            if value != {}:
                found.append(str(value))
        return ", ".join(sorted(set(found)))


class Observer(Protocol):
    """Is told how a campaign gets on."""

    def start(self, case: Case, recordings: int) -> None:
        """A case begins."""

    def advance(self, case: Case, recording: str, share: float) -> None:
        """A recording is replayed up to `share` of 1."""

    def done(self, case: Case, recording: str, outcome: str) -> None:
        """A recording is through, with a word on how it went."""


def run_case(
    board: Board,
    dataset: Dataset,
    case: Case,
    pipe: Pipe,
    results: Path,
    observer: Observer,
    only: Sequence[str] = (),
    timeout_s: float = REPLAY_TIMEOUT_S,
) -> CaseRun:
    """Replay every recording of `dataset` on `board`, writing records below `results`.

    Raises UserError for what a person must mend and BoardError for what the board did; records
    that came back before are on disk then.
    """
    recordings = [r for r in dataset.recordings() if not only or r.id in only]
    if not recordings:
        raise UserError(f"dataset {dataset.name} has no recording named {', '.join(only)}")
    labels, failures = _all_labels(dataset, recordings)
    observer.start(case, len(recordings))
    deployed, tools = board.deploy(), board.put(pipe.files)
    sent = deployed.sent_bytes + tools.sent_bytes
    folder = results / board.name / dataset.name / case.variant
    replays = []
    for recording in recordings:
        if recording.id not in labels:
            observer.done(case, recording.id, f"failed: {failures[recording.id]}")
            continue
        truth = labels[recording.id]
        try:
            placed = board.put([recording.video])
        except UserError as bad:
            failures[recording.id] = str(bad)
            observer.done(case, recording.id, f"failed: {bad}")
            continue
        sent += placed.sent_bytes
        job = _job(board, recording, truth, pipe, tools, placed)
        content = _replay(board, job, case, recording, observer, timeout_s)
        campaign = _campaign(case, dataset, recording, truth)
        write_json(folder / record_name(recording.id), {**content, "campaign": campaign})
        replayed = _replayed(campaign, content)
        replays.append(replayed)
        if replayed.record.error is not None:
            failures[recording.id] = replayed.record.error
        observer.done(case, recording.id, _outcome(replayed))
    return CaseRun(case, dataset.synthetic, tuple(replays), failures, sent)


def pairs(variant: CaseRun, whole: CaseRun) -> tuple[Pair, ...]:
    """Recordings that gave a heart rate in both runs; `whole` is the float model's."""
    others = {one.recording: one.record for one in whole.replays if one.record.bpm is not None}
    return tuple(
        Pair(
            one.recording,
            one.reference_bpm,
            float(others[one.recording].bpm or 0),
            one.record.bpm,
            np.asarray(others[one.recording].raw["result"]["derivative"], dtype=np.float64),
            np.asarray(one.record.raw["result"]["derivative"], dtype=np.float64),
        )
        for one in variant.replays
        if one.record.bpm is not None and one.recording in others
    )


def load_cases(results: Path) -> list[CaseRun]:
    """The cases that the records below `results` make up. Raises UserError if there are none."""
    found: dict[tuple[Case, bool], list[Replayed]] = {}
    for content in _stored(results):
        campaign = content["campaign"]
        case = Case(campaign["board"], campaign["dataset"], campaign["variant"])
        key = (case, bool(campaign["synthetic"]))
        found.setdefault(key, []).append(_replayed(campaign, content))
    if not found:
        raise UserError(f"{results}: no records in this folder; name the folder of a run")
    return [
        CaseRun(
            case,
            synthetic,
            tuple(replays),
            {r.recording: r.record.error for r in replays if r.record.error is not None},
            0,
        )
        for (case, synthetic), replays in found.items()
    ]


def _stored(results: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(results.rglob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as bad:
            raise UserError(f"{path}: cannot be read as a record ({bad})") from None
        if isinstance(content, dict) and "campaign" in content:
            yield content


def _all_labels(
    dataset: Dataset, recordings: Sequence[Recording]
) -> tuple[dict[str, Labels], dict[str, str]]:
    """Every recording's labels, or why it has none: looked at before time is spent."""
    labels: dict[str, Labels] = {}
    failures: dict[str, str] = {}
    for recording in recordings:
        try:
            if not recording.video.exists():
                raise UserError(f"{recording.video}: no such video; fetch it or leave it out")
            labels[recording.id] = dataset.labels(recording)
        except UserError as bad:
            failures[recording.id] = str(bad)
    if not labels:
        raise UserError(f"dataset {dataset.name}: no recording is usable: {min(failures.values())}")
    return labels, failures


def _job(
    board: Board,
    recording: Recording,
    truth: Labels,
    pipe: Pipe,
    tools: PutReport,
    placed: PutReport,
) -> dict[str, Any]:
    times = truth.frame_times_s
    return {
        "schema": JOB_SCHEMA,
        "recordings": [
            {
                "id": recording.id,
                "path": placed.board_paths[recording.video],
                "times_s": None if times is None else times.tolist(),
            }
        ],
        "model": {
            "path": tools.board_paths[pipe.model],
            "appearance_path": None
            if pipe.appearance is None
            else tools.board_paths[pipe.appearance],
            "name": pipe.model_name,
        },
        "detector": {
            "name": pipe.detector,
            "files": {n: tools.board_paths[p] for n, p in pipe.detector_files.items()},
        },
        "settings": pipe.settings.to_dict(),
        "runtime": board.runtime,
        "threads": board.threads,
        "timings_unit": board.timings_unit,
    }


def _replay(
    board: Board,
    job: Mapping[str, Any],
    case: Case,
    recording: Recording,
    observer: Observer,
    timeout_s: float,
) -> dict[str, Any]:
    def on_event(event: dict[str, Any]) -> None:
        if event.get("event") == "progress" and event.get("of"):
            observer.advance(case, recording.id, min(event["frames"] / event["of"], 1.0))

    outcome = board.replay(job, on_event, timeout_s)
    if outcome.exit_status == EXIT_UNUSABLE or len(outcome.records) != 1:
        lines = outcome.stderr_tail.strip().splitlines() or ["it said nothing"]
        said = lines[-1].removeprefix("replay: ")
        if outcome.exit_status == EXIT_UNUSABLE:
            raise UserError(f"{board.name}: {said}")
        doing = f"replaying {recording.id!r}"
        raise BoardError(
            f"{len(outcome.records)} records for one recording ({said})",
            board=board.name,
            doing=doing,
            retryable=True,
        )
    return outcome.records[0]


def _campaign(case: Case, dataset: Dataset, recording: Recording, truth: Labels) -> dict[str, Any]:
    return {
        "board": case.board,
        "dataset": case.dataset,
        "variant": case.variant,
        "synthetic": dataset.synthetic,
        "recording": recording.id,
        "subject": recording.subject,
        "conditions": dict(recording.conditions),
        "reference_bpm": truth.reference_bpm,
        "labels": truth.convention,
    }


def _replayed(campaign: Mapping[str, Any], content: Mapping[str, Any]) -> Replayed:
    return Replayed(
        campaign["recording"],
        campaign["subject"],
        float(campaign["reference_bpm"]),
        campaign["labels"],
        parse_record(content),
    )


def _outcome(one: Replayed) -> str:
    record = one.record
    if record.status == FAILED or record.bpm is None:
        return f"failed: {record.error}"
    taken = sum(int(row.sum()) for row in record.timings_ns.values())
    if record.timings_unit == INSTRUCTIONS:
        speed = f"{taken / len(record.times_s) / 1e6:.2f} M instr a frame"
    else:
        speed = f"real-time factor {taken / 1e9 / record.duration_s:.3f}"
    return f"{record.bpm:.1f} bpm, truth {one.reference_bpm:.1f}; {speed}"
