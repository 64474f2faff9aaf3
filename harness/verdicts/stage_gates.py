"""Two replays of the same recordings held against rules: each stage, memory, and determinism."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.verdicts.hops import EXACT, Difference, Tolerances
from harness.verdicts.latency import STAGES
from harness.verdicts.outcome import LOADING, GateResult, Outcome
from harness.verdicts.thresholds import Case, MemoryRule, Rule, StageRule, Thresholds, find_rule

REFERENCE, REPEAT = "reference", "repeat"
PEAK, PEAK_RATIO = "peak_memory_bytes", "peak_memory_ratio"


@dataclass(frozen=True)
class Memory:
    """One replay's peak memory; ``grown_bytes`` by stage, and by what was loaded before.

    Empty for a record from before that was kept.
    """

    recording: str
    peak_bytes: int
    grown_bytes: Mapping[str, int]


def tolerances_of(rule: StageRule | None, usual: Tolerances) -> Tolerances:
    """The usual tolerances, with those that a rule sets."""
    if rule is None:
        return usual
    given = rule.model_dump(exclude=set(Rule.model_fields), exclude_none=True)
    return replace(usual, **{name.split("_", 1)[1]: value for name, value in given.items()})


def gate_reference(
    differences: Sequence[Difference], missing: Sequence[str] = ()
) -> tuple[GateResult, ...]:
    """One result for each figure of each stage against a reference run.

    ``missing`` are recordings that the reference has not; a figure that is not known is
    inconclusive.
    """
    return _gates(REFERENCE, differences, missing)


def gate_repeat(differences: Sequence[Difference]) -> tuple[GateResult, ...]:
    """The same for a recording that was replayed twice: a pipeline gives one answer."""
    return _gates(REPEAT, differences)


def reference_tolerances(thresholds: Thresholds, case: Case, usual: Tolerances) -> Tolerances:
    """What replays may differ by from those of a reference run. Raises UserError."""
    return tolerances_of(find_rule(thresholds.reference, case), usual)


def repeat_tolerances(thresholds: Thresholds, case: Case) -> Tolerances:
    """What two replays of a recording on one board may differ by. Raises UserError."""
    return tolerances_of(find_rule(thresholds.repeat, case), EXACT)


def gate_memory(
    thresholds: Thresholds,
    case: Case,
    now: Sequence[Memory],
    reference: Sequence[Memory] | None = None,
) -> tuple[GateResult, ...]:
    """Hold the peak memory of a case against the rule for it; no rule asks nothing.

    ``reference`` are the replays of a reference run; without them the ratio is not judged.

    Raises:
        UserError: two rules match and neither is more specific.
    """
    rule = find_rule(thresholds.memory, case)
    if rule is None:
        return ()
    results = []
    if rule.max_peak_memory_bytes is not None:
        results.append(_peak(rule, now, rule.max_peak_memory_bytes))
    if rule.max_peak_memory_ratio is not None and reference is not None:
        results.append(_ratio(rule, now, reference, rule.max_peak_memory_ratio))
    return tuple(results)


def _gates(
    against: str, differences: Sequence[Difference], missing: Sequence[str] = ()
) -> tuple[GateResult, ...]:
    results = []
    if missing:
        said = f"not in the {against} run: {', '.join(missing)}; replay it with these"
        results.append(
            GateResult(f"{against}.replayed", float(len(missing)), 0.0, Outcome.FAIL, said)
        )
    if not differences:
        said = f"no recording is both here and in the {against} run: nothing was compared"
        return (*results, GateResult(f"{against}.replayed", None, None, Outcome.FAIL, said))
    return (*results, *(_gate(against, one) for one in differences))


def _gate(against: str, one: Difference) -> GateResult:
    outcome = Outcome.INCONCLUSIVE if one.within is None else Outcome.of(one.within)
    return GateResult(
        gate=f"{against}.{one.name}",
        figure=one.value,
        threshold=one.limit,
        outcome=outcome,
        message=f"{one.stage}: {one}",
        stage=one.stage,
    )


def _peak(rule: MemoryRule, now: Sequence[Memory], limit: int) -> GateResult:
    if not now:
        return _unmeasured(PEAK, limit, rule)
    worst = max(now, key=lambda one: one.peak_bytes)
    stage = max(worst.grown_bytes, key=lambda name: worst.grown_bytes[name], default=None)
    said = (
        f"peak memory: {worst.peak_bytes:,} bytes ({worst.recording}), must be <= {limit:,} "
        f"(rule for {rule})"
    )
    passed = worst.peak_bytes <= limit
    return GateResult(PEAK, worst.peak_bytes, limit, Outcome.of(passed), said, stage=stage)


def _ratio(
    rule: MemoryRule, now: Sequence[Memory], reference: Sequence[Memory], limit: float
) -> GateResult:
    before = {one.recording: one for one in reference}
    both = [(before[one.recording], one) for one in now if one.recording in before]
    if not both:
        return _unmeasured(PEAK_RATIO, limit, rule)
    old, new = max(both, key=lambda pair: pair[1].peak_bytes / pair[0].peak_bytes)
    ratio = new.peak_bytes / old.peak_bytes
    stage, added = grown_most(old, new)
    where = "" if stage is None else f", most of it in {stage} ({added / 1e6:+.0f} MB)"
    said = (
        f"peak memory: {ratio:.3g} times the reference's {old.peak_bytes / 1e6:.0f} MB"
        f"{where if ratio > limit else ''}, must be <= {limit:g} ({new.recording}; rule for {rule})"
    )
    return GateResult(
        PEAK_RATIO,
        ratio,
        limit,
        Outcome.of(ratio <= limit),
        said,
        baseline=float(old.peak_bytes),
        stage=stage,
    )


def grown_most(before: Memory, after: Memory) -> tuple[str | None, int]:
    """The stage (or loading) whose part of the peak grew most, and by how many bytes."""
    added = {
        name: after.grown_bytes[name] - before.grown_bytes[name]
        for name in (LOADING, *STAGES)
        if name in after.grown_bytes and name in before.grown_bytes
    }
    if not added:
        return None, 0
    stage = max(added, key=lambda name: added[name])
    return stage, added[stage]


def _unmeasured(gate: str, limit: float, rule: MemoryRule) -> GateResult:
    said = f"peak memory: nothing was measured (rule for {rule})"
    return GateResult(gate, None, limit, Outcome.FAIL, said)
