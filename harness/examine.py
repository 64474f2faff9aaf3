"""From a case's records to what the accuracy reports are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.replays import CaseRun, Replayed
from harness.verdicts.accuracy import Scored
from harness.verdicts.examined import CaseStudy, Examined
from harness.verdicts.surroundings import Surroundings
from harness.verdicts.waveform import WaveformError, waveform_error
from harness.verdicts.windows import (
    PLANS,
    Span,
    WindowScores,
    score_windows,
    spans,
    window_rate,
)
from rppg_core.errors import UserError
from rppg_core.postprocess import PulseSettings, PulseWave
from rppg_core.records import Record


def study(run: CaseRun, parts: bool = True) -> CaseStudy:
    """Every recording of a case as its record shows it. Raises UserError for a broken record.

    Without `parts` windows and waveforms are left out, which take most of the time.
    """
    return CaseStudy(run.case, run.synthetic, tuple(examine(one, parts) for one in run.replays))


def examine(one: Replayed, parts: bool = True) -> Examined:
    """One recording; what an older record lacks is None. Raises UserError for a broken one."""
    try:
        return _examine(one, parts)
    except (KeyError, TypeError, ValueError, IndexError) as bad:
        raise UserError(
            f"the record of {one.recording!r} is broken ({bad!r}); replay it again"
        ) from None


def _examine(one: Replayed, parts: bool) -> Examined:
    record = one.record
    conditions = {str(k): str(v) for k, v in one.campaign.get("conditions", {}).items()}
    around = _surroundings(record.raw)
    if record.bpm is None or record.snr_db is None:
        return Examined(
            one.recording,
            one.subject,
            one.reference_bpm,
            one.convention,
            error=record.error,
            conditions=conditions,
            surroundings=around,
        )
    pulse = PulseSettings(**record.raw["settings"]["pulse"])
    kept = record.raw["result"]["pulse"]
    wave = PulseWave(np.asarray(kept["samples"], np.float64), kept["fps"], kept["start_s"])
    truth = one.campaign.get("truth") or {}
    whole = Scored(one.recording, one.subject, one.reference_bpm, record.bpm, record.snr_db)
    return Examined(
        one.recording,
        one.subject,
        one.reference_bpm,
        one.convention,
        scored=whole,
        conditions=conditions,
        duration_s=record.duration_s,
        surroundings=around,
        windows=_windows(whole, record, pulse, truth.get("windows")) if parts else {},
        wave=wave,
        waveform=_waveform(wave, record, pulse, truth.get("pulse")) if parts else None,
        pulse=pulse,
    )


def _windows(
    whole: Scored, record: Record, pulse: PulseSettings, rows: Sequence[Any] | None
) -> dict[str, WindowScores]:
    result = record.raw["result"]
    derivative = np.asarray(result["derivative"], np.float64)
    lost = np.zeros(len(derivative), np.bool_)
    lost[result["lost_frames"]] = True
    told: dict[Span, float | None] | None = None
    if rows is not None:
        told = {(float(start), float(end)): bpm for start, end, bpm in rows}
    found = {}
    for plan in PLANS:
        planned = spans(record.times_s, plan)
        rates = [(s, window_rate(derivative, record.times_s, lost, s, pulse)) for s in planned]
        found[plan.name] = score_windows(whole, rates, told)
    return found


def _waveform(
    wave: PulseWave, record: Record, pulse: PulseSettings, kept: Mapping[str, Any] | None
) -> WaveformError | None:
    if kept is None:
        return None
    return waveform_error(wave, np.asarray(kept["samples"], np.float64), record.times_s, pulse)


def _surroundings(raw: Mapping[str, Any]) -> Surroundings | None:
    """The means over a recording; None for a record of before they were measured."""
    kept = raw.get("surroundings")
    if kept is None:
        return None
    speeds = [value for value in kept["speed"] if value is not None]
    share = kept["frames_with_face"] / kept["frames"] if kept["frames"] else None
    return Surroundings(
        luminance=float(np.mean(kept["luminance"])) if kept["luminance"] else None,
        speed=float(np.mean(speeds)) if speeds else None,
        face_share=share,
    )
