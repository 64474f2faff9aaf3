"""``--update-baseline``: what of a run may become a baseline, with the difference shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.baselines import file_of, load_baseline, measured, pace_of, write_baseline
from harness.replays import CaseRun
from harness.selftest_files import load_selftest
from harness.verdicts.against_baseline import (
    Asked,
    Comparison,
    compare_errors,
    compare_times,
    no_baseline,
)
from harness.verdicts.baseline import Baseline, TimePart, add_session, has_session
from harness.verdicts.baseline_diff import difference
from harness.verdicts.gates import COMPARABLE
from harness.verdicts.outcome import GateResult, Outcome
from harness.verdicts.provenance import Compared
from harness.verdicts.selftest_findings import SelfTest
from harness.verdicts.thresholds import ChangeRule
from rppg_core.errors import UserError

FEW = 3


@dataclass(frozen=True)
class Approval:
    """What came of storing one case: lines for a person, and whether any part was refused."""

    lines: tuple[str, ...]
    refused: bool = False


def store(folder: Path, run: CaseRun, rule: ChangeRule, timed: bool, partial: bool) -> Approval:
    """Write a case's baseline as far as its run is fit for one.

    A failed recording, or a run of a part of the recordings, stores nothing. Times that are invalid
    or that no test asked for leave those of the baseline as they are. Raises UserError.
    """
    case, pace = run.case, pace_of(run)
    if partial:
        return _refused(run, "this run is of a part of its recordings", "run it whole")
    if run.failures:
        return _refused(run, f"replays failed: {_some(run.failures)}", "mend them")
    old = load_baseline(folder, case, pace)
    error, time = measured(run, timed)
    notes, refused = [], False
    if timed and run.invalid:
        notes.append(f"times NOT stored: invalid: {_some(run.invalid)}")
        time, refused = None, True
    elif not timed:
        notes.append("times not stored: no test asked for them")
    if old and old.time and time:
        time = _joined(rule, old.time, time, load_selftest(folder, case.board))
    new = Baseline(
        board=case.board,
        dataset=case.dataset,
        variant=case.variant,
        error=error,
        time=time or (old.time if old else None),
    )
    notes = [*difference(old, new), *notes]
    if new != old:
        write_baseline(folder, new, pace)
    lines = (f"{case} -> {file_of(folder, case, pace)}", *(f"  {one}" for one in notes))
    return Approval(lines, refused)


def compare_run(
    folder: Path,
    run: CaseRun,
    compared: Compared,
    rule: ChangeRule,
    selected: frozenset[str] | None,
    required: bool,
) -> Comparison | None:
    """Hold a run's errors or times against its baseline; None where the run has none.

    ``selected`` is what a partial run asked for; ``required`` makes a missing baseline a failure.
    Raises UserError for an unusable one.
    """
    approved = load_baseline(folder, run.case, pace_of(run))
    try:
        error, time = measured(run, timed=True)
    except UserError as bad:
        return Comparison((GateResult(COMPARABLE, None, None, Outcome.FAIL, str(bad)),))
    if compared is Compared.ERROR:
        asked = Asked(selected, frozenset(run.failures))
        if approved and approved.error and error:
            return compare_errors(rule, approved.error, error, asked)
        lacking = approved is None or approved.error is None
    else:
        asked = Asked(selected, frozenset({*run.failures, *run.invalid}))
        if approved and approved.time and time:
            tested = load_selftest(folder, run.case.board)
            return compare_times(rule, approved.time, time, asked, tested)
        lacking = approved is None or approved.time is None
    if not lacking:
        return None
    where = str(file_of(folder, run.case, pace_of(run)))
    gates = (no_baseline(compared, where),) if required else ()
    return Comparison(gates, lacking=compared)


def _joined(rule: ChangeRule, old: TimePart, new: TimePart, tested: SelfTest | None) -> TimePart:
    """Return the new times, beside those of earlier sessions where nothing has changed since.

    Nothing has where everything they hold for is the same, the model among it, and no stage is
    faster or slower by more than the margin.
    """
    if has_session(old, new):
        return old  # the same records once more, by --resume
    compared = compare_times(rule, old, new, Asked(), tested)
    steady = not compared.noted and old.recordings.keys() == new.recordings.keys()
    for gate in compared.gates:
        faster = (
            gate.interval is not None
            and gate.threshold is not None
            and gate.interval.high < -gate.threshold
        )
        steady = steady and gate.outcome is not Outcome.FAIL and not faster
    return add_session(old, new) if steady else new


def _refused(run: CaseRun, why: str, remedy: str) -> Approval:
    return Approval((f"{run.case}: NOT stored: {why}; {remedy}, then store it",), refused=True)


def _some(reasons: Mapping[str, str]) -> str:
    shown = [f"{name} ({' '.join(reasons[name].split())})" for name in sorted(reasons)[:FEW]]
    return ", ".join(shown) + (", ..." if len(reasons) > FEW else "")
