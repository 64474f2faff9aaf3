"""What an approval would change, as lines a person can judge: figures old -> new, and what for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.verdicts.baseline import Baseline, ErrorPart, TimePart
from harness.verdicts.latency import Stage
from harness.verdicts.provenance import changed

MOVED_SHOWN = 10
"""Recordings shown by name, those that moved most first."""
UNITS = {"ms": "ms a frame", "minstr": "M instr a frame"}


def difference(old: Baseline | None, new: Baseline) -> list[str]:
    """Return the lines of what ``new`` has that ``old`` has not, or has otherwise."""
    lines = _errors(old.error if old else None, new.error)
    return lines + _times(old.time if old else None, new.time)


def _errors(old: ErrorPart | None, new: ErrorPart | None) -> list[str]:
    if new is None:
        return []
    if old == new:
        return ["heart rates: unchanged"]
    n = len(new.recordings)
    if old is None:
        return [f"heart rates: new, {n} recordings, mean error {_mae(new):.2f} bpm"]
    lines = [f"heart rates: mean error {_mae(old):.2f} -> {_mae(new):.2f} bpm, {n} recordings"]
    lines += _recordings(list(old.recordings), list(new.recordings))
    both = [name for name in new.recordings if name in old.recordings]
    moved = [name for name in both if old.recordings[name] != new.recordings[name]]
    moved.sort(key=lambda name: -abs(_estimate(new, name) - _estimate(old, name)))
    for name in moved[:MOVED_SHOWN]:
        before, after = old.recordings[name], new.recordings[name]
        truth = f"{before.reference_bpm:.2f}"
        if before.reference_bpm != after.reference_bpm:
            truth += f" -> {after.reference_bpm:.2f}"
        other_video = "; another video" if before.video != after.video else ""
        lines.append(
            f"  {name}: {before.estimate_bpm:.2f} -> {after.estimate_bpm:.2f} bpm, "
            f"truth {truth}{other_video}"
        )
    if len(moved) > MOVED_SHOWN:
        lines.append(f"  and {len(moved) - MOVED_SHOWN} more")
    return lines + [f"  {one}" for one in changed(old.measured_with, new.measured_with)]


def _times(old: TimePart | None, new: TimePart | None) -> list[str]:
    if new is None:
        return []
    if old == new:
        return ["times: unchanged"]
    after = {stage: _mean(new, stage) for stage in new.stages}
    unit, of = UNITS[new.unit], f"of {new.sessions} session{'s' * (new.sessions > 1)}"
    if old is None or old.unit != new.unit:
        figures = ", ".join(f"{stage} {figure:.4g}" for stage, figure in after.items())
        return [f"times: new, {unit}, {of}: {figures}"]
    lines = [f"times: {unit}, mean {of} (before: {old.sessions})"]
    lines += _recordings(list(old.recordings), list(new.recordings))
    for stage in dict.fromkeys((*old.stages, *new.stages)):
        if stage not in after:
            lines.append(f"  - {stage}")
        elif stage not in old.stages:
            lines.append(f"  + {stage}: {after[stage]:.4g}")
        else:
            before = _mean(old, stage)
            percent = 100 * (after[stage] / before - 1)
            lines.append(f"  {stage}: {before:.4g} -> {after[stage]:.4g} ({percent:+.1f} %)")
    return lines + [f"  {one}" for one in changed(old.measured_with, new.measured_with)]


def _recordings(old: Sequence[str], new: Sequence[str]) -> list[str]:
    lines = [f"  - {name}" for name in old if name not in new]
    return lines + [f"  + {name}" for name in new if name not in old]


def _mae(part: ErrorPart) -> float:
    rows = part.recordings.values()
    return float(np.mean([abs(one.estimate_bpm - one.reference_bpm) for one in rows]))


def _estimate(part: ErrorPart, name: str) -> float:
    return part.recordings[name].estimate_bpm


def _mean(part: TimePart, stage: Stage) -> float:
    found = part.runs(stage, part.recordings).values()
    return float(np.mean([np.mean(runs) for runs in found]))
