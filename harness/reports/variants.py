"""Forms of the model held against float32, and side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from harness.reports.layout import (
    NOTHING,
    SHOWN,
    Row,
    add_case,
    dataset_name,
    empty_table,
    milliseconds,
    number,
    plain_table,
    verdicts_of,
)
from harness.verdicts.accuracy import AccuracyFigures, HeartRateGroup
from harness.verdicts.fidelity import FidelityReport
from harness.verdicts.gates import MAE_CHANGE, PAIRED
from harness.verdicts.latency import LatencyReport, StageFigures
from harness.verdicts.outcome import GateResult, Outcome, gravest
from harness.verdicts.thresholds import Case

PREDICT = "predict"
FLOAT = "float32"


@dataclass(frozen=True)
class Fidelity:
    """One case held against float32."""

    case: Case
    synthetic: bool
    report: FidelityReport
    gates: tuple[GateResult, ...] = ()


@dataclass(frozen=True)
class Variant:
    """One case on a line: size, accuracy, time, and how many of its gates of any kind failed."""

    case: Case
    synthetic: bool
    size_bytes: int | None
    accuracy: AccuracyFigures
    latency: LatencyReport
    fidelity: FidelityReport | None = None
    gates: tuple[GateResult, ...] = field(default=())

    @property
    def predict(self) -> StageFigures | None:
        """Times of the model alone."""
        return next((one for one in self.latency.stages if one.stage == PREDICT), None)


def fidelity_table(cases: Iterable[Fidelity]) -> Table:
    """Return a table with four rows for each case: all recordings, and the three groups."""
    title = "Likeness to float32: heart rates apart, bpm; r and SNR of the pulse's derivative"
    table = empty_table(title, ("group", "n", "apart", "lost", "MAE +/-", "r", "SNR dB"))
    for one in cases:
        groups = (None, *HeartRateGroup)
        rows = [_fidelity_row(group, one.report.of(group)) for group in groups]
        of_groups = [f"{MAE_CHANGE}.{group.value}" for group in HeartRateGroup]
        of_all = [gate for gate in one.gates if gate.gate not in of_groups]
        of_all.sort(key=lambda gate: gate.gate != PAIRED)  # what the column beside them says
        verdicts = [[text for gate in of_all for text in verdicts_of([gate], gate.gate)]]
        verdicts += [verdicts_of(one.gates, gate) for gate in of_groups]
        names = [one.case.board, dataset_name(one.case, one.synthetic), one.case.variant]
        if one.report.size_bytes is not None:
            names.append(f"{one.report.size_bytes:,} B")
        if one.report.size_percent is not None:
            names.append(f"= {one.report.size_percent:.1f} %")
        add_case(table, names, rows, verdicts)
    return table


def overview_tables(cases: Sequence[Variant]) -> list[Table]:
    """Return, for each board and dataset, a table with a row for each variant if it has several."""
    places = dict.fromkeys((one.case.board, one.case.dataset) for one in cases)
    by_place = [
        [one for one in cases if (one.case.board, one.case.dataset) == place] for place in places
    ]
    return [_overview(here) for here in by_place if len(here) > 1]


def _overview(cases: Sequence[Variant]) -> Table:
    first = cases[0]
    place = f"{first.case.board}, {dataset_name(first.case, first.synthetic)}"
    table = plain_table(escape(f"Variants on {place}: bpm, dB, ms a frame"))
    table.add_column("variant", overflow="fold", min_width=12)
    for column in ("bytes", "%", "MAE", "SNR", "lost", "RTF", PREDICT, "x"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("gates", no_wrap=True)
    plain = next((one for one in cases if one.case.variant == FLOAT), None)
    for one in sorted(cases, key=lambda one: one is not plain):
        table.add_row(*_overview_row(one, plain), _tally(one.gates))
    return table


def _fidelity_row(group: HeartRateGroup | None, report: FidelityReport) -> Row:
    change = report.mae_change_bpm()
    return (
        group.value if group else "all",
        str(report.n()),
        number(report.paired_bpm, 3),
        str(len(report.lost)) if report.n() else NOTHING,
        NOTHING if change is None else f"{change:+.3f}",
        number(report.mean_correlation, 4),
        number(report.mean_snr_db, 1),
    )


def _overview_row(one: Variant, plain: Variant | None) -> tuple[Text | str, ...]:
    report = one.fidelity if one is not plain else None
    plain_bytes, whole = (plain.size_bytes, plain.predict) if plain else (None, None)
    share = 100 * one.size_bytes / plain_bytes if one.size_bytes and plain_bytes else None
    faster = None
    if one.predict and whole:
        faster = min(whole.run_ms_per_frame) / min(one.predict.run_ms_per_frame)
    return (
        Text(one.case.variant, style="bold"),
        NOTHING if one.size_bytes is None else f"{one.size_bytes:,}",
        number(share, 1),
        number(one.accuracy.mae_bpm, 2),
        number(one.accuracy.mean_snr_db, 1),
        str(len(report.lost)) if report else NOTHING,
        number(one.latency.real_time_factor, 3),
        milliseconds(one.predict.ms_per_frame, 3) if one.predict else NOTHING,
        number(faster, 1),
    )


def _tally(gates: Sequence[GateResult]) -> Text:
    if not gates:
        return Text(NOTHING)
    whole = gravest(gates)
    word, style = SHOWN[whole]
    alike = sum(gate.outcome is whole for gate in gates)
    return Text(word if whole is Outcome.PASS else f"{alike} {word}", style=style)
