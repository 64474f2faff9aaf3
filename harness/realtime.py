"""What paced and sustained replays say, out of their records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.pace import unfinished
from harness.replays import CaseRun
from harness.reports.realtime import RealTime
from harness.verdicts.outcome import GateResult
from harness.verdicts.realtime import Minute, PacedRun, SustainedRun, measure_realtime
from harness.verdicts.thresholds import Case

Gates = tuple[GateResult, ...]


def paced_runs(run: CaseRun) -> tuple[PacedRun, ...]:
    """The replays of a case that were paced; those are left out whose times say nothing.

    A replay that failed counts: with frames dropped there may be no heart rate.
    """
    found = []
    for one in run.replays:
        pacing = one.record.raw.get("pacing", {})
        if pacing.get("dropped") is None or one.recording in run.invalid:
            continue
        found.append(
            PacedRun(
                recording=one.recording,
                frames=pacing["frames"],
                dropped=pacing["dropped"],
                missed=pacing["missed"],
                backlog_max=pacing["backlog_max"],
                backlog_mean=pacing["backlog_mean"],
                delays_ms=tuple(pacing["heart_rate_delays_ms"]),
                first_s=pacing["first_heart_rate_s"],
            )
        )
    return tuple(found)


def too_short(run: CaseRun) -> bool:
    """Whether no recording of a case is as long as the window that a heart rate needs."""
    found = [one.record for one in run.replays if one.record.ok]
    return bool(found) and all(
        one.duration_s < one.raw.get("settings", {}).get("pulse", {}).get("window_s", 0.0)
        for one in found
    )


def sustained_runs(run: CaseRun) -> tuple[SustainedRun, ...]:
    """The replays of a case that went on for minutes, as far as their times say something."""
    return tuple(
        _sustained(
            one.recording,
            sustained["asked_minutes"],
            sustained["minutes"],
            one.record.raw.get("health", {}),
            one.reference_bpm,
        )
        for one in run.replays
        if (sustained := one.record.raw.get("sustained")) and one.recording not in run.invalid
    )


def unfinished_runs(results: Path) -> list[RealTime]:
    """What is on disk of recordings that were to go on for minutes and did not come to an end."""
    found = []
    for about, *events in unfinished(results):
        rows = [one for one in events if one["event"] == "minute"]
        points = [one for one in events if one["event"] == "health"]
        health = {**(points[-1] if points else {}), "points": points}
        asked, reference = about["asked_minutes"], about["reference_bpm"]
        why = f"{len(rows)} of {asked:g} minutes came back"
        run = _sustained(about["recording"], asked, rows, health, reference, why)
        case = Case(about["board"], about["dataset"], about["variant"])
        found.append(RealTime(case, bool(about["synthetic"]), None, (), (run,), ()))
    return found


def real_time(run: CaseRun, gates: Gates = (), sustained_gates: Gates = ()) -> RealTime | None:
    """What a case says of real time; None where it was replayed once and fast."""
    paced, sustained = paced_runs(run), sustained_runs(run)
    if not (paced or sustained):
        return None
    report = measure_realtime(paced) if paced else None
    return RealTime(run.case, run.synthetic, report, gates, sustained, sustained_gates)


def _sustained(
    recording: str,
    asked_minutes: float,
    rows: Sequence[Mapping[str, Any]],
    health: Mapping[str, Any],
    reference_bpm: float,
    unfinished: str | None = None,
) -> SustainedRun:
    return SustainedRun(
        recording=recording,
        asked_minutes=asked_minutes,
        minutes=tuple(_minute(row, health, reference_bpm) for row in rows),
        throttled_after_s=health.get("throttled_after_s"),
        throttled=tuple(health.get("throttled", ())),
        unfinished=unfinished,
    )


def _minute(row: Mapping[str, Any], health: Mapping[str, Any], reference_bpm: float) -> Minute:
    seconds = row["end_s"] - row["start_s"]
    errors = [abs(bpm - reference_bpm) for bpm in row["bpm"] if bpm is not None]
    end_s = row["ended_uptime_s"] - health.get("start_uptime_s", 0.0)
    seen = [one for one in health.get("points", ()) if end_s - seconds <= one["at_s"] <= end_s]
    hottest = [one["temperature_c"] for one in seen if "temperature_c" in one]
    clocks = [one["slowest_mhz"] for one in seen if "slowest_mhz" in one]
    return Minute(
        number=row["minute"],
        seconds=seconds,
        frames=row["frames"],
        real_time_factor=row["real_time_factor"],
        dropped=row["dropped"],
        missed=row["missed"],
        backlog_max=row["backlog_max"],
        delay_p99_ms=row["delay_p99_ms"],
        mae_bpm=float(np.mean(errors)) if errors else None,
        temperature_c=max(hottest, default=None),
        mhz=min(clocks, default=None),
    )
