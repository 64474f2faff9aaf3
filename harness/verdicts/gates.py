"""Figures held against thresholds: one result for each gate, and none that passes unseen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from harness.verdicts.accuracy import AccuracyReport, HeartRateGroup
from harness.verdicts.counts import CountReport, per_stage, slowdown_percent
from harness.verdicts.fidelity import FidelityReport
from harness.verdicts.latency import LatencyReport
from harness.verdicts.outcome import MAKING, GateResult, Outcome
from harness.verdicts.realtime import Minute, RealTimeReport, SustainedRun
from harness.verdicts.thresholds import Case, LatencyRule, Rule, Thresholds, find_rule

# Gate names, as they stand in reports and as properties in JUnit files.
MAE = "mae_bpm"
SNR = "mean_snr_db"
RTF = "real_time_factor"
MS_PER_FRAME = "ms_per_frame"
MISSED, DROPPED, DELAY = "missed_percent", "dropped_percent", "delay_p99_ms"
DELAY_IS = "from a frame to the heart rate it completes"
NO_HEART_RATE = "no heart rate came before the last frame: recordings may be too short for one"
TOO_SHORT = "every recording is shorter than the window of a heart rate; give longer ones"
NO_SUCH_GROUP = "no recording of such a heart rate gave one"
IN_WORST_MINUTE = ".worst_minute"
MINSTR_PER_FRAME = "minstr_per_frame"
COMPARABLE = "comparable"
REPLAYED = "replayed"
COMPLETED = "completed"
SPOILT = "spoilt_percent"
MOST_SPOILT_PERCENT = 10.0
"""Of the recordings; what is left of a case with more says nothing of how it usually runs."""
RULE = "rule"
LOST = "lost_locks"
PAIRED = "paired_bpm"
MAE_CHANGE = "mae_change_bpm"
CORRELATION = "derivative_correlation"
FIDELITY_SNR = "derivative_snr_db"
SIZE = "model_bytes"
SHARED_SCALES, CALIBRATED_WITH = "shared_scales", "calibration_recordings"

# Both models are fed the same, so that what parts their pulses is in the model itself; or in how
# it was made, where its files tell.
PREDICT = "predict"
QUANTIZATION_STAGES = {
    LOST: PREDICT,
    PAIRED: PREDICT,
    CORRELATION: PREDICT,
    FIDELITY_SNR: PREDICT,
    SHARED_SCALES: f"{MAKING}: scales of the kernels",
    CALIBRATED_WITH: f"{MAKING}: calibration",
}


def group_gate(group: HeartRateGroup) -> str:
    """Return the name of the gate on one group's mean absolute error."""
    return f"{MAE}.{group.value}"


def stage_gate(stage: str) -> str:
    """Return the name of the gate on one stage's mean milliseconds a frame."""
    return f"{MS_PER_FRAME}.{stage}"


def gate_accuracy(
    thresholds: Thresholds,
    case: Case,
    report: AccuracyReport,
    failures: Mapping[str, str] | None = None,
) -> tuple[GateResult, ...]:
    """Hold the errors of a case against the rule for it.

    Args:
        thresholds: all rules.
        case: what was replayed.
        report: the recordings that gave a heart rate.
        failures: for each recording whose replay failed, the reason; one is enough to fail.

    Raises:
        UserError: two rules match and neither is more specific.
    """
    rule = find_rule(thresholds.accuracy, case)
    if rule is None:
        return (_no_rule("accuracy", case), *gate_replayed(failures))
    results = [*gate_replayed(failures)]
    if rule.max_mae_bpm is not None:
        figure, limit = report.overall.mae_bpm, rule.max_mae_bpm
        results.append(_at_most(MAE, "mean absolute error", figure, limit, unit="bpm", rule=rule))
    for group in HeartRateGroup:
        if group.value in rule.max_group_mae_bpm:
            figure, limit = report.groups[group].mae_bpm, rule.max_group_mae_bpm[group.value]
            what = f"mean absolute error, {group.value} group"
            held = _at_most(group_gate(group), what, figure, limit, unit="bpm", rule=rule)
            results.append(replace(held, remark=NO_SUCH_GROUP) if figure is None else held)
    if rule.min_mean_snr_db is not None:
        figure, limit = report.overall.mean_snr_db, rule.min_mean_snr_db
        what = "mean signal-to-noise ratio"
        results.append(_at_least(SNR, what, figure, limit, unit="dB", rule=rule))
    return tuple(results)


def gate_latency(
    thresholds: Thresholds,
    case: Case,
    report: LatencyReport,
    failures: Mapping[str, str] | None = None,
) -> tuple[GateResult, ...]:
    """Hold the times of a case against the rule for it; arguments as for ``gate_accuracy``.

    Raises:
        UserError: two rules match and neither is more specific.
    """
    rule = find_rule(thresholds.latency, case)
    if rule is None or rule.baseline_minstr_per_frame:  # those are for boards without a clock
        return (_no_rule("latency", case), *gate_replayed(failures))
    results = [*gate_replayed(failures)]
    if rule.max_real_time_factor is not None:
        figure, limit = report.real_time_factor, rule.max_real_time_factor
        results.append(_at_most(RTF, "real-time factor", figure, limit, unit="", rule=rule))
    ms_per_frame = {one.stage: one.ms_per_frame for one in report.stages}
    for stage, limit in rule.max_stage_ms_per_frame.items():
        what, figure = f"{stage}, mean of a frame", ms_per_frame.get(stage)
        held = _at_most(stage_gate(stage), what, figure, limit, unit="ms", rule=rule)
        results.append(replace(held, stage=stage))
    return tuple(results)


def gate_spoilt(invalid: Mapping[str, str], timed: int) -> tuple[GateResult, ...]:
    """Say how much of a case has no valid times; nothing where all has.

    Args:
        invalid: for each recording whose times are spoilt, the reason.
        timed: how many recordings have valid times.
    """
    if not invalid:
        return ()
    count = len(invalid) + timed
    percent = 100.0 * len(invalid) / count
    outcome = Outcome.INVALID if percent > MOST_SPOILT_PERCENT else Outcome.PASS
    reasons = "; ".join(sorted(set(invalid.values())))
    message = f"times of {len(invalid)} of {count} recordings are invalid: {reasons}"
    return (GateResult(SPOILT, percent, MOST_SPOILT_PERCENT, outcome, message),)


def gate_ended(reason: str) -> GateResult:
    """Return the failure of a case that did not come to its end."""
    message = f"it did not come to its end: {reason}"
    return GateResult(COMPLETED, None, None, Outcome.FAIL, message)


def gate_realtime(
    thresholds: Thresholds,
    case: Case,
    report: RealTimeReport,
    failures: Mapping[str, str] | None = None,
    *,
    too_short: bool = False,
) -> tuple[GateResult, ...]:
    """Hold paced replays of a case against the rule for it; arguments as for ``gate_accuracy``.

    ``too_short`` says that no recording is as long as a heart rate needs.

    Raises:
        UserError: two rules match and neither is more specific.
    """
    rule = find_rule(thresholds.latency, case)
    if rule is None or not _asks_of_pace(rule):
        return (_no_bound(rule, case), *gate_replayed(failures))
    results = [*gate_replayed(failures)]
    for gate, what, figure, limit, unit in (
        (MISSED, "frames that were late", report.missed_percent, rule.max_missed_percent, "%"),
        (DROPPED, "frames dropped", report.dropped_percent, rule.max_dropped_percent, "%"),
        (DELAY, f"{DELAY_IS}, 99 %", report.delay_p99_ms, rule.max_delay_p99_ms, "ms"),
    ):
        if limit is not None:
            held = _at_most(gate, what, figure, limit, unit=unit, rule=rule)
            results.append(_why_no_delay(held, too_short))
    return tuple(results)


def gate_sustained(
    thresholds: Thresholds,
    case: Case,
    runs: Sequence[SustainedRun],
    failures: Mapping[str, str] | None = None,
) -> tuple[GateResult, ...]:
    """Hold every minute of a case's replays against the rule for it: the worst one counts.

    Arguments as for ``gate_accuracy``.

    Raises:
        UserError: two rules match and neither is more specific.
    """
    rule = find_rule(thresholds.latency, case)
    paced = any(one.dropped is not None for run in runs for one in run.minutes)
    asks = rule is not None and rule.max_real_time_factor is not None
    if rule is None or not (asks or (paced and _asks_of_pace(rule))):
        return (_no_bound(rule, case), *gate_replayed(failures))
    results = [*gate_replayed(failures)]
    bounds: list[tuple[str, str, Callable[[Minute], float | None], float | None, str]] = [
        (RTF, "real-time factor", lambda one: one.real_time_factor, rule.max_real_time_factor, "")
    ]
    if paced:
        bounds += [
            (MISSED, "frames late", lambda one: one.missed_percent, rule.max_missed_percent, "%"),
            (DROPPED, "frames dropped", lambda o: o.dropped_percent, rule.max_dropped_percent, "%"),
            (DELAY, f"{DELAY_IS}, 99 %", lambda o: o.delay_p99_ms, rule.max_delay_p99_ms, "ms"),
        ]
    minutes = [one for run in runs for one in run.judged]
    for gate, what, figure_of, limit, unit in bounds:
        if limit is None:
            continue
        known = [(figure_of(one), one) for one in minutes]
        # A minute without a figure is worse than any: no heart rate came in it.
        figure, worst = max(known, key=lambda pair: _unknown_last(pair[0]), default=(None, None))
        name, named = gate + IN_WORST_MINUTE, f"{what}, minute {worst.number if worst else '?'}"
        held = _at_most(name, named, figure, limit, unit=unit, rule=rule)
        results.append(_why_no_delay(held))
    return tuple(results)


def _unknown_last(figure: float | None) -> float:
    return float("inf") if figure is None else figure


def _why_no_delay(held: GateResult, too_short: bool = False) -> GateResult:
    """Say what it means that there is no delay to be measured."""
    if held.figure is not None or not held.gate.startswith(DELAY):
        return held
    if too_short:
        said = f"{held.message}: {TOO_SHORT}"
        return replace(held, outcome=Outcome.INCONCLUSIVE, message=said, remark=TOO_SHORT)
    return replace(held, remark=NO_HEART_RATE)


def _asks_of_pace(rule: LatencyRule) -> bool:
    bounds = (rule.max_missed_percent, rule.max_dropped_percent, rule.max_delay_p99_ms)
    return any(one is not None for one in bounds)


def _no_bound(rule: LatencyRule | None, case: Case) -> GateResult:
    if rule is None:
        return _no_rule("latency", case)
    message = (
        f"the latency rule for {rule} says nothing of real time; set max_missed_percent, "
        f"max_dropped_percent or max_delay_p99_ms in it, or add a rule for {case}"
    )
    return GateResult(RULE, None, None, Outcome.FAIL, message)


def count_gate(stage: str) -> str:
    """Return the name of the gate on one stage's millions of instructions a frame, or ``all``."""
    return f"{MINSTR_PER_FRAME}.{stage}"


def gate_counts(
    thresholds: Thresholds,
    case: Case,
    report: CountReport,
    failures: Mapping[str, str] | None = None,
    measured_with: Mapping[str, str] | None = None,
) -> tuple[GateResult, ...]:
    """Hold the instructions of a case against reviewed ones; arguments as for ``gate_accuracy``.

    ``measured_with`` names this case's detector, model and recordings: a baseline of others is no
    measure.

    Raises:
        UserError: two rules match and neither is more specific.
    """
    rule = find_rule(thresholds.latency, case)
    if rule is None or not rule.baseline_minstr_per_frame:
        message = (
            f"no latency rule with baseline_minstr_per_frame matches {case}, whose board counts "
            "instructions; add one with the figures of this run, once reviewed"
        )
        return (GateResult(RULE, None, None, Outcome.FAIL, message), *gate_replayed(failures))
    results = [*gate_replayed(failures)]
    for name, wanted in rule.measured_with.items():
        found = (measured_with or {}).get(name)
        if found != wanted:
            message = (
                f"the baseline holds for the {name} {wanted}, this run used {found}; use that, or "
                f"review a baseline for this one (rule for {rule})"
            )
            return (*results, GateResult(COMPARABLE, None, None, Outcome.FAIL, message))
    figures = per_stage(report)
    for stage, baseline in rule.baseline_minstr_per_frame.items():
        figure, limit = figures.get(stage), baseline * (1 + rule.max_slowdown_percent / 100)
        what = f"{stage}, mean of a frame"
        if figure is not None:
            what += f" ({slowdown_percent(figure, baseline):+.2f} % of {baseline:g})"
        held = _at_most(count_gate(stage), what, figure, limit, unit="M instr", rule=rule)
        results.append(held if stage == "all" else replace(held, stage=stage))
    return tuple(results)


def gate_quantization(
    thresholds: Thresholds,
    case: Case,
    report: FidelityReport,
    failures: Mapping[str, str] | None = None,
) -> tuple[GateResult, ...]:
    """Hold a form of the model against the float one; arguments as for ``gate_accuracy``.

    Raises:
        UserError: two rules match and neither is more specific.
    """
    rule = find_rule(thresholds.quantization, case)
    if rule is None:
        return (_no_rule("quantization", case), *gate_replayed(failures))
    results = [*gate_replayed(failures)]

    def most(gate: str, what: str, figure: float | None, limit: float | None, unit: str) -> None:
        if limit is not None:
            results.append(_at_most(gate, what, figure, limit, unit=unit, rule=rule))

    def least(gate: str, what: str, figure: float | None, limit: float | None, unit: str) -> None:
        if limit is not None:
            results.append(_at_least(gate, what, figure, limit, unit=unit, rule=rule))

    most(LOST, "recordings whose pulse was lost", len(report.lost), rule.max_lost_locks, "")
    figure = report.paired_bpm
    most(PAIRED, "heart rate, mean difference from float32", figure, rule.max_paired_bpm, "bpm")
    for group in (None, *(one for one in HeartRateGroup if report.n(one))):
        name = f"{group.value} group" if group else "all"
        what = f"mean absolute error beyond float32's, {name} (n={report.n(group)})"
        gate = f"{MAE_CHANGE}.{group.value}" if group else MAE_CHANGE
        most(gate, what, report.mae_change_bpm(group), rule.max_mae_change_bpm, "bpm")
    what = "pulse derivative, correlation with float32"
    least(CORRELATION, what, report.mean_correlation, rule.min_correlation, "")
    what = "pulse derivative, signal over difference from float32"
    least(FIDELITY_SNR, what, report.mean_snr_db, rule.min_snr_db, "dB")
    most(SIZE, "size of the model", report.size_bytes, rule.max_bytes, "bytes")
    making = report.making
    if making is not None:
        what = "convolutions with one scale for all kernels"
        most(SHARED_SCALES, what, making.shared_scales, rule.max_shared_scales, "")
    if making is not None and making.calibration_recordings is not None:
        what, figure = "recordings it was calibrated with", making.calibration_recordings
        least(CALIBRATED_WITH, what, figure, rule.min_calibration_recordings, "")
    return tuple(replace(one, stage=QUANTIZATION_STAGES.get(one.gate)) for one in results)


def _no_rule(section: str, case: Case) -> GateResult:
    message = f"no {section} rule in the thresholds matches {case}; add one"
    return GateResult(RULE, None, None, Outcome.FAIL, message)


def gate_replayed(failures: Mapping[str, str] | None) -> list[GateResult]:
    """Return nothing where every replay succeeded: that is no figure worth a line."""
    if not failures:
        return []
    first = min(failures)
    reason = " ".join(failures[first].split())
    others = f"; and {len(failures) - 1} more" if len(failures) > 1 else ""
    message = f"failed replays: {first}: {reason}{others}"
    return [GateResult(REPLAYED, float(len(failures)), 0.0, Outcome.FAIL, message)]


def _at_most(
    gate: str, what: str, figure: float | None, limit: float, *, unit: str, rule: Rule
) -> GateResult:
    # Written so that a figure that is not a number fails.
    passed = figure is not None and figure <= limit
    message = _message(what, figure, "<=", limit, unit=unit, rule=rule)
    return GateResult(gate, figure, limit, Outcome.of(passed), message)


def _at_least(
    gate: str, what: str, figure: float | None, limit: float, *, unit: str, rule: Rule
) -> GateResult:
    passed = figure is not None and figure >= limit
    message = _message(what, figure, ">=", limit, unit=unit, rule=rule)
    return GateResult(gate, figure, limit, Outcome.of(passed), message)


def _message(
    what: str, figure: float | None, relation: str, limit: float, *, unit: str, rule: Rule
) -> str:
    if figure is None:
        found = "nothing was measured"
    else:
        # A figure just past its limit must not read as if it were equal to it.
        alike = figure != limit and f"{figure:.4g}" == f"{limit:.4g}"
        found = f"{figure if alike else format(figure, '.4g')} {unit}".rstrip()
    wanted = f"{relation} {limit:.4g} {unit}".rstrip()
    return f"{what}: {found}, must be {wanted} (rule for {rule})"
