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
from harness.verdicts.windows import WHOLE

NOTHING = "-"
LIMITS_NOTE = (
    f"face below {DARK_BELOW:g} of full luminance: dark; from {BRIGHT_FROM:g}: bright; faster than "
    f"{MOVING_FROM:g} face sizes a second: moving"
)


def accuracy_tables(studies: Sequence[CaseStudy]) -> RenderableType:
    """One table for each case, and what it stands on; nothing for a case without recordings."""
    parts: list[RenderableType] = []
    for study in studies:
        if study.examined:
            parts += [_table(study), _notes(study), ""]
    return Group(*parts)


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
    notes = Table.grid(padding=(0, 2, 0, 0))
    notes.add_column(style="bold", no_wrap=True)
    notes.add_column(overflow="fold")
    slices = window_slices(study.examined)
    if any(one.intervals.mae_bpm is not None for one in slices):
        notes.add_row("intervals", INTERVALS_NOTE)
    else:
        subjects = slices[0].intervals.subjects
        notes.add_row("intervals", f"none: {subjects} subjects; {INTERVALS_NOTE}")
    notes.add_row("truth", Text(study.conventions))
    for one in slices:
        if one.name != WHOLE:
            notes.add_row("", _truth(one))
    if any(one.failed for one in slices):
        notes.add_row("none", "recordings or windows that gave no heart rate, and so no error")
    limits = agreement(study.scored)
    if limits.low_bpm is not None and limits.bias_bpm is not None:
        text = f"bias {limits.bias_bpm:+.2f} bpm, limits {limits.low_bpm:+.2f} to "
        notes.add_row("agreement", f"{text}{limits.high_bpm:+.2f} (Bland-Altman)")
    waves = [one.waveform for one in study.examined if one.waveform is not None]
    if waves:
        notes.add_row(
            "pulse wave",
            _waves(
                [w.correlation for w in waves],
                [w.phase_error_deg for w in waves],
                [w.lag_s for w in waves],
            ),
        )
    if any(one.surroundings is not None for one in study.examined):
        notes.add_row("measured", LIMITS_NOTE)
    else:
        notes.add_row("measured", "nothing: these records are older than light and motion in them")
    return notes


def _truth(one: WindowSlice) -> str:
    whole = one.figures.n - one.own_truth
    parts = [f"{one.own_truth} of {one.figures.n} windows of {one.name} against the truth there"]
    if whole:
        parts.append(f"{whole} against that of the whole recording")
    if one.untold:
        parts.append(f"{one.untold} left out, without a truth")
    return ", ".join(parts)


def _waves(r: Sequence[float], phase_deg: Sequence[float], lag_s: Sequence[float]) -> str:
    return (
        f"correlation with the true one {np.mean(r):.3f} at the best lag (median "
        f"{1000 * float(np.median(lag_s)):+.0f} ms), phase error {np.mean(phase_deg):.0f} degrees; "
        f"means of {len(r)} recordings"
    )


def _number(figure: float | None, digits: int) -> str:
    return NOTHING if figure is None else f"{figure:.{digits}f}"
