"""What a campaign leaves behind: the replays of each case, as they ran or as they lie on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.run_file import RUN_FILE, RunFile, read_run
from harness.verdicts.accuracy import Scored
from harness.verdicts.fidelity import FidelityReport, Pair
from harness.verdicts.gates import COMPLETED
from harness.verdicts.latency import RunTimes, StageTimes
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError
from rppg_core.pipeline import STAGES
from rppg_core.records import NANOSECONDS, Record, parse_record

COMPARED_WITH = "float32-for-comparison"
"""The folder, within a run's, of the float model's replays for a run of another model file."""

REPEATED = "replayed-again"
"""The folder, within a run's, of recordings that were replayed twice."""


@dataclass(frozen=True)
class Replayed:
    """One recording's record beside its labels; `record` says itself whether it is a failure.

    `campaign` is all that stands beside the record in its file.
    """

    recording: str
    subject: str
    reference_bpm: float
    convention: str
    record: Record
    label_defects: tuple[str, ...] = ()
    campaign: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CaseRun:
    """All replays of one case. `failures` maps recordings without a heart rate to the reason.

    `absent` are recordings whose video is not here; they were not replayed. `planned` is how many
    were to be replayed, None where that is not known; `cut_off` says that the campaign did not
    come to the end of this case, or has not yet.
    """

    case: Case
    synthetic: bool
    replays: tuple[Replayed, ...]
    failures: Mapping[str, str]
    sent_bytes: int
    absent: tuple[str, ...] = ()
    planned: int | None = None
    cut_off: bool = False

    @property
    def partial(self) -> str:
        """What there is of a case that is not whole, in words; nothing of a whole one."""
        there = len(self.replays)
        if self.planned is not None and there < self.planned:
            return f"{there} of {self.planned} recordings"
        return "cut off" if self.cut_off else ""

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
        """Stage times of the replays that gave a heart rate and were not spoilt."""
        invalid = self.invalid
        return tuple(
            RunTimes(
                one.recording,
                one.record.duration_s,
                tuple(StageTimes(stage, one.record.timings_ns[stage]) for stage in STAGES),
                one.record.timings_unit,
            )
            for one in self.replays
            if one.record.ok and one.recording not in invalid
        )

    @property
    def model_bytes(self) -> int | None:
        """Size of the model by the records; None where none of them says it."""
        sizes = {one.record.raw.get("campaign", {}).get("model_bytes") for one in self.replays} - {
            None
        }
        return max(sizes, default=None)

    @property
    def invalid(self) -> Mapping[str, str]:
        """Recordings whose times say nothing of the pipeline, with the reason."""
        timings = {one.recording: one.record.raw.get("timing", {}) for one in self.replays}
        return {
            name: "; ".join(timing["reasons"])
            for name, timing in timings.items()
            if not timing.get("valid", True)
        }

    @property
    def unrecorded(self) -> Mapping[str, str]:
        """Recordings whose replay ended without a record, with the reason: out of memory, say."""
        recorded = {one.recording for one in self.replays}
        return {name: why for name, why in self.failures.items() if name not in recorded}

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


def failures_of_both(run: CaseRun, whole: CaseRun) -> dict[str, str]:
    """Why recordings cannot be compared: they failed in the case, or in the float model's run."""
    of_whole = {name: f"{whole.case.variant}: {why}" for name, why in whole.failures.items()}
    return {**of_whole, **run.failures}


def likeness(run: CaseRun, whole: CaseRun) -> FidelityReport:
    """A case held against the float model's on the same board and dataset."""
    return FidelityReport(pairs(run, whole), run.model_bytes, whole.model_bytes)


def whole_of(run: CaseRun, runs: Sequence[CaseRun], results: Path) -> CaseRun | None:
    """The float model's run that `run`, one of the `runs` in `results`, is held against."""
    folder = results / COMPARED_WITH
    here = [
        *(load_cases(folder) if folder.is_dir() else ()),
        *(one for one in runs if _weights(one) == _weights(run)),
    ]
    place = (run.case.board, run.case.dataset, "float32", run.named("detector"))
    return next(
        (
            one
            for one in here
            if (one.case.board, one.case.dataset, one.case.variant, one.named("detector")) == place
        ),
        None,
    )


def _weights(run: CaseRun) -> str:
    """The weights by the model's name, which is WEIGHTS/VARIANT unless it was a file."""
    return run.named("model", "name").rpartition("/")[0]


def load_cases(results: Path) -> list[CaseRun]:
    """The cases that the records below `results` make up, each of one model and detector.

    The run's own file says which are not whole. Raises UserError if there are none, one is broken,
    or a recording is there twice.
    """
    found: dict[tuple[Any, ...], dict[str, Replayed]] = {}
    owners: dict[Case, Path | None] = {}
    for path, content in _stored(results):
        try:
            campaign = content["campaign"]
            case = Case(campaign["board"], campaign["dataset"], campaign["variant"])
            one = replayed(campaign, content)
            model = content.get("model", {})
            pipe = (model.get("name"), model.get("sha256"), str(content.get("detector")))
            replays = found.setdefault((case, bool(campaign["synthetic"]), *pipe), {})
            if one.recording in replays:
                raise UserError(f"{one.recording!r} on {case} is here twice; name one run's folder")
            replays[one.recording] = one
            if case not in owners:
                owners[case] = _run_of(path)
        except UserError as bad:
            raise UserError(f"{path}: {bad}") from None
        except (AttributeError, KeyError, TypeError, ValueError) as bad:
            raise UserError(f"{path}: a broken record ({bad!r}); replay it again") from None
    if not found:
        raise UserError(f"{results}: no records in this folder; name the folder of a run")
    said = {owner: read_run(owner) for owner in set(owners.values()) if owner is not None}
    return [
        _case_run(case, synthetic, tuple(replays.values()), said[owner] if owner else None)
        for (case, synthetic, *_), replays in found.items()
        for owner in [owners[case]]
    ]


def _case_run(
    case: Case, synthetic: bool, replays: tuple[Replayed, ...], run: RunFile | None
) -> CaseRun:
    failures = {r.recording: r.record.error for r in replays if r.record.error is not None}
    if run is None:
        return CaseRun(case, synthetic, replays, failures, 0)
    gates = run.gates.get(case)
    planned = run.planned.get(case)
    cut_off = gates is None or any(one.gate == COMPLETED for one in gates)
    return CaseRun(case, synthetic, replays, failures, 0, planned=planned, cut_off=cut_off)


def _run_of(record: Path) -> Path | None:
    """The folder of the run that a record is of, where that has a file of its own."""
    if COMPARED_WITH in record.parts:
        return None
    return next((one for one in record.parents if (one / RUN_FILE).exists()), None)


def _stored(results: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(results.rglob("*.json")):
        if {COMPARED_WITH, REPEATED} & set(path.relative_to(results).parts):
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as bad:
            raise UserError(f"{path}: cannot be read as a record ({bad})") from None
        if isinstance(content, dict) and "campaign" in content:
            yield path, content


def replayed(campaign: Mapping[str, Any], content: Mapping[str, Any]) -> Replayed:
    """One recording's record beside what its campaign said of it."""
    return Replayed(
        campaign["recording"],
        campaign["subject"],
        float(campaign["reference_bpm"]),
        campaign["labels"],
        parse_record(content),
        label_defects=tuple(campaign.get("label_defects", ())),
        campaign=campaign,
    )
