"""The tables of `rppg-bench report`: errors by window, condition, measured light and motion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.reports.intervals import INTERVALS_NOTE, written
from harness.verdicts.agreement import agreement
from harness.verdicts.examined import (
    CaseStudy,
    Slice,
    WindowSlice,
    condition_slices,
    duration_slices,
    measured_slices,
    window_slices,
)
from harness.verdicts.surroundings import BRIGHT_FROM, DARK_BELOW, MOVING_FROM
from harness.verdicts.waveform import WaveformError
from harness.verdicts.windows import WHOLE

NOTHING = "-"
LIMITS_NOTE = (
    f"face below {DARK_BELOW:g} of full luminance: dark; from {BRIGHT_FROM:g}: bright; faster than "
    f"{MOVING_FROM:g} face sizes a second: moving"
)


def accuracy_tables(studies: Sequence[CaseStudy]) -> RenderableType:
    """One table for each case with what it stands on, and below them what holds for all."""
    parts: list[RenderableType] = []
    for study in studies:
        if study.examined:
            parts += [_table(study), _notes(study), ""]
    return Group(*parts, _shared_notes(studies)) if parts else Group()


def _table(study: CaseStudy) -> Table:
    named = f"{study.case}" + (" (synthetic)" if study.synthetic else "")
    table = Table(
        title=Text(f"Accuracy of {named}"),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
    )
    table.add_column("by", overflow="fold", min_width=10)
    for name in ("n", "MAE bpm", "RMSE bpm", "MAPE %", "r", "SNR dB"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = study.examined
    for part in (window_slices, condition_slices, measured_slices, duration_slices):
        _add(table, part(rows))
    return table


def _add(table: Table, slices: Iterable[Slice]) -> None:
    last = ""
    for one in slices:
        if one.by != last:
            table.add_section()
            if not isinstance(one, WindowSlice):
                table.add_row(Text(one.by, style="bold"))
        last = one.by
        figures, sure = one.figures, one.intervals
        table.add_row(
            Text(one.name),
            str(figures.n),
            _number(figures.mae_bpm, 2),
            _number(figures.rmse_bpm, 2),
            _number(figures.mape_percent, 2),
            _number(figures.pearson_r, 3),
            _number(figures.mean_snr_db, 1),
        )
        below = (
            f"{one.failed} none" if one.failed else "",
            written(sure.mae_bpm),
            written(sure.rmse_bpm),
            written(sure.mape_percent),
            written(sure.pearson_r),
            written(sure.mean_snr_db, 1),
        )
        if any(below):
            table.add_row("", *below, style="dim")


def _notes(study: CaseStudy) -> Table:
    notes, slices = _names_and_texts(), window_slices(study.examined)
    notes.add_row("subjects", str(len({one.subject for one in study.scored})))
    notes.add_row("truth", Text(study.conventions))
    for one in slices:
        if one.name != WHOLE:
            notes.add_row("", _truth(one))
    limits = agreement(study.scored)
    if limits.low_bpm is not None and limits.bias_bpm is not None:
        text = f"bias {limits.bias_bpm:+.2f} bpm, limits {limits.low_bpm:+.2f} to "
        notes.add_row("agreement", f"{text}{limits.high_bpm:+.2f} (Bland-Altman)")
    waves = [one.waveform for one in study.examined if one.waveform is not None]
    if waves:
        notes.add_row("pulse wave", _waves(waves))
    if not any(one.surroundings is not None for one in study.examined):
        notes.add_row("measured", "nothing: records of before light and motion were kept")
    return notes


def _shared_notes(studies: Sequence[CaseStudy]) -> Table:
    notes = _names_and_texts()
    notes.add_row("below", f"each figure its interval: {INTERVALS_NOTE}")
    if any(one.failed for study in studies for one in window_slices(study.examined)):
        notes.add_row("none", "recordings or windows that gave no heart rate, and so no error")
    notes.add_row("measured", LIMITS_NOTE)
    return notes


def _names_and_texts() -> Table:
    notes = Table.grid(padding=(0, 2, 0, 0))
    notes.add_column(style="bold", no_wrap=True, min_width=10)
    notes.add_column(overflow="fold")
    return notes


def _truth(one: WindowSlice) -> str:
    whole = one.figures.n - one.own_truth
    parts = [f"{one.own_truth} of {one.figures.n} windows of {one.name} against the truth there"]
    if whole:
        parts.append(f"{whole} against that of the whole recording")
    if one.untold:
        parts.append(f"{one.untold} left out, without a truth")
    return ", ".join(parts)


def _waves(waves: Sequence[WaveformError]) -> str:
    likeness = float(np.mean([one.correlation for one in waves]))
    lag_ms = 1000 * float(np.median([one.lag_s for one in waves]))
    apart = float(np.mean([one.phase_error_deg for one in waves]))
    return (
        f"correlation with the true one {likeness:.3f} at the best lag (median {lag_ms:+.0f} ms), "
        f"phase error {apart:.0f} degrees; means of {len(waves)} recordings"
    )


def _number(figure: float | None, digits: int) -> str:
    return NOTHING if figure is None else f"{figure:.{digits}f}"
