"""Why a gate failed, as plain text for a test's failure: the figures, and where to look first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.plain_text import printable
from harness.verdicts.accuracy import AccuracyReport, score
from harness.verdicts.counts import CountReport
from harness.verdicts.fidelity import FidelityReport
from harness.verdicts.gates import count_gate, stage_gate
from harness.verdicts.latency import STAGES, LatencyReport, StageFigures
from harness.verdicts.outcome import GRAVEST_FIRST, LOADING, MAKING, GateResult, Outcome
from harness.verdicts.realtime import Minute, RealTimeReport, SustainedRun
from harness.verdicts.thresholds import Case

# More rows than these push the verdict off the screen.
WORST_SHOWN = 5
FAILURES_SHOWN = 10
LARGEST_NAMED = 3
# Mean correlations on rendered clips with the published weights: 0.999 converted well, 0.96 to 0.99
# when calibrated with other inputs, 0.49 with the attention mask divided in 8 bits.
CALIBRATION_DAMAGE_BELOW, MASK_DAMAGE_BELOW = 0.995, 0.8

WORDS = {
    Outcome.PASS: "pass",
    Outcome.FAIL: "FAIL",
    Outcome.INCONCLUSIVE: "inconclusive",
    Outcome.INVALID: "invalid",
}

Row = Sequence[str]


def explain_accuracy(
    case: Case,
    report: AccuracyReport,
    results: Sequence[GateResult],
    failures: Mapping[str, str] | None = None,
) -> str:
    """Return the gates of a case, its worst recordings and its failed replays, as lines."""
    lines = _gates(case, "accuracy", results)
    worst = report.worst(WORST_SHOWN)
    if worst:
        rows: list[Row] = [("recording", "group", "truth", "estimate", "error", "SNR dB")]
        rows += [
            (
                one.recording,
                one.group.value,
                f"{one.reference_bpm:.1f}",
                f"{one.estimate_bpm:.1f}",
                f"{one.error_bpm:+.1f}",
                f"{one.snr_db:.1f}",
            )
            for one in worst
        ]
        lines += ["", f"Worst of {report.overall.n} recordings (bpm):", *aligned(rows, names=2)]
    if len(report.scored) > 1:
        without = score([one for one in report.scored if one is not worst[0]]).overall
        lines.append(
            f"Mean absolute error {report.overall.mae_bpm:.2f} bpm; "
            f"{without.mae_bpm:.2f} bpm without {printable(worst[0].recording)}."
        )
    return "\n".join(lines + _failures(failures))


def explain_latency(
    case: Case,
    report: LatencyReport,
    results: Sequence[GateResult],
    failures: Mapping[str, str] | None = None,
) -> str:
    """Return the gates of a case, the time of each stage and the one to look at first."""
    lines = _gates(case, "speed", results)
    if report.stages:
        limits = {one.gate: one.threshold for one in results}
        rows: list[Row] = [
            ("stage", "calls", "p50", "p90", "p99", "ms/frame", "share", "limit", "of it")
        ]
        rows += [_stage_row(one, limits.get(stage_gate(one.stage))) for one in report.stages]
        lines += [
            "",
            f"Time per call (ms) in {report.runs} runs, {report.frames} frames, "
            f"{report.processing_s:.1f} s for {report.media_s:.1f} s of video:",
            *aligned(rows, names=1),
            _look_first(report.stages, limits),
        ]
    return "\n".join(lines + _failures(failures))


def explain_realtime(
    case: Case,
    report: RealTimeReport,
    results: Sequence[GateResult],
    failures: Mapping[str, str] | None = None,
) -> str:
    """Return the gates of a case whose frames came at a pace, and what became of the frames."""
    lines = _gates(case, "real time", results)
    if report.runs:
        first = "none" if report.first_s is None else f"after {report.first_s:.1f} s"
        lines += [
            "",
            f"{report.frames} frames in {report.runs} runs: {_figure(report.dropped_percent)} % "
            f"dropped, {_figure(report.missed_percent)} % of the others late; "
            f"{_figure(report.backlog_mean)} waited on the mean, {report.backlog_max} at most.",
            f"{report.heart_rates} heart rates, the first {first}; from a frame to the heart rate "
            f"it completes {_figure(report.delay_p50_ms)} ms (50 %), "
            f"{_figure(report.delay_p99_ms)} ms (99 %).",
        ]
    return "\n".join(lines + _failures(failures))


def explain_sustained(
    case: Case,
    runs: Sequence[SustainedRun],
    results: Sequence[GateResult],
    failures: Mapping[str, str] | None = None,
) -> str:
    """Return the gates of a case that went on for minutes, and each recording's worst minutes."""
    lines = _gates(case, "real time minute by minute", results)
    for run in runs:
        worst = sorted(run.judged, key=lambda one: -(one.real_time_factor or 0.0))[:WORST_SHOWN]
        rows: list[Row] = [("minute", "RTF", "late %", "dropped %", "p99 ms", "deg. C", "MHz")]
        rows += [_minute_row(one) for one in worst]
        lines += ["", f"{printable(run.recording)}, slowest of {len(run.minutes)} minutes:"]
        lines += aligned(rows, names=1)
        if run.throttled_after_s is not None:
            what = ", ".join(run.throttled)
            lines.append(f"The board throttled after {run.throttled_after_s:.0f} s ({what}).")
    return "\n".join(lines + _failures(failures))


def _minute_row(one: Minute) -> Row:
    factor = "-" if one.real_time_factor is None else f"{one.real_time_factor:.3f}"
    figures = (one.missed_percent, one.dropped_percent, one.delay_p99_ms, one.temperature_c)
    mhz = "-" if one.mhz is None else f"{one.mhz:.0f}"
    return (str(one.number), factor, *(_figure(figure) for figure in figures), mhz)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def explain_counts(
    case: Case,
    report: CountReport,
    results: Sequence[GateResult],
    failures: Mapping[str, str] | None = None,
) -> str:
    """Return the gates of a case, the work of each stage and the three that take the most."""
    lines = _gates(case, "amount of work", results)
    if report.stages:
        limits = {one.gate: one.threshold for one in results}
        rows: list[Row] = [("stage", "calls", "p50", "M instr/frame", "share", "limit")]
        for one in report.stages:
            limit = limits.get(count_gate(one.stage))
            rows.append(
                (
                    one.stage,
                    str(one.calls),
                    "-" if one.p50_minstr is None else f"{one.p50_minstr:.3f}",
                    f"{one.minstr_per_frame:.4f}",
                    f"{one.share_percent:.0f} %",
                    "" if limit is None else f"{limit:.4f}",
                )
            )
        largest = ", ".join(one.stage for one in report.largest(LARGEST_NAMED))
        lines += [
            "",
            f"Millions of instructions in {report.runs} runs, {report.frames} frames:",
            *aligned(rows, names=1),
            f"The largest are {largest}.",
        ]
    return "\n".join(lines + _failures(failures))


def explain_quantization(
    case: Case,
    report: FidelityReport,
    results: Sequence[GateResult],
    failures: Mapping[str, str] | None = None,
) -> str:
    """Return the gates of a case, its recordings furthest from float32, and where to look first."""
    lines = _gates(case, "likeness to float32", results)
    if report.pairs:
        rows: list[Row] = [
            ("recording", "truth", "float32", "variant", "apart", "correlation", "SNR dB")
        ]
        rows += [
            (
                one.recording,
                f"{one.reference_bpm:.1f}",
                f"{one.float_bpm:.2f}",
                f"{one.variant_bpm:.2f}",
                f"{one.difference_bpm:.2f}",
                f"{one.correlation:.4f}",
                f"{one.snr_db:.1f}",
            )
            for one in sorted(report.pairs, key=lambda one: one.correlation)[:WORST_SHOWN]
        ]
        lines += ["", f"Least alike of {report.n()} recordings:", *aligned(rows, names=1)]
    correlation = report.mean_correlation
    if (first := first_stage(results)) and first.startswith(MAKING):
        lines.append(f"Look first at {first}.")
    elif correlation is not None and correlation < CALIBRATION_DAMAGE_BELOW:
        mask = (
            "the attention mask: its division by its own mean, in 8 bits, loses most of the pulse; "
            "keep sigmoid and scaling outside the integer model, as int8 does"
        )
        calibration = "the calibration: were its recordings lit, and moving, like these?"
        if correlation < MASK_DAMAGE_BELOW:
            lines.append(f"Look first at {mask}.")
        else:
            lines.append(f"Look first at {calibration} Then at {mask}.")
    return "\n".join(lines + _failures(failures))


def explain_stages(
    case: Case,
    what: str,
    results: Sequence[GateResult],
    failures: Mapping[str, str] | None = None,
) -> str:
    """Return the gates of a case that name stages, and the first of those that failed."""
    lines = _gates(case, what, results)
    if first := first_stage(results):
        lines.append(f"Look first at {first}.")
    return "\n".join(lines + _failures(failures))


def first_stage(results: Sequence[GateResult]) -> str | None:
    """The earliest stage that a failed gate names: what comes after it had wrong input.

    The model's making comes before all of them, then what is done before the first frame.
    """
    order = (MAKING, LOADING, *STAGES)
    named = [one.stage for one in results if one.outcome is Outcome.FAIL and one.stage]
    return min(named, key=lambda stage: order.index(stage.partition(":")[0]), default=None)


def _gates(case: Case, what: str, results: Sequence[GateResult]) -> list[str]:
    counts = {one: sum(each.outcome is one for each in results) for one in Outcome}
    if counts[Outcome.FAIL]:
        verdict = f"does not hold, {counts[Outcome.FAIL]} of {len(results)} gates failed"
    elif counts[Outcome.INVALID]:
        verdict = "was not measured: the board was in no state for it"
    elif counts[Outcome.INCONCLUSIVE]:
        verdict = "is not decided: there is too little data for the margins asked"
    else:
        verdict = "holds"
    lines = [f"{case}: {what} {verdict}"]
    gravest_first = sorted(results, key=lambda one: GRAVEST_FIRST.index(one.outcome))
    return lines + [f"  {WORDS[one.outcome]}  {printable(one.message)}" for one in gravest_first]


def _stage_row(stage: StageFigures, limit: float | None) -> Row:
    return (
        stage.stage,
        str(stage.calls),
        *("-" if one is None else f"{one:.2f}" for one in (stage.p50_ms, stage.p90_ms)),
        "-" if stage.p99_ms is None else f"{stage.p99_ms:.2f}",
        f"{stage.ms_per_frame:.3f}",
        f"{stage.share_percent:.0f} %",
        "" if limit is None else f"{limit:.3f}",
        "" if limit is None else f"{100 * stage.ms_per_frame / limit:.0f} %",
    )


def _look_first(stages: Sequence[StageFigures], limits: Mapping[str, float | None]) -> str:
    """Name the stage furthest over its limit, or else the one that takes the most time."""
    over = {
        one.stage: one.ms_per_frame / limit
        for one in stages
        if (limit := limits.get(stage_gate(one.stage))) and one.ms_per_frame > limit
    }
    if over:
        stage = max(over, key=lambda name: over[name])
        return f"Look first at {stage}: {over[stage]:.2f} times its limit."
    largest = max(stages, key=lambda one: one.share_percent)
    return (
        f"No stage is over a limit of its own; the largest is {largest.stage} "
        f"with {largest.share_percent:.0f} % of the time."
    )


def _failures(failures: Mapping[str, str] | None) -> list[str]:
    # One failure's reason already stands in the gate's line.
    if not failures or len(failures) == 1:
        return []
    shown = sorted(failures)[:FAILURES_SHOWN]
    lines = ["", f"Failed replays: {len(failures)}"]
    lines += [printable(f"  {name}: {' '.join(failures[name].split())}") for name in shown]
    return lines + [f"  and {len(failures) - len(shown)} more"] * (len(failures) > len(shown))


def aligned(rows: Sequence[Row], names: int) -> list[str]:
    """Lay out rows in columns; the first ``names`` are text, the others figures."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if i < names else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
