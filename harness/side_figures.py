"""What there is of a side of a comparison, recording by recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.case_figures import UNITS
from harness.replays import CaseRun
from harness.run_sides import Side
from harness.verdicts.latency import STAGES
from harness.verdicts.noninferiority import PairedError
from harness.verdicts.run_latency import Runs

ALL = "all stages"

Scored = Mapping[str, tuple[str, float, Sequence[float]]]
"""Of each recording: its subject, its reference, the estimates of the sessions that gave one."""


def scored(side: Side) -> Scored:
    """Heart rates by recording."""
    found: dict[str, tuple[str, float, list[float]]] = {}
    for run in side.runs:
        for one in run.scored:
            kept = found.setdefault(one.recording, (one.subject, one.reference_bpm, []))
            kept[2].append(one.estimate_bpm)
    return found


def _estimate(estimates: Sequence[float], reference: float) -> float:
    """The heart rate, or one with the mean of the absolute errors."""
    if len(estimates) == 1:
        return estimates[0]
    return reference + float(np.mean([abs(one - reference) for one in estimates]))


def paired(old: Side, new: Side) -> list[PairedError]:
    """Recordings with a heart rate on both sides; of sessions, the mean of their errors."""
    before, after = scored(old), scored(new)
    return [
        PairedError(
            name, subject, reference, _estimate(before[name][2], reference),
            _estimate(estimates, reference),
        )
        for name, (subject, reference, estimates) in after.items()
        if name in before
    ]  # fmt: skip


def stage_runs(side: Side) -> Mapping[str, Runs]:
    """Mean per frame by stage of each recording that has valid times in every session."""
    sessions = [_stage_means(run) for run in side.runs]
    found: dict[str, Runs] = {}
    for stage in (ALL, *STAGES):
        first, *others = [one[stage] for one in sessions]
        names = [name for name in first if all(name in other for other in others)]
        found[stage] = {name: [one[stage][name] for one in sessions] for name in names}
    return found


def _stage_means(run: CaseRun) -> Mapping[str, dict[str, float]]:
    """For each stage that took some, the mean per frame of each recording, in ms or M instr."""
    found: dict[str, dict[str, float]] = {stage: {} for stage in (ALL, *STAGES)}
    for times in run.times:
        size = UNITS[times.unit][1] * times.frames
        means = {one.stage: one.total_ns / size for one in times.stages if one.total_ns}
        for stage, mean in {ALL: sum(means.values()), **means}.items():
            found[stage][times.recording] = mean
    return found


def replayed(side: Side, failed: bool = False) -> set[str]:
    """Recordings that have a record; or only those that have one without a heart rate."""
    return {
        one.recording
        for run in side.runs
        for one in run.replays
        if not failed or one.record.bpm is None
    }


def foreign_cores(side: Side) -> float | None:
    """Cores that other programs kept busy on the board, mean of the replays; None if unknown."""
    said = [one.record.raw.get("health", {}) for run in side.runs for one in run.replays]
    found = [health["foreign_cores"] for health in said if "foreign_cores" in health]
    return float(np.mean(found)) if found else None
