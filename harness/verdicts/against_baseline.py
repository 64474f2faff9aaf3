"""A run held against what was approved: what is missing, what cannot be compared, what changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from harness.verdicts.baseline import ErrorPart, HeartRate, TimePart
from harness.verdicts.change_gates import gate_error_change, gate_slowdown
from harness.verdicts.gates import COMPARABLE
from harness.verdicts.noninferiority import PairedError
from harness.verdicts.outcome import GateResult, Outcome
from harness.verdicts.provenance import Changed, Compared, changed
from harness.verdicts.run_latency import EXACT, pooled_session_sd, session_sd_percent
from harness.verdicts.selftest_findings import SelfTest
from harness.verdicts.thresholds import ChangeRule

COMPLETE = "complete"
BASELINE = "baseline"
NAMED = 5
"""Of a long list of recordings, so many are named in a line."""
APPROVE = "approve it with --update-baseline"


@dataclass(frozen=True)
class Asked:
    """Which of a baseline's recordings this run must have.

    ``selected`` are those a partial run asked for, None for a whole one. ``excused`` are those
    told of elsewhere: their replay failed, or their times are invalid.
    """

    selected: frozenset[str] | None = None
    excused: frozenset[str] = frozenset()

    def missing(self, approved: Iterable[str], found: Collection[str]) -> list[str]:
        """Return the approved recordings that should be here and are not."""
        return [
            name
            for name in approved
            if name not in found
            and name not in self.excused
            and (self.selected is None or name in self.selected)
        ]


@dataclass(frozen=True)
class Moved:
    """What all stages together took for a frame of one recording, in the unit of the baseline."""

    recording: str
    before: float
    now: float

    @property
    def percent(self) -> float:
        """What was added."""
        return 100 * (self.now / self.before - 1)


@dataclass(frozen=True)
class Comparison:
    """What came of it; ``pairs`` where heart rates were compared, ``noted`` what differs anyway.

    ``sessions`` is how many sessions the approved times come from, 0 where there are none;
    ``lacking`` is what there is no baseline of.
    """

    gates: tuple[GateResult, ...]
    pairs: tuple[PairedError, ...] = ()
    noted: tuple[Changed, ...] = ()
    sessions: int = 0
    moved: tuple[Moved, ...] = ()
    lacking: Compared | None = None


def compare_errors(
    rule: ChangeRule, approved: ErrorPart, now: ErrorPart, asked: Asked
) -> Comparison:
    """Hold heart rates against approved ones, recording by recording.

    Both must be of the same recordings, labels, detector and settings; else no change is judged.
    """
    old, new = approved.recordings, now.recordings
    both = [name for name in old if name in new]
    differences = changed(approved.measured_with, now.measured_with)
    relabelled = [line for name in both for line in _of_recording(name, old[name], new[name])]
    gates = [*_complete(old, new, asked)]
    spoilt = _incomparable(differences, Compared.ERROR, relabelled)
    if spoilt is not None:
        return Comparison((spoilt, *gates))
    pairs = tuple(
        PairedError(
            name,
            new[name].subject,
            new[name].reference_bpm,
            old[name].estimate_bpm,
            new[name].estimate_bpm,
        )
        for name in both
    )
    if pairs:
        gates += gate_error_change(rule, pairs)
    return Comparison(tuple(gates), pairs, differences)


def compare_times(
    rule: ChangeRule,
    approved: TimePart,
    now: TimePart,
    asked: Asked,
    tested: SelfTest | None = None,
) -> Comparison:
    """Hold each stage's time, and all together, against approved runs of the same recordings.

    ``tested`` is the self-test of the board, where there is one: how far sessions lie apart.
    """
    old, new = approved.recordings, now.recordings
    both = [name for name in old if name in new]
    differences = changed(approved.measured_with, now.measured_with)
    others = [
        f"{name}: video: {old[name].video} -> {new[name].video}"
        for name in both
        if old[name].video != new[name].video
    ]
    if approved.unit != now.unit:
        others.insert(0, f"unit: {approved.unit} -> {now.unit}")
    gates = [*_complete(old, new, asked), *_stages(approved, now)]
    spoilt = _incomparable(differences, Compared.TIME, others)
    if spoilt is not None:
        return Comparison((spoilt, *gates), sessions=approved.sessions)
    stages = [stage for stage in approved.stages if stage in now.stages]
    counted = approved.unit == "minstr"
    if both:
        gates += gate_slowdown(
            rule,
            {stage: approved.runs(stage, both) for stage in stages},
            {stage: now.runs(stage, both) for stage in stages},
            *session_sd(rule, approved, tested),
            counted=counted,
        )
    moved = tuple(
        Moved(name, approved.per_frame(name, stages), now.per_frame(name, stages)) for name in both
    )
    return Comparison(tuple(gates), (), differences, approved.sessions, moved)


def session_sd(
    rule: ChangeRule, approved: TimePart, tested: SelfTest | None = None
) -> tuple[float, float]:
    """Return how far sessions lie apart, in percent, and the degrees of freedom of that.

    As a self-test of the same processor found, else as the rule says and the sessions of the
    baseline do. Counts do not lie apart.
    """
    if approved.unit == "minstr":
        return 0.0, EXACT
    if tested is not None and tested.holds_for(approved.measured_with):
        return tested.session_sd_percent, tested.sessions - 1
    seen = session_sd_percent(approved.totals)
    return pooled_session_sd(rule.session_sd_percent, seen, approved.sessions - 1)


def no_baseline(compared: Compared, where: str) -> GateResult:
    """Return the failure of a case that must have a baseline and has none."""
    message = f"no approved {compared.value} in {where}; --update-baseline, then commit it"
    return GateResult(BASELINE, None, None, Outcome.FAIL, message)


def _of_recording(name: str, old: HeartRate, new: HeartRate) -> list[str]:
    """Say what of a recording is not as it was, apart from its estimate."""
    return [
        f"{name}: {field}: {getattr(old, field)} -> {getattr(new, field)}"
        for field in ("subject", "video", "reference_bpm")
        if getattr(old, field) != getattr(new, field)
    ]


def _incomparable(
    differences: Iterable[Changed], compared: Compared, others: list[str]
) -> GateResult | None:
    spoiling = [str(one) for one in differences if one.spoils(compared)]
    lines = spoiling + others[:NAMED]
    if not lines:
        return None
    more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
    message = (
        f"{compared.value} cannot be compared, the baseline was made with something else: "
        f"{'; '.join(lines)}{more}; undo it, or {APPROVE}"
    )
    return GateResult(COMPARABLE, None, None, Outcome.FAIL, message)


def _complete(
    old: Mapping[str, object], new: Mapping[str, object], asked: Asked
) -> list[GateResult]:
    missing = asked.missing(old, new)
    added = [name for name in new if name not in old]
    parts = []
    if missing:
        parts.append(f"missing or renamed since the baseline: {_few(missing)}")
    if added:
        parts.append(f"not in the baseline: {_few(added)} ({APPROVE})")
    if not parts:
        return []
    message = f"recordings {'; '.join(parts)}"
    return [GateResult(COMPLETE, float(len(missing) + len(added)), 0.0, Outcome.FAIL, message)]


def _stages(approved: TimePart, now: TimePart) -> list[GateResult]:
    gates = []
    for stage in (*approved.stages, *now.stages):
        if (stage in approved.stages) == (stage in now.stages):
            continue
        gone = stage in approved.stages
        said = "missing or renamed since the baseline" if gone else f"not in it; {APPROVE}"
        message = f"stage {stage}: {said}"
        gate = f"{COMPLETE}.{stage}"
        gates.append(GateResult(gate, None, None, Outcome.FAIL, message, stage=stage))
    return gates


def _few(names: list[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
