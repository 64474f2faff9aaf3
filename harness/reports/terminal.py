"""The summary after a run: accuracy, time, forms of the model, and where it all came from."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from harness.plain_text import printable
from harness.reports.baseline_table import Against, baseline_notes, baseline_table
from harness.reports.counting import Counted, count_table, estimates
from harness.reports.intervals import INTERVALS_NOTE, written
from harness.reports.layout import (
    SYNTHETIC,
    Row,
    add_case,
    dataset_name,
    empty_table,
    milliseconds,
    number,
    verdicts_of,
)
from harness.reports.realtime import RealTime, realtime_notes, realtime_tables
from harness.reports.stages import stage_table
from harness.reports.variants import FLOAT, Fidelity, Variant, fidelity_table, overview_tables
from harness.verdicts.accuracy import AccuracyFigures, AccuracyReport, HeartRateGroup
from harness.verdicts.against_baseline import Comparison
from harness.verdicts.counts import CountReport
from harness.verdicts.gates import (
    MAE,
    REPLAYED,
    RULE,
    SNR,
    group_gate,
    stage_gate,
)
from harness.verdicts.latency import LatencyReport, StageFigures, ThreeWaySplit
from harness.verdicts.outcome import GateResult
from harness.verdicts.thresholds import Case

ABSENT_SHOWN = 8  # recordings without a video, by name


@dataclass(frozen=True)
class CaseSummary:
    """All that the summary says about one case.

    A board that counts instructions has ``counts`` instead of ``latency``; for real boards of known
    ``instructions_per_ms`` they give an estimate. ``labels`` names the convention of the reference
    heart rates, ``heart_rate`` the method and band of the estimates. A report is None where that
    benchmark did not run; ``failures`` maps recordings whose replay failed to the reason,
    ``invalid`` those whose times are not counted; ``timed`` says whether times were asked for.
    ``absent`` are recordings without a video here. The two changes are those since the baseline.
    """

    case: Case
    synthetic: bool
    detector: str
    model: str
    labels: str
    heart_rate: str
    accuracy: AccuracyReport | None = None
    accuracy_gates: tuple[GateResult, ...] = ()
    latency: LatencyReport | None = None
    latency_gates: tuple[GateResult, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    fidelity: Fidelity | None = None
    variant: Variant | None = None
    absent: Sequence[str] = ()
    invalid: Mapping[str, str] = field(default_factory=dict)
    timed: bool = False
    counts: CountReport | None = None
    realtime: RealTime | None = None
    instructions_per_ms: Mapping[str, float] = field(default_factory=dict)
    error_change: Comparison | None = None
    time_change: Comparison | None = None
    stage_gates: tuple[GateResult, ...] = ()


def summary(
    cases: Sequence[CaseSummary],
    records: str,
    deployed_bytes: Mapping[str, int],
    unfinished: Sequence[RealTime] = (),
) -> RenderableType:
    """Put together the tables and the lines below them.

    Args:
        cases: what was replayed; a table that no case has figures for is left out.
        records: where the records lie.
        deployed_bytes: for each board, what was sent to it.
        unfinished: what came back of replays that were to go on for longer.
    """
    parts: list[RenderableType] = []
    if any(one.accuracy for one in cases):
        parts += [accuracy_table(cases), ""]
    if any(one.latency for one in cases):
        parts += [time_table(cases), ""]
    if any(one.counts for one in cases):
        parts += [count_table([_counted(one) for one in cases]), ""]
    realtime = [*(one.realtime for one in cases if one.realtime), *unfinished]
    for table in realtime_tables(realtime):
        parts += [table, ""]
    held = [one.fidelity for one in cases if one.fidelity and one.case.variant != FLOAT]
    if held:
        parts += [fidelity_table(held), ""]
    if any(one.gates for one in map(_against, cases)):
        parts += [baseline_table(map(_against, cases)), ""]
    if any(one.stage_gates for one in cases):
        parts += [stage_table([(_names(one), one.stage_gates) for one in cases]), ""]
    if _several_variants(cases):
        for table in overview_tables([one.variant for one in cases if one.variant]):
            parts += [table, ""]
    return Group(*parts, _notes(cases, records, deployed_bytes, realtime))


def accuracy_table(cases: Iterable[CaseSummary]) -> Table:
    """Return a table with four rows for each case: all recordings, and the three groups."""
    cases = list(cases)
    sure = any(_has_intervals(one) for one in cases)
    figures = ("n", "MAE", *["95 % CI"] * sure, "RMSE", "r", "SNR dB")
    table = empty_table("Accuracy: heart rate in bpm, Pearson r", ("group", *figures))
    for one in cases:
        if one.accuracy is None:
            continue
        groups = one.accuracy.groups
        rows = [_accuracy_row("all", one.accuracy.overall)]
        rows += [_accuracy_row(group.value, groups[group]) for group in HeartRateGroup]
        if sure:
            found = [one.accuracy.intervals[group] for group in (None, *HeartRateGroup)]
            ends = [written(each.mae_bpm) for each in found]
            rows = [(*row[:3], end, *row[3:]) for row, end in zip(rows, ends, strict=True)]
        verdicts = [verdicts_of(one.accuracy_gates, RULE, REPLAYED, MAE, SNR)]
        verdicts += [verdicts_of(one.accuracy_gates, group_gate(group)) for group in HeartRateGroup]
        add_case(table, _names(one), rows, verdicts)
    return table


def time_table(cases: Iterable[CaseSummary]) -> Table:
    """Return a table with a row for each stage of each case, their sum and real-time factor."""
    title = "Time: ms per call, mean ms per frame; RTF: time taken / time filmed"
    table = empty_table(title, ("stage", "calls", "p50", "p90", "p99", "/frame", "%"))
    for one in cases:
        if one.latency is None:
            continue
        stages, factor = one.latency.stages, one.latency.real_time_factor
        sum_ms = sum(stage.ms_per_frame for stage in stages) if stages else None
        rows = [_stage_row(stage) for stage in stages]
        rows.append(("all", "", "", "", "", milliseconds(sum_ms, digits_below_1=3), ""))
        rows.append(("RTF", "", "", "", "", number(factor, 3), ""))
        verdicts = [verdicts_of(one.latency_gates, stage_gate(stage.stage)) for stage in stages]
        # Whatever has no row of its own, a stage without times among it, stands in the last.
        shown = {stage_gate(stage.stage) for stage in stages}
        others = [gate.gate for gate in one.latency_gates if gate.gate not in shown]
        verdicts += [[], verdicts_of(one.latency_gates, *others)]
        add_case(table, _names(one), rows, verdicts)
    return table


def render(renderable: RenderableType, width: int, encoding: str = "utf-8") -> str:
    """Return plain text without colour, no line wider than ``width`` or ending in spaces.

    Where ``encoding`` is no UTF, lines are drawn in ASCII and what it lacks becomes "?".
    """
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace", newline="\n")
    console = Console(file=file, width=width, color_system=None, legacy_windows=False)
    console.print(renderable)
    file.seek(0)
    return "\n".join(line.rstrip() for line in file.read().splitlines())


def _several_variants(cases: Sequence[CaseSummary]) -> bool:
    return len({one.case.variant for one in cases if one.variant}) > 1


def _names(one: CaseSummary) -> tuple[str, str, str]:
    return one.case.board, dataset_name(one.case, one.synthetic), one.case.variant


def _has_intervals(one: CaseSummary) -> bool:
    if one.accuracy is None:
        return False
    return any(each.mae_bpm is not None for each in one.accuracy.intervals.values())


def _accuracy_row(name: str, figures: AccuracyFigures) -> Row:
    return (
        name,
        str(figures.n),
        number(figures.mae_bpm, 2),
        number(figures.rmse_bpm, 2),
        number(figures.pearson_r, 3),
        number(figures.mean_snr_db, 1),
    )


def _stage_row(figures: StageFigures) -> Row:
    return (
        figures.stage,
        str(figures.calls),
        milliseconds(figures.p50_ms),
        milliseconds(figures.p90_ms),
        milliseconds(figures.p99_ms),
        milliseconds(figures.ms_per_frame, digits_below_1=3),
        f"{figures.share_percent:.1f}",
    )


def _notes(
    cases: Sequence[CaseSummary],
    records: str,
    deployed_bytes: Mapping[str, int],
    realtime: Sequence[RealTime],
) -> Table:
    """Return what the figures hold for, and where they come from: a name and its text a line."""
    notes = Table.grid(padding=(0, 2, 0, 0))
    notes.add_column(style="bold", no_wrap=True)
    notes.add_column(overflow="fold")
    for trouble in _troubles(cases):
        notes.add_row(*trouble)
    for name, line in realtime_notes(realtime):
        notes.add_row(Text(name, style="bold yellow"), Text(line))
    splits = [
        f"{one.case}: {_split(one.latency.split)}; RTF of {_runs(one.latency)}"
        for one in cases
        if one.latency is not None and one.latency.split is not None
    ]
    if splits:
        notes.add_row("split", "detection + pre-processing / prediction / post-processing, in %")
    for split in splits:
        notes.add_row("", Text(split))
    if _several_variants(cases):
        notes.add_row("x", "float32's time in predict over the variant's, best replay of each")
    for line in baseline_notes(map(_against, cases)):
        notes.add_row("baseline", Text(printable(line)))
    for line in estimates([_counted(one) for one in cases]):
        notes.add_row("estimate", Text(line))
    kinds = {
        "detector": _by_name((one.case.board, one.detector) for one in cases),
        "model": _by_name((one.case.variant, one.model) for one in cases),
        "heart rate": _by_name((one.case.dataset, one.heart_rate) for one in cases),
        "labels": _by_name((one.case.dataset, one.labels) for one in cases),
        "deployed": ", ".join(f"{board} {decimal(n)}" for board, n in deployed_bytes.items()),
        "records": records,
    }
    if any(_has_intervals(one) for one in cases):
        kinds["95 % CI"] = f"of the MAE: {INTERVALS_NOTE}"
    for name, text in kinds.items():
        if text:
            notes.add_row(name, Text(text))
    if any(one.synthetic for one in cases) or any(one.synthetic for one in realtime):
        notes.add_row(SYNTHETIC, "rendered clips with a known pulse; no person was measured")
    return notes


def _counted(one: CaseSummary) -> Counted:
    return Counted(_names(one), one.case, one.counts, one.latency_gates, one.instructions_per_ms)


def _against(one: CaseSummary) -> Against:
    found = (one.error_change, one.time_change)
    return Against(_names(one), tuple(each for each in found if each is not None))


def _troubles(cases: Sequence[CaseSummary]) -> Iterator[tuple[Text, Text]]:
    """What failed, what was not counted, and what is not there."""
    for one in cases:
        for recording, reason in sorted(one.failures.items()):
            line = f"{one.case}, {recording}: {' '.join(reason.split())}"
            yield Text("failed", style="bold red"), Text(printable(line))
        if one.timed:
            for recording, reason in sorted(one.invalid.items()):
                line = f"{one.case}, {recording}: times not counted: {reason}"
                yield Text("invalid", style="bold yellow"), Text(printable(line))
    for name, absent in {one.case.dataset: one.absent for one in cases if one.absent}.items():
        few = ", ".join(absent[:ABSENT_SHOWN]) + (", ..." if len(absent) > ABSENT_SHOWN else "")
        line = f"{name}: no video of {len(absent)} recordings: {few}"
        yield Text("absent"), Text(printable(line))


def _split(split: ThreeWaySplit) -> str:
    """Write the paper's three parts of the time, which leave out decoding."""
    parts = (
        split.detection_and_preprocessing_percent,
        split.prediction_percent,
        split.postprocessing_percent,
    )
    return " / ".join(f"{part:.1f}" for part in parts)


def _runs(report: LatencyReport) -> str:
    factors = report.run_real_time_factors
    if len(factors) == 1:
        return f"1 run {factors[0]:.3f}"
    return f"{len(factors)} runs {min(factors):.3f} to {max(factors):.3f}"


def _by_name(pairs: Iterable[tuple[str, str]]) -> str:
    """Name each value with what it is for, or alone where all are the same."""
    distinct = sorted(set(pairs))
    values = {value for _, value in distinct}
    if len(values) == 1:
        return values.pop()
    return "; ".join(f"{name}: {value}" for name, value in distinct)
