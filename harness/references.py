"""A case held against other replays of its recordings: a reference run's, or its own again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.replays import CaseRun
from harness.traces import reference_of, traces_of, usual_tolerances
from harness.verdicts.gates import gate_replayed
from harness.verdicts.hops import compare
from harness.verdicts.outcome import LOADING, GateResult
from harness.verdicts.stage_gates import (
    Memory,
    gate_memory,
    gate_reference,
    gate_repeat,
    reference_tolerances,
    repeat_tolerances,
)
from harness.verdicts.thresholds import Thresholds


def judge_reference(
    run: CaseRun, thresholds: Thresholds, folders: Sequence[Path]
) -> tuple[GateResult, ...]:
    """Every stage of a case against the run in `folders` that fits it. Raises UserError."""
    reference = reference_of(run.case, folders, run.named("detector"))
    usual = usual_tolerances(reference, run)
    tolerances = reference_tolerances(thresholds, run.case, usual)
    here, there = traces_of(run), traces_of(reference)
    missing = sorted({one.recording for one in here} - {one.recording for one in there})
    gates = gate_reference(compare(there, here, tolerances), missing)
    return (*gate_replayed(run.unrecorded), *gates)


def judge_repeat(run: CaseRun, again: CaseRun, thresholds: Thresholds) -> tuple[GateResult, ...]:
    """Recordings that were replayed again, against the first time. Raises UserError."""
    tolerances = repeat_tolerances(thresholds, run.case)
    return gate_repeat(compare(traces_of(run), traces_of(again), tolerances))


def judge_memory(
    run: CaseRun, thresholds: Thresholds, folders: Sequence[Path]
) -> tuple[GateResult, ...]:
    """The peak memory of a case, against a reference too where `folders` has one."""
    reference = None
    if folders:
        reference = memory_of(reference_of(run.case, folders, run.named("detector")))
    gates = gate_memory(thresholds, run.case, memory_of(run), reference)
    return (*gate_replayed(run.unrecorded), *gates) if gates else ()


def memory_of(run: CaseRun) -> tuple[Memory, ...]:
    """The peak memory of the replays whose records have it."""
    found = []
    for one in run.replays:
        peak, kept = one.record.raw.get("peak_memory_bytes"), one.record.raw.get("memory")
        if peak is None:
            continue
        grown = {} if kept is None else {LOADING: int(kept["loaded_bytes"]), **kept["grown_bytes"]}
        found.append(Memory(one.recording, int(peak), grown))
    return tuple(found)
