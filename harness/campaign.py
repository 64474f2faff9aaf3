"""The corridor: every recording of a dataset, through one variant, on a board.

Each record is written to the results folder as soon as it is back, together with its labels, so
that every figure can be made again from that folder alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from harness.attempts import Attempts, Effort, RecordingFailedError
from harness.boards.base import Board, PutReport
from harness.datasets.base import Dataset, Labels, Recording
from harness.datasets.checking import check_dataset
from harness.journal import Journal, Origin
from harness.replays import CaseRun, Replayed, replayed
from harness.verdicts.thresholds import Case
from harness.window_truth import truth_block
from rppg_core.errors import UserError
from rppg_core.pipeline import Settings
from rppg_core.records import FAILED, INSTRUCTIONS
from rppg_core.replay import JOB_SCHEMA


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

    @property
    def model_bytes(self) -> int:
        """Size of the model, both halves of it where it is in two."""
        halves = [self.model] if self.appearance is None else [self.model, self.appearance]
        return sum(path.stat().st_size for path in halves)

    @property
    def description(self) -> dict[str, Any]:
        """What is not in the files."""
        names = sorted(self.detector_files)
        settings = self.settings.to_dict()
        return {"model": self.model_name, "detector": [self.detector, *names], "settings": settings}


class Observer(Protocol):
    """Is told how a campaign gets on."""

    def start(self, case: Case, recordings: int) -> None:
        """A case begins."""

    def advance(self, case: Case, recording: str, share: float) -> None:
        """A recording is replayed up to `share` of 1."""

    def done(self, case: Case, recording: str, outcome: str) -> None:
        """A recording is through, with a word on how it went."""

    def say(self, line: str) -> None:
        """Something else a person may want to know."""


def run_case(
    board: Board,
    dataset: Dataset,
    case: Case,
    pipe: Pipe,
    results: Path,
    observer: Observer,
    effort: Effort | None = None,
    resume: bool = False,
) -> CaseRun:
    """Replay every recording of `dataset` on `board`, writing records below `results`.

    With `resume`, records that are there already and were made from the same are taken as they
    are. Raises UserError for what a person must mend and BoardError for what the board did, all
    retries spent; records that came back before are on disk then.
    """
    effort = effort or Effort()
    recordings = dataset.recordings()
    absent = tuple(one.id for one in recordings if not one.video.exists())
    recordings = [one for one in recordings if one.id not in absent]
    labels, failures = _all_labels(dataset, recordings, absent)
    observer.start(case, len(recordings))
    journal = Journal(results / board.name / dataset.name / case.variant)
    origin = Origin(board, pipe.files, pipe=pipe.description)
    made_from = {r.id: origin.of(r, labels[r.id]) for r in recordings if r.id in labels}
    kept = {n: c for n, m in made_from.items() if resume and (c := journal.find(n, m)) is not None}
    sent, attempts = 0, None
    if len(kept) < len(labels):  # else the board is not needed
        attempts = Attempts(board, effort, observer.say)
        sent = board.deploy().sent_bytes + board.put(pipe.files).sent_bytes
    to_do = [r for r in recordings if r.id in labels and r.id not in kept]
    following = {one.id: after for one, after in zip(to_do, [*to_do[1:], None], strict=False)}
    replays = []
    for recording in recordings:
        if recording.id not in labels:
            observer.done(case, recording.id, f"failed: {failures[recording.id]}")
            continue
        truth = labels[recording.id]
        content = kept.get(recording.id)
        if content is None:
            assert attempts is not None
            try:
                content = _replay(
                    attempts, board, case, recording, truth, pipe, observer, following[recording.id]
                )
            except RecordingFailedError as bad:
                failures[recording.id] = str(bad)
                observer.done(case, recording.id, f"failed: {bad}")
                continue
            campaign = _campaign(case, dataset, recording, truth, pipe, content)
            content["campaign"] = {**campaign, "made_from": made_from[recording.id]}
            journal.write(recording.id, content)
        one = replayed(content["campaign"], content)
        replays.append(one)
        if one.record.error is not None:
            failures[recording.id] = one.record.error
        how = "kept: " if recording.id in kept else ""
        observer.done(case, recording.id, how + _outcome(one))
    sent += attempts.sent_bytes if attempts else 0
    return CaseRun(case, dataset.synthetic, tuple(replays), failures, sent, absent)


def _all_labels(
    dataset: Dataset, recordings: Sequence[Recording], absent: Sequence[str]
) -> tuple[dict[str, Labels], dict[str, str]]:
    """Every recording's labels, or why it has none: looked at before time is spent."""
    if not recordings:
        raise UserError(
            f"dataset {dataset.name}: no video is here of {len(absent)} recordings "
            f"({absent[0]}, ...); fetch them below {dataset.root}"
        )
    labels: dict[str, Labels] = {}
    failures: dict[str, str] = {}
    checked = {one.recording: one for one in check_dataset(dataset)}
    for recording in recordings:
        try:
            truth = dataset.labels(recording)
            defects = checked[recording.id].unrepaired(truth.convention)
            labels[recording.id] = replace(truth, defects=defects)
        except UserError as bad:
            failures[recording.id] = str(bad)
    if not labels:
        raise UserError(f"dataset {dataset.name}: no recording is usable: {min(failures.values())}")
    return labels, failures


def job_of(
    board: Board,
    recording: Recording,
    truth: Labels,
    pipe: Pipe,
    placed: PutReport,
) -> dict[str, Any]:
    """The job of one recording, once all files have their place on the board."""
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
            "path": placed.board_paths[pipe.model],
            "appearance_path": None
            if pipe.appearance is None
            else placed.board_paths[pipe.appearance],
            "name": pipe.model_name,
        },
        "detector": {
            "name": pipe.detector,
            "files": {n: placed.board_paths[p] for n, p in pipe.detector_files.items()},
        },
        "settings": pipe.settings.to_dict(),
        "runtime": board.settings.delegate or board.runtime,
        "threads": board.threads,
        "timings_unit": board.timings_unit,
    }


def _replay(
    attempts: Attempts,
    board: Board,
    case: Case,
    recording: Recording,
    truth: Labels,
    pipe: Pipe,
    observer: Observer,
    following: Recording | None,
) -> dict[str, Any]:
    def on_event(event: dict[str, Any]) -> None:
        if event.get("event") == "progress" and event.get("of"):
            observer.advance(case, recording.id, min(event["frames"] / event["of"], 1.0))

    def make_job(placed: PutReport) -> dict[str, Any]:
        return job_of(board, recording, truth, pipe, placed)

    ahead = [*pipe.files, following.video] if following else []
    paths = [*pipe.files, recording.video]
    return attempts.replay(recording.id, paths, make_job, on_event, ahead)


def _campaign(
    case: Case,
    dataset: Dataset,
    recording: Recording,
    truth: Labels,
    pipe: Pipe,
    content: Mapping[str, Any],
) -> dict[str, Any]:
    times_s = np.asarray(content.get("result", {}).get("time_s", ()), dtype=np.float64)
    return {
        "board": case.board,
        "dataset": case.dataset,
        "variant": case.variant,
        "model_bytes": pipe.model_bytes,
        "synthetic": dataset.synthetic,
        "recording": recording.id,
        "subject": recording.subject,
        "conditions": dict(recording.conditions),
        "reference_bpm": truth.reference_bpm,
        "labels": truth.convention,
        "label_defects": list(truth.defects),
        "references": dict(truth.references),
        "truth": truth_block(dataset.signals(recording), truth.convention, times_s),
    }


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
