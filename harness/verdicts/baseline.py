"""Approved figures of one case: heart rates, and run by run what each stage took.

Both parts carry the provenance they hold for, since either may be approved alone: an invalid time
moves no baseline of times, and says nothing about heart rates.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.verdicts.latency import Stage
from harness.verdicts.provenance import Provenance

FORMAT: Literal["rppg-baseline/1"] = "rppg-baseline/1"
SESSIONS_KEPT = 5
"""Sessions whose runs a baseline of times keeps, the latest ones: two starts of one board differ by
some percent throughout, which runs of one session cannot show."""
BPM_DIGITS = 2
SIGNIFICANT_DIGITS = {"ms": 4, "minstr": 6}

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Taken = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
Runs = Annotated[tuple[Taken, ...], Field(strict=False, min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class HeartRate(_Part):
    """One recording's heart rate beside its reference; ``video`` is a fingerprint of the file."""

    subject: str
    video: Hex
    reference_bpm: Positive
    estimate_bpm: Positive


class Times(_Part):
    """One recording's mean per frame of each stage, one for each session."""

    video: Hex
    stages: Mapping[Stage, Runs]


class ErrorPart(_Part):
    """Heart rates and what they hold for."""

    measured_with: Provenance
    recordings_sha256: str
    recordings: Annotated[Mapping[str, HeartRate], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_whole(self) -> ErrorPart:
        if self.recordings_sha256 != recordings_sha256(self.recordings):
            raise ValueError(
                "recordings_sha256 does not fit the recordings: their labels were edited, or a "
                "merge went wrong; make the file again with --update-baseline"
            )
        return self


class TimePart(_Part):
    """Times, or on a board that counts them millions of instructions, and what they hold for."""

    measured_with: Provenance
    unit: Literal["ms", "minstr"]
    recordings: Annotated[Mapping[str, Times], Field(min_length=1)]

    @model_validator(mode="after")
    def _as_many_runs_everywhere(self) -> TimePart:
        for name, one in self.recordings.items():
            if not one.stages:
                raise ValueError(f"{name}: no stage has a time")
        runs = {len(runs) for one in self.recordings.values() for runs in one.stages.values()}
        if len(runs) > 1:
            raise ValueError(f"every stage of every recording needs as many runs, not {runs}")
        return self

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Stages of any recording, in the order they stand in."""
        return tuple(dict.fromkeys(name for one in self.recordings.values() for name in one.stages))

    @property
    def sessions(self) -> int:
        """How many sessions there are runs of."""
        return max(len(runs) for one in self.recordings.values() for runs in one.stages.values())

    def runs(self, stage: Stage, names: Collection[str]) -> dict[str, tuple[float, ...]]:
        """Return the runs of one stage, by recording, of those called ``names``."""
        return {
            name: tuple(found)
            for name, one in self.recordings.items()
            if name in names and (found := one.stages.get(stage))
        }

    def per_frame(self, name: str, stages: Collection[Stage]) -> float:
        """Return what these stages of a recording take together, mean of its runs."""
        found = self.recordings[name].stages
        return sum(float(np.mean(found[stage])) for stage in stages if stage in found)

    @property
    def totals(self) -> dict[str, tuple[float, ...]]:
        """Runs of all stages together, by recording."""
        return {
            name: tuple(np.sum(list(one.stages.values()), axis=0))
            for name, one in self.recordings.items()
        }


class Baseline(_Part):
    """What was approved for a case; a part is None where nothing was."""

    format: Literal["rppg-baseline/1"] = FORMAT
    board: str
    dataset: str
    variant: str
    error: ErrorPart | None = None
    time: TimePart | None = None


def recordings_sha256(recordings: Mapping[str, HeartRate]) -> str:
    """Return a hash over ids, subjects, references and videos: all but what was estimated."""
    rows = [
        [name, one.subject, one.video, one.reference_bpm]
        for name, one in sorted(recordings.items())
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def error_part(measured_with: Provenance, found: Mapping[str, HeartRate]) -> ErrorPart:
    """Return rounded heart rates as a baseline keeps them."""
    rounded = {
        name: one.model_copy(
            update={
                "reference_bpm": round(one.reference_bpm, BPM_DIGITS),
                "estimate_bpm": round(one.estimate_bpm, BPM_DIGITS),
            }
        )
        for name, one in found.items()
    }
    return ErrorPart(
        measured_with=measured_with,
        recordings_sha256=recordings_sha256(rounded),
        recordings=rounded,
    )


def time_part(
    measured_with: Provenance, unit: Literal["ms", "minstr"], found: Mapping[str, Times]
) -> TimePart:
    """Return times rounded as a baseline keeps them."""
    digits = SIGNIFICANT_DIGITS[unit]
    rounded = {
        name: one.model_copy(
            update={
                "stages": {
                    stage: tuple(float(f"{taken:.{digits}g}") for taken in runs)
                    for stage, runs in one.stages.items()
                }
            }
        )
        for name, one in found.items()
    }
    return TimePart(measured_with=measured_with, unit=unit, recordings=rounded)


def add_session(old: TimePart, new: TimePart) -> TimePart:
    """Return ``old`` with the runs of ``new`` as its latest session; both have the same keys."""
    joined = {
        name: one.model_copy(
            update={
                "stages": {
                    stage: (*old.recordings[name].stages[stage], *runs)[-SESSIONS_KEPT:]
                    for stage, runs in one.stages.items()
                }
            }
        )
        for name, one in new.recordings.items()
    }
    return new.model_copy(update={"recordings": joined})


def has_session(old: TimePart, new: TimePart) -> bool:
    """Return whether ``new``, of one session, is one of those ``old`` has."""
    if old.measured_with != new.measured_with or old.recordings.keys() != new.recordings.keys():
        return False
    return any(
        all(
            one.stages.keys() == old.recordings[name].stages.keys()
            and all(old.recordings[name].stages[s][at] == runs[0] for s, runs in one.stages.items())
            for name, one in new.recordings.items()
        )
        for at in range(old.sessions)
    )
