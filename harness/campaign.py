"""The corridor: every recording of a dataset, through one variant, on a board.

Each record is written to the results folder as soon as it is back, together with its labels, so
that every figure can be made again from that folder alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from harness.attempts import Attempts, Effort, RecordingFailedError
from harness.boards.base import Board, PutReport
from harness.datasets.base import Dataset, Labels, Recording
from harness.datasets.checking import check_dataset
from harness.datasets.fingerprint import fingerprint
from harness.journal import Journal, Origin
from harness.pace import AT_ONCE, MinuteLog, Pace
from harness.pool import Pool, work_alone, work_together
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

    `appearance` is the second file of a model in two, `model` its motion half then; `pace` is how
    fast frames come, and for how long.
    """

    model_name: str
    model: Path
    detector: str
    detector_files: Mapping[str, Path]
    settings: Settings = field(default_factory=Settings)
    appearance: Path | None = None
    pace: Pace = AT_ONCE

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
        described = {"model": self.model_name, "detector": [self.detector, *names]}
        return {**described, "settings": settings, **self.pace.in_job}


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
    board: Board | Pool,
    dataset: Dataset,
    case: Case,
    pipe: Pipe,
    results: Path,
    observer: Observer,
    effort: Effort | None = None,
    resume: bool = False,
) -> CaseRun:
    """Replay every recording of `dataset` on `board`, writing records below `results`.

    The boards of a pool share the recordings. With `resume`, records that are there already and
    were made from the same are taken as they are. Raises UserError for what a person must mend and
    BoardError for what the board did, all retries spent; records that came back before are on disk
    then.
    """
    effort = effort or Effort()
    recordings = dataset.recordings()
    absent = tuple(one.id for one in recordings if not one.video.exists())
    recordings = [one for one in recordings if one.id not in absent]
    labels, failures = _all_labels(dataset, recordings, absent)
    observer.start(case, len(recordings))
    journal = Journal(results / board.name / dataset.name / case.variant)
    boards = board.boards if isinstance(board, Pool) else [board]
    origins = {one.name: Origin(one, pipe.files, pipe=pipe.description) for one in boards}
    usable = [one for one in recordings if one.id in labels]
    found: dict[str, Mapping[str, Any]] = {}
    if resume:
        for one in usable:
            made_from = [origin.of(one, labels[one.id]) for origin in origins.values()]
            if (kept := journal.find(one.id, made_from)) is not None:
                found[one.id] = kept
    for name, reason in failures.items():
        observer.done(case, name, f"failed: {reason}")
    for name, content in found.items():
        observer.done(case, name, "kept: " + _outcome(replayed(content["campaign"], content)))
    sent: list[int] = []

    def start(one: Board) -> Callable[[Recording, Callable[[], Recording | None]], None]:
        attempts = Attempts(one, effort, observer.say)
        bytes_sent, about_board = attempts.ready(lambda: _make_ready(one, pipe, to_do))
        sent.append(bytes_sent)

        def do(recording: Recording, following: Callable[[], Recording | None]) -> None:
            truth = labels[recording.id]
            before = attempts.sent_bytes
            log = _minute_log(journal, case, dataset, recording, truth, pipe)
            try:
                content = _replay(
                    attempts, one, case, recording, truth, pipe, observer, following(), log
                )
            except RecordingFailedError as bad:
                failures[recording.id] = str(bad)
                observer.done(case, recording.id, f"failed: {bad}")
                return
            finally:
                sent.append(attempts.sent_bytes - before)
            campaign = _campaign(case, dataset, recording, truth, pipe, content) | about_board
            campaign["video"] = fingerprint(recording.video)
            made_from = origins[one.name].of(recording, truth)
            content["campaign"] = {**campaign, "replayed_on": one.name, "made_from": made_from}
            journal.write(recording.id, content)
            found[recording.id] = content
            observer.done(case, recording.id, _outcome(replayed(content["campaign"], content)))

        return do

    to_do = [one for one in usable if one.id not in found]
    if to_do and isinstance(board, Pool):
        work_together(board, to_do, start, observer.say)
    elif to_do and not isinstance(board, Pool):  # else the board is not needed
        work_alone(board, to_do, start)
    replays = tuple(
        replayed(found[one.id]["campaign"], found[one.id]) for one in usable if one.id in found
    )
    for done in replays:
        if done.record.error is not None:
            failures[done.recording] = done.record.error
    return CaseRun(
        case, dataset.synthetic, replays, failures, sum(sent), absent, planned=len(recordings)
    )


def _make_ready(
    board: Board, pipe: Pipe, recordings: Sequence[Recording]
) -> tuple[int, dict[str, Any]]:
    """Put on the board what every replay needs; returns the bytes sent, and what it is."""
    sent = board.deploy().sent_bytes + board.put(pipe.files).sent_bytes
    board.expect(one.video for one in recordings)
    delegate = board.settings.delegate or "none"
    return sent, {"processor": board.facts().get("cpu_model"), "delegate": delegate}


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
        **pipe.pace.in_job,
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
    log: MinuteLog | None,
) -> dict[str, Any]:
    def on_event(event: dict[str, Any]) -> None:
        if log is not None:
            log.note(event)
            observer.advance(case, recording.id, log.share())
        elif event.get("event") == "progress" and event.get("of"):
            observer.advance(case, recording.id, min(event["frames"] / event["of"], 1.0))

    def make_job(placed: PutReport) -> dict[str, Any]:
        if log is not None:
            log.begin()
        return job_of(board, recording, truth, pipe, placed)

    ahead = [*pipe.files, following.video] if following else []
    paths = [*pipe.files, recording.video]
    return attempts.replay(recording.id, paths, make_job, on_event, ahead)


def _minute_log(
    journal: Journal, case: Case, dataset: Dataset, recording: Recording, truth: Labels, pipe: Pipe
) -> MinuteLog | None:
    if pipe.pace.minutes is None:
        return None
    about = {
        "board": case.board,
        "dataset": case.dataset,
        "variant": case.variant,
        "synthetic": dataset.synthetic,
        "recording": recording.id,
        "reference_bpm": truth.reference_bpm,
        "pace": pipe.pace.name,
        "asked_minutes": pipe.pace.minutes,
    }
    return MinuteLog(journal.folder, recording.id, about)


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
