"""Changes against a baseline held against a rule: one result for each gate, with its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from harness.verdicts.accuracy import HeartRateGroup
from harness.verdicts.change import Change
from harness.verdicts.noninferiority import PairedError, error_changes
from harness.verdicts.outcome import GateResult, Outcome
from harness.verdicts.run_latency import EXACT, Runs, counts_added, geometric_mean, slowdown
from harness.verdicts.thresholds import ChangeRule

ERROR_CHANGE = "mae_increase_bpm"
SLOWDOWN = "slowdown_percent"
INSTRUCTIONS_ADDED = "instructions_added_percent"
ALL = "all"
LOST_NAMED = 3  # recordings of those whose pulse was lost; a longer list hides the figure


def gate_error_change(rule: ChangeRule, pairs: Sequence[PairedError]) -> tuple[GateResult, ...]:
    """Hold the growth of absolute errors against a rule: of all, and of each group there is.

    A model may trade one group for another and look better in all: so each group has a gate.
    """
    margins = rule.max_mae_increase_bpm, rule.max_group_mae_increase_bpm
    return tuple(
        _of_errors(
            group, change, [one for one in pairs if group is None or one.group is group], rule
        )
        for group, change in error_changes(pairs, *margins).items()
    )


def gate_slowdown(
    rule: ChangeRule,
    baseline: Mapping[str, Runs],
    now: Mapping[str, Runs],
    session_sd_percent: float = 0.0,
    session_freedom: float = EXACT,
    *,
    counted: bool = False,
) -> tuple[GateResult, ...]:
    """Hold the growth of the time per frame against a rule: of all stages together, and of each.

    Args:
        rule: the margins.
        baseline: by stage, the earlier runs (see ``Runs``).
        now: the same of the runs to judge.
        session_sd_percent, session_freedom: see ``slowdown``.
        counted: whether the figures are instructions. Those do not vary: what is added is simply
            held against the margin, and the interval is the range over recordings.
    """
    stages = [stage for stage in baseline if stage in now]
    old, new = _with_all(baseline, stages), _with_all(now, stages)
    results = []
    for stage in (ALL, *stages):
        margin = _margin(rule, stage, counted)
        if margin is None:
            continue
        if counted:
            change = counts_added(old[stage], new[stage], margin)
        else:
            change = slowdown(old[stage], new[stage], margin, session_sd_percent, session_freedom)
        gate = INSTRUCTIONS_ADDED if counted else SLOWDOWN
        results.append(
            GateResult(
                gate=gate if stage == ALL else f"{gate}.{stage}",
                figure=change.difference,
                threshold=margin,
                outcome=change.outcome,
                message=_told_of_times(stage, change, old[stage], new[stage], counted, rule),
                baseline=geometric_mean(old[stage], new[stage]),
                interval=change.interval,
                stage=_grown_most(old, new, stages) if stage == ALL else stage,
                remark=_of_sessions(change),
            )
        )
    return tuple(results)


def _of_errors(
    group: HeartRateGroup | None, change: Change, pairs: Sequence[PairedError], rule: ChangeRule
) -> GateResult:
    what, remark = "all recordings" if group is None else f"{group.value} group", ""
    if not pairs:
        said, before = "nothing was compared", None
    else:
        before = _mae([(one.reference_bpm, one.baseline_bpm) for one in pairs])
        now = _mae([(one.reference_bpm, one.estimate_bpm) for one in pairs])
        said = f"{now:.2f} bpm, was {before:.2f}: {_ends(change, 'bpm')}"
        said += f", {change.subjects} subject{'s' * (change.subjects != 1)}"
        said += f"; {_bound(change, 'bpm')}"
        remark = _of_subjects(change, [one.recording for one in pairs if one.lost])
        said += f": {remark}" if remark else ""
    return GateResult(
        gate=ERROR_CHANGE if group is None else f"{ERROR_CHANGE}.{group.value}",
        figure=change.difference,
        threshold=change.margin,
        outcome=change.outcome,
        message=f"mean absolute error against the baseline, {what}: {said} (rule for {rule})",
        baseline=before,
        interval=change.interval,
        remark=remark,
    )


def _of_subjects(change: Change, lost: Sequence[str]) -> str:
    """How many subjects got worse or would decide it, and what lost its pulse, unless it passed."""
    said = []
    if change.outcome is Outcome.INCONCLUSIVE:
        said.append(_too_few("subjects", change.needed))
    if change.outcome is Outcome.FAIL and change.beyond:
        worse, better = change.beyond.worse, change.beyond.better
        said.append(
            f"{worse} of {change.subjects} subjects got worse by more than that, {better} better"
        )
    if lost and change.outcome is not Outcome.PASS:
        more = f" and {len(lost) - LOST_NAMED} more" if len(lost) > LOST_NAMED else ""
        said.append(f"pulse lost since on {', '.join(lost[:LOST_NAMED])}{more}")
    return "; ".join(said)


def _told_of_times(
    stage: str, change: Change, old: Runs, new: Runs, counted: bool, rule: ChangeRule
) -> str:
    unit = "M instr" if counted else "ms"
    what = f"{'instructions' if counted else 'time'} per frame against the baseline, {stage}"
    before, now = geometric_mean(old, new), geometric_mean(new, old)
    if change.difference is None or before is None or now is None:
        return f"{what}: nothing was compared (rule for {rule})"
    said = f"{now:.4g} {unit}, was {before:.4g}: {_ends(change, '%', counted)}"
    said += f", {change.n} recordings; {_bound(change, '%')}"
    remark = _of_sessions(change)
    return f"{what}: {said}{f': {remark}' if remark else ''} (rule for {rule})"


def _of_sessions(change: Change) -> str:
    """How many would decide it, where it is not decided."""
    if change.outcome is not Outcome.INCONCLUSIVE or not change.n:
        return ""
    sessions = None if change.needed is None else math.ceil(change.needed / change.n)
    return _too_few("sessions of these recordings", sessions)


def _too_few(what: str, needed: int | None) -> str:
    wanted = f"about {needed} {what}" if needed else f"more {what}"
    return f"{wanted} would tell"


def _ends(change: Change, unit: str, counted: bool = False) -> str:
    """The difference with its interval, as ``+0.42 bpm (99 %: -0.10 to +0.94)``."""
    said = f"{change.difference:+.2f} {unit}"
    if change.interval is None:
        return said
    level = "of each" if counted else "99 %"
    return f"{said} ({level}: {change.interval.low:+.2f} to {change.interval.high:+.2f})"


def _bound(change: Change, unit: str) -> str:
    said = {
        Outcome.FAIL: "worse, and not within",
        Outcome.PASS: "within",
        Outcome.INCONCLUSIVE: "not decided whether within",
    }
    return f"{said.get(change.outcome, 'within')} {change.margin:g} {unit}"


def _margin(rule: ChangeRule, stage: str, counted: bool) -> float | None:
    if counted:
        return rule.max_added_instructions_percent
    return rule.max_slowdown_percent if stage == ALL else rule.max_stage_slowdown_percent


def _with_all(runs: Mapping[str, Runs], stages: Sequence[str]) -> dict[str, Runs]:
    """The stages asked for, and their sum run by run."""
    names = dict.fromkeys(name for stage in stages for name in runs[stage])
    whole: dict[str, Sequence[float]] = {}
    for name in names:
        rows = [runs[stage][name] for stage in stages if name in runs[stage]]
        if len({len(row) for row in rows}) == 1:
            whole[name] = [float(one) for one in np.sum(rows, axis=0)]
    return {ALL: whole, **{stage: runs[stage] for stage in stages}}


def _grown_most(
    old: Mapping[str, Runs], new: Mapping[str, Runs], stages: Sequence[str]
) -> str | None:
    """The stage that added most to a frame; the one to look at when all together are slower."""
    grown = {
        stage: after - before
        for stage in stages
        if (before := geometric_mean(old[stage], new[stage])) is not None
        and (after := geometric_mean(new[stage], old[stage])) is not None
    }
    worst = max(grown, key=lambda one: grown[one], default=None)
    return worst if worst is not None and grown[worst] > 0 else None


def _mae(rows: Sequence[tuple[float, float]]) -> float:
    return float(np.mean([abs(estimate - truth) for truth, estimate in rows]))
