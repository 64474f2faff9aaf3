"""Two models side by side, recording by recording and by group: as tables, or as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from harness.reports.layout import NOTHING, SYNTHETIC, number, plain_table
from harness.verdicts.accuracy import HeartRateGroup
from harness.verdicts.fidelity import LOCK_BPM, FidelityReport, Pair


@dataclass(frozen=True)
class Comparison:
    """Model B held against model A; `failures` maps recordings that have no pair to the reason."""

    a: str
    b: str
    dataset: str
    synthetic: bool
    report: FidelityReport
    failures: Mapping[str, str]


def tables(found: Comparison) -> RenderableType:
    """Return a row for each recording, then the groups."""
    each = plain_table("Each recording: heart rates in bpm")
    each.add_column("recording", overflow="fold", min_width=9)
    for column in ("truth", "A", "B", "apart", "r", "SNR dB"):
        each.add_column(column, justify="right", no_wrap=True)
    each.add_column("", no_wrap=True)
    for one in found.report.pairs:
        each.add_row(*_pair_row(one), _remark(one))
    groups = plain_table("By true heart rate, in bpm")
    groups.add_column("group", no_wrap=True)
    for column in ("n", "r", "SNR dB", "apart", "lost", "MAE A", "MAE B"):
        groups.add_column(column, justify="right", no_wrap=True)
    for group in (None, *HeartRateGroup):
        groups.add_row(group.value if group else "all", *_group_row(found.report.of(group)))
    return Group(each, "", groups, "", *_notes(found))


def as_json(found: Comparison) -> dict[str, Any]:
    """Return the same as JSON can hold it; a figure that there is none of is null."""
    report = found.report
    return {
        "a": {"model": found.a, "bytes": report.float_bytes},
        "b": {"model": found.b, "bytes": report.size_bytes},
        "dataset": found.dataset,
        "synthetic": found.synthetic,
        "recordings": [
            {
                "recording": one.recording,
                "group": HeartRateGroup.of(one.reference_bpm).value,
                "reference_bpm": one.reference_bpm,
                "a_bpm": one.float_bpm,
                "b_bpm": one.variant_bpm,
                "difference_bpm": one.difference_bpm,
                "correlation": one.correlation,
                "snr_db": one.snr_db,
                "a_locked": one.locked,
                "lost": one.lost,
            }
            for one in report.pairs
        ],
        "groups": {
            group.value if group else "all": _group_json(report.of(group))
            for group in (None, *HeartRateGroup)
        },
        "failures": dict(found.failures),
    }


def _group_json(report: FidelityReport) -> dict[str, Any]:
    a_mae, b_mae = report.mae_bpm
    return {
        "n": report.n(),
        "correlation": report.mean_correlation,
        "snr_db": report.mean_snr_db,
        "paired_bpm": report.paired_bpm,
        "lost": list(report.lost),
        "a_mae_bpm": a_mae,
        "b_mae_bpm": b_mae,
    }


def _pair_row(one: Pair) -> tuple[Text | str, ...]:
    return (
        Text(one.recording),
        f"{one.reference_bpm:.1f}",
        f"{one.float_bpm:.2f}",
        f"{one.variant_bpm:.2f}",
        f"{one.difference_bpm:.3f}",
        f"{one.correlation:.4f}",
        f"{one.snr_db:.1f}",
    )


def _remark(one: Pair) -> Text:
    if one.lost:
        return Text("LOST", style="bold red")
    return Text("" if one.locked else "A off the pulse")


def _group_row(report: FidelityReport) -> tuple[str, ...]:
    return (
        str(report.n()),
        number(report.mean_correlation, 4),
        number(report.mean_snr_db, 1),
        number(report.paired_bpm, 3),
        str(len(report.lost)) if report.n() else NOTHING,
        *(number(one, 3) for one in report.mae_bpm),
    )


def _notes(found: Comparison) -> list[Text]:
    report = found.report
    share = "" if report.size_percent is None else f", {report.size_percent:.1f} % of A's"
    lines = [
        Text(f"A        {found.a}, {_bytes(report.float_bytes)}"),
        Text(f"B        {found.b}, {_bytes(report.size_bytes)}{share}"),
        Text(f"dataset  {found.dataset}"),
        Text(f"apart    its mean leaves out LOST ones and those that A is {LOCK_BPM:g} bpm off on"),
        Text("r, SNR   of the pulse's derivative, A's being the signal"),
    ]
    if found.synthetic:
        lines[2].append(f" ({SYNTHETIC}: rendered clips; no person was measured)")
    for recording, reason in sorted(found.failures.items()):
        line = f"failed   {recording}: {' '.join(reason.split())}"
        lines.append(Text(line, style="bold red"))
    return lines


def _bytes(size: int | None) -> str:
    return "size unknown" if size is None else f"{size:,} bytes"
