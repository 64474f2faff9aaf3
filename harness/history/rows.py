"""A case as rows of the history. The same from a campaign as it runs and from its records later."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from harness.baselines import pace_of
from harness.case_figures import figures_of, frame_costs, unit_of
from harness.replays import CaseRun
from harness.verdicts.outcome import GateResult

Row = dict[str, Any]

PROVENANCE: Mapping[str, tuple[str, ...]] = {
    "model": ("model", "name"),
    "model_sha256": ("model", "sha256"),
    "detector": ("detector",),
    "threads": ("runtime", "threads"),
    "machine": ("host", "machine"),
    "cpu": ("host", "cpu"),
    "kernel": ("host", "kernel"),
    "python": ("host", "python"),
    "numpy": ("host", "numpy"),
    "opencv": ("host", "opencv"),
}
"""Where a record says it."""


def case_row(run: CaseRun, complete: bool) -> Row:
    """Return what all recordings of a case have in common."""
    runtime = f"{run.named('runtime', 'name')} {run.named('runtime', 'version')}".strip()
    return {
        "board": run.case.board,
        "dataset": run.case.dataset,
        "variant": run.case.variant,
        "complete": complete,
        "planned": run.planned,
        "synthetic": run.synthetic,
        "unit": unit_of(run),
        "pace": pace_of(run),
        "labels": ", ".join(sorted({one.convention for one in run.replays})),
        "runtime": runtime,
        **{name: run.named(*path) for name, path in PROVENANCE.items()},
    }


def figure_rows(run: CaseRun) -> list[Row]:
    """Return one row for each figure that is a number."""
    return [
        {
            "name": name,
            "value": figure.value,
            "low": figure.interval.low if figure.interval else None,
            "high": figure.interval.high if figure.interval else None,
        }
        for name, figure in figures_of(run).items()
        if math.isfinite(figure.value)
    ]


def recording_rows(run: CaseRun) -> list[Row]:
    """Return one row for each record."""
    times = {one.recording: one for one in run.times}
    invalid = run.invalid
    rows = []
    for one in run.replays:
        record, timed = one.record, times.get(one.recording)
        timeless = timed is None or unit_of(run) != "ms"
        rows.append(
            {
                "recording": one.recording,
                "subject": one.subject,
                "replayed_on": one.campaign.get("replayed_on"),
                "reference_bpm": one.reference_bpm,
                "estimate_bpm": record.bpm,
                "snr_db": record.snr_db,
                "media_s": record.duration_s if record.ok else None,
                "per_frame": float(frame_costs(timed).mean()) if timed else None,
                "real_time_factor": None if timeless or not timed else timed.real_time_factor,
                "error": record.error,
                "invalid": invalid.get(one.recording),
            }
        )
    return rows


def gate_rows(gates: tuple[GateResult, ...]) -> list[Row]:
    """Return one row for each verdict, in their order."""
    return [
        {
            "place": place,
            "gate": one.gate,
            "figure": one.figure,
            "threshold": one.threshold,
            "outcome": one.outcome.value,
            "message": one.message,
            "baseline": one.baseline,
            "low": one.interval.low if one.interval else None,
            "high": one.interval.high if one.interval else None,
            "stage": one.stage,
        }
        for place, one in enumerate(gates)
    ]
