"""The table of conditions: which hold and which do not, from the records of runs alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.replays import CaseRun, Replayed
from harness.verdicts.conditions import HOLDS_BPM, Condition, Observed, beat_of, by_condition
from harness.verdicts.surroundings import Surroundings
from rppg_core.errors import UserError

NOTHING = "-"


def condition_tables(
    runs: Iterable[CaseRun], by: str, only: Mapping[str, Sequence[str]] | None = None
) -> RenderableType:
    """A table for each case, of recordings with conditions in `only`.

    UserError where none has the condition `by`.
    """
    parts: list[RenderableType] = []
    known: set[str] = set()
    for run in runs:
        observed = [_observed(one) for one in run.replays]
        for name, values in (only or {}).items():
            observed = [one for one in observed if one.conditions.get(name) in values]
        known.update(name for one in observed for name in one.conditions)
        rows = by_condition(observed, by)
        if rows:
            parts += [Text(_title(run)), _table(rows, by), *_reasons(rows), Text("")]
    if not parts:
        names = ", ".join(sorted(known)) or "none at all"
        asked = " and ".join(f"{name} {'/'.join(values)}" for name, values in (only or {}).items())
        which = f"recording of {asked}" if asked else "recording"
        raise UserError(f"no {which} has a condition {by!r}; there are: {names}")
    return Group(*parts)


def _observed(one: Replayed) -> Observed:
    raw: Any = one.record.raw
    about, result = raw.get("surroundings") or {}, raw.get("result") or {}
    pulse = raw.get("settings", {}).get("pulse", {})
    frames, searches = about.get("frames"), result.get("searches")
    return Observed(
        recording=one.recording,
        conditions=raw["campaign"].get("conditions", {}),
        reference_bpm=one.reference_bpm,
        estimate_bpm=one.record.bpm,
        snr_db=one.record.snr_db,
        band_bpm=(60 * pulse.get("low_hz", 0.0), 60 * pulse.get("high_hz", float("inf"))),
        surroundings=Surroundings(
            _mean(about.get("luminance")),
            _mean(about.get("speed")),
            about["frames_with_face"] / frames if frames else None,
        ),
        sighted=result["sightings"] / searches if searches else None,
        beat=_beat(about, one.record.bpm),
    )


def _beat(about: Any, bpm: float | None) -> float | None:
    if bpm is None or not about.get("luminance"):
        return None
    return beat_of(np.asarray(about["luminance"]), np.asarray(about["time_s"]), bpm)


def _mean(values: Sequence[float | None] | None) -> float | None:
    known = [value for value in values or () if value is not None]
    return float(np.mean(known)) if known else None


def _title(run: CaseRun) -> str:
    case = run.case
    called = "" if not run.synthetic or "synthetic" in case.dataset else " (synthetic)"
    model, detector = run.named("model", "name"), run.named("detector")
    pipe = f"{case.board} / {case.dataset}{called} / {case.variant}: {model}, {detector}"
    return f"{pipe}; holds: MAE <= {HOLDS_BPM:g}"


def _table(rows: Sequence[Condition], by: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(by, no_wrap=True, min_width=max(map(len, [by, *(row.name for row in rows)])))
    for name in ("n", "silent", "MAE", "worst", "SNR dB", "found %", "face %", "luma", "speed"):
        table.add_column(name, justify="right", no_wrap=name[0] not in "Sf")
    table.add_column("holds", no_wrap=True)
    for row in rows:
        table.add_row(
            row.name,
            str(row.n),
            str(row.silent or NOTHING),
            _figure(row.mae_bpm, ".2f"),
            _figure(row.worst_bpm, ".1f"),
            _figure(row.snr_db, ".1f"),
            _figure(row.sighted, ".0f", 100),
            _figure(row.face_share, ".0f", 100),
            _figure(row.luminance, ".2f"),
            _figure(row.speed, ".3f"),
            "yes" if row.holds else "no",
        )
    return table


def _reasons(rows: Sequence[Condition]) -> Iterable[Text]:
    for row in rows:
        if row.missed:
            told = "; ".join(
                f"{what} ({times})" if times > 1 else what for what, times in row.reasons.items()
            )
            yield Text(f"{row.name}: {row.missed} of {row.n} off by more or silent: {told}")


def _figure(value: float | None, form: str, times: float = 1) -> str:
    return NOTHING if value is None else format(times * value, form)
