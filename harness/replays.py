"""What a campaign leaves behind: the replays of each case, as they ran or as they lie on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.verdicts.accuracy import Scored
from harness.verdicts.fidelity import FidelityReport, Pair
from harness.verdicts.latency import RunTimes, StageTimes
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError
from rppg_core.pipeline import STAGES
from rppg_core.records import NANOSECONDS, Record, parse_record


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

    `absent` are recordings whose video is not here; they were not replayed.
    """

    case: Case
    synthetic: bool
    replays: tuple[Replayed, ...]
    failures: Mapping[str, str]
    sent_bytes: int
    absent: tuple[str, ...] = ()

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
        return tuple(
            RunTimes(
                one.recording,
                one.record.duration_s,
                tuple(StageTimes(stage, one.record.timings_ns[stage]) for stage in STAGES),
                one.record.timings_unit,
            )
            for one in self.replays
            if one.record.ok and one.recording not in self.invalid
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


def likeness(run: CaseRun, whole: CaseRun) -> FidelityReport:
    """A case held against the float model's on the same board and dataset."""
    return FidelityReport(pairs(run, whole), run.model_bytes, whole.model_bytes)


def load_cases(results: Path) -> list[CaseRun]:
    """The cases that the records below `results` make up. Raises UserError if there are none."""
    found: dict[tuple[Case, bool], list[Replayed]] = {}
    for content in _stored(results):
        campaign = content["campaign"]
        case = Case(campaign["board"], campaign["dataset"], campaign["variant"])
        key = (case, bool(campaign["synthetic"]))
        found.setdefault(key, []).append(replayed(campaign, content))
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
