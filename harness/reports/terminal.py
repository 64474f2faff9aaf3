"""The summary after a run: one table for accuracy, one for time, and where it all came from."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from harness.verdicts.accuracy import AccuracyFigures, AccuracyReport, HeartRateGroup
from harness.verdicts.counts import CountReport, StageCount
from harness.verdicts.gates import (
    COMPARABLE,
    MAE,
    MS_PER_FRAME,
    REPLAYED,
    RULE,
    SNR,
    GateResult,
    count_gate,
    group_gate,
    stage_gate,
)
from harness.verdicts.latency import LatencyReport, StageFigures, ThreeWaySplit
from harness.verdicts.thresholds import Case

SYNTHETIC = "synthetic"
NOTHING = "-"

Row = tuple[str, ...]


@dataclass(frozen=True)
class CaseSummary:
    """All that the summary says about one case.

    A board that counts instructions has ``counts`` instead of ``latency``; for real boards of known
    ``instructions_per_ms`` they give an estimate. ``labels`` names the convention of the reference
    heart rates, ``heart_rate`` the method and band of the estimates. A report is None where that
    benchmark did not run; ``failures`` maps recordings whose replay failed to the reason.
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
    counts: CountReport | None = None
    instructions_per_ms: Mapping[str, float] = field(default_factory=dict)


def summary(
    cases: Sequence[CaseSummary], records: str, deployed_bytes: Mapping[str, int]
) -> RenderableType:
    """Put together both tables and the lines below them.

    Args:
        cases: what was replayed; a table that no case has figures for is left out.
        records: where the records lie.
        deployed_bytes: for each board, what was sent to it.
    """
    parts: list[RenderableType] = []
    if any(one.accuracy for one in cases):
        parts += [accuracy_table(cases), ""]
    if any(one.latency for one in cases):
        parts += [time_table(cases), ""]
    if any(one.counts for one in cases):
        parts += [count_table(cases), ""]
    return Group(*parts, _notes(cases, records, deployed_bytes))


def accuracy_table(cases: Iterable[CaseSummary]) -> Table:
    """Return a table with four rows for each case: all recordings, and the three groups."""
    figures = ("n", "MAE", "RMSE", "r", "SNR dB")
    table = _table("Accuracy: heart rate in bpm, Pearson r", ("group", *figures))
    for one in cases:
        if one.accuracy is None:
            continue
        groups = one.accuracy.groups
        rows = [_accuracy_row("all", one.accuracy.overall)]
        rows += [_accuracy_row(group.value, groups[group]) for group in HeartRateGroup]
        verdicts = [_verdicts(one.accuracy_gates, RULE, REPLAYED, MAE, SNR)]
        verdicts += [_verdicts(one.accuracy_gates, group_gate(group)) for group in HeartRateGroup]
        _add_case(table, one, rows, verdicts)
    return table


def time_table(cases: Iterable[CaseSummary]) -> Table:
    """Return a table with a row for each stage of each case, their sum and real-time factor."""
    title = "Time: ms per call, mean ms per frame; RTF: time taken / time filmed"
    table = _table(title, ("stage", "calls", "p50", "p90", "p99", "/frame", "%"))
    for one in cases:
        if one.latency is None:
            continue
        stages, factor = one.latency.stages, one.latency.real_time_factor
        sum_ms = sum(stage.ms_per_frame for stage in stages) if stages else None
        rows = [_stage_row(stage) for stage in stages]
        rows.append(("all", "", "", "", "", _ms(sum_ms, digits_below_1=3), ""))
        rows.append(("RTF", "", "", "", "", _number(factor, 3), ""))
        verdicts = [_verdicts(one.latency_gates, stage_gate(stage.stage)) for stage in stages]
        # Whatever has no row of its own, a stage without times among it, stands in the last.
        shown = {stage_gate(stage.stage) for stage in stages}
        others = [gate.gate for gate in one.latency_gates if gate.gate not in shown]
        verdicts += [[], _verdicts(one.latency_gates, *others)]
        _add_case(table, one, rows, verdicts)
    return table


def count_table(cases: Iterable[CaseSummary]) -> Table:
    """Return a table with a row for each stage of each case whose board counts instructions."""
    title = "Work: millions of instructions per call, mean per frame; no time"
    table = _table(title, ("stage", "calls", "p50", "p90", "p99", "/frame", "%"))
    for one in cases:
        if one.counts is None:
            continue
        stages = one.counts.stages
        rows = [_count_row(stage) for stage in stages]
        rows.append(("all", "", "", "", "", _number(one.counts.minstr_per_frame, 3), ""))
        verdicts = [_verdicts(one.latency_gates, count_gate(stage.stage)) for stage in stages]
        shown = {count_gate(stage.stage) for stage in stages}
        others = [gate.gate for gate in one.latency_gates if gate.gate not in shown]
        verdicts.append(_verdicts(one.latency_gates, *others))
        _add_case(table, one, rows, verdicts)
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


def _table(title: str, columns: Sequence[str]) -> Table:
    """Return an empty table: the case, a name, figures, and the gates."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
    )
    table.add_column("case", overflow="fold", min_width=8)
    table.add_column(columns[0], no_wrap=True)
    for column in columns[1:]:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("gate", no_wrap=True)
    return table


def _add_case(
    table: Table, one: CaseSummary, rows: Sequence[Row], verdicts: Sequence[Sequence[Text]]
) -> None:
    """Add a case's rows with their verdicts; board, dataset and variant stand beside them."""
    table.add_section()
    dataset = one.case.dataset
    if one.synthetic and SYNTHETIC not in dataset:
        dataset = f"{dataset} ({SYNTHETIC})"
    names = (one.case.board, dataset, one.case.variant)
    blank: Row = ("",) * len(rows[0])
    lines: list[tuple[Row, Text]] = []
    for row, of_row in zip(rows, verdicts, strict=True):
        lines += zip((row, *[blank] * len(of_row)), of_row or [Text()], strict=False)
    lines += [(blank, Text())] * (len(names) - len(lines))
    for i, (row, verdict) in enumerate(lines):
        table.add_row(Text(names[i] if i < len(names) else "", style="bold"), *row, verdict)


def _accuracy_row(name: str, figures: AccuracyFigures) -> Row:
    return (
        name,
        str(figures.n),
        _number(figures.mae_bpm, 2),
        _number(figures.rmse_bpm, 2),
        _number(figures.pearson_r, 3),
        _number(figures.mean_snr_db, 1),
    )


def _stage_row(figures: StageFigures) -> Row:
    return (
        figures.stage,
        str(figures.calls),
        _ms(figures.p50_ms),
        _ms(figures.p90_ms),
        _ms(figures.p99_ms),
        _ms(figures.ms_per_frame, digits_below_1=3),
        f"{figures.share_percent:.1f}",
    )


def _count_row(figures: StageCount) -> Row:
    percentiles = (figures.p50_minstr, figures.p90_minstr, figures.p99_minstr)
    return (
        figures.stage,
        str(figures.calls),
        *(_number(one, 3) for one in percentiles),
        _number(figures.minstr_per_frame, 3),
        f"{figures.share_percent:.1f}",
    )


def _number(figure: float | None, digits: int) -> str:
    return NOTHING if figure is None else f"{figure:.{digits}f}"


def _ms(figure: float | None, digits_below_1: int = 2) -> str:
    """Write a time in about three digits, so that all columns fit beside each other."""
    if figure is None or figure < 1:
        return _number(figure, digits_below_1)
    return _number(figure, 2 if figure < 10 else 1 if figure < 100 else 0)


def _verdicts(results: Iterable[GateResult], *gates: str) -> list[Text]:
    """Write the results that there are for some gates."""
    return [_verdict(one) for one in results if one.gate in gates]


def _verdict(result: GateResult) -> Text:
    if result.gate == RULE:
        bound = "no rule"
    elif result.gate == REPLAYED:
        bound = f"{result.figure:.0f} failed"
    elif result.gate == COMPARABLE:
        bound = "another baseline"
    elif result.figure is None and result.gate.startswith(MS_PER_FRAME):
        bound = f"no {result.gate.removeprefix(MS_PER_FRAME)[1:]}"
    else:
        bound = f"{'SNR >=' if result.gate == SNR else '<='} {result.threshold:g}"
    verdict = ("pass", "green") if result.passed else ("FAIL", "bold red")
    return Text.assemble(verdict, " ", bound)


def _notes(cases: Sequence[CaseSummary], records: str, deployed_bytes: Mapping[str, int]) -> Table:
    """Return what the figures hold for, and where they come from: a name and its text a line."""
    notes = Table.grid(padding=(0, 2, 0, 0))
    notes.add_column(style="bold", no_wrap=True)
    notes.add_column(overflow="fold")
    for one in cases:
        for recording, reason in sorted(one.failures.items()):
            line = f"{one.case}, {recording}: {' '.join(reason.split())}"
            notes.add_row(Text("failed", style="bold red"), Text(line))
    splits = [
        f"{one.case}: {_split(one.latency.split)}; RTF of {_runs(one.latency)}"
        for one in cases
        if one.latency is not None and one.latency.split is not None
    ]
    if splits:
        notes.add_row("split", "detection + pre-processing / prediction / post-processing, in %")
    for split in splits:
        notes.add_row("", Text(split))
    for line in _estimates(cases):
        notes.add_row("estimate", Text(line))
    kinds = {
        "detector": _by_name((one.case.board, one.detector) for one in cases),
        "model": _by_name((one.case.variant, one.model) for one in cases),
        "heart rate": _by_name((one.case.dataset, one.heart_rate) for one in cases),
        "labels": _by_name((one.case.dataset, one.labels) for one in cases),
        "deployed": ", ".join(f"{board} {decimal(n)}" for board, n in deployed_bytes.items()),
        "records": records,
    }
    for name, text in kinds.items():
        if text:
            notes.add_row(name, Text(text))
    if any(one.synthetic for one in cases):
        notes.add_row(SYNTHETIC, "rendered clips with a known pulse; no person was measured")
    return notes


def _estimates(cases: Sequence[CaseSummary]) -> list[str]:
    """Say what counts might mean in time, by factors the user measured."""
    return [
        f"{one.case}: about {estimate_ms:.1f} ms a frame on {board}, at {factor:g} instructions "
        "per ms (boards.yaml); not measured"
        for one in cases
        if one.counts is not None
        for board, factor in sorted(one.instructions_per_ms.items())
        if (estimate_ms := one.counts.estimate_ms(factor)) is not None
    ]


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
