"""One side of a comparison held against another: which figures changed, how surely, what follows.

What was not replayed is not judged: a side that is not whole cannot pass, and what is missing of it
is said. Instructions are never held against milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.comparable import alike, named, spoilt_times
from harness.run_sides import Side
from harness.side_figures import (
    ALL,
    Scored,
    foreign_cores,
    paired,
    replayed,
    scored,
    stage_runs,
)
from harness.verdicts.change import Change
from harness.verdicts.latency import STAGES
from harness.verdicts.noninferiority import error_changes
from harness.verdicts.outcome import Outcome
from harness.verdicts.run_latency import (
    EXACT,
    SESSIONS_TELL,
    Runs,
    counts_added,
    geometric_mean,
    pooled_session_sd,
    session_sd_percent,
    slowdown,
)
from rppg_core.records import INSTRUCTIONS

RECORDINGS, EQUAL, EVERYTHING = "recordings", "equal", "everything"
SAME_REFERENCE_BPM = 1e-6
ADVISED = 10
"""So many times as much data is advised at most; beyond, the estimate is worth nothing."""
LOAD_APART_CORES = 0.25
"""A board that was busier with something else by this is no judge of times."""


@dataclass(frozen=True)
class Margins:
    """How much worse is still as good; ``session_sd`` (%) is how far whole runs lie apart.

    The latter holds for boards with a clock, until several runs of a side tell it themselves.
    """

    bpm: float = 0.5
    group_bpm: float = 1.0
    percent: float = 5.0
    count_percent: float = 0.5
    session_sd: float = 1.0


@dataclass(frozen=True)
class Line:
    """One figure of two sides; ``change`` is None where the two cannot be compared.

    ``unit`` is that of the change, ``of`` that of the figures ``was`` and ``now``: mean absolute
    errors, or geometric means of what a frame took. ``outcome`` is None for a remark that nothing
    follows from.
    """

    old: Side
    new: Side
    what: str
    unit: str = ""
    change: Change | None = None
    remark: str = ""
    outcome: Outcome | None = None
    was: float | None = None
    now: float | None = None
    of: str = ""


def compare_sides(old: Side, new: Side, margins: Margins) -> list[Line]:
    """Hold one case against another: errors overall and by group, then times by stage."""
    if old.case.dataset != new.case.dataset:
        return [Line(old, new, EVERYTHING, remark="not comparable: other datasets")]
    lines, measured = _coverage(old, new), alike(old, new)
    if measured.noted:
        lines.append(Line(old, new, "made with", remark=measured.noted))
    moved = _other_references(scored(old), scored(new))
    apart = f"other reference heart rates ({named(moved)})" if moved else measured.errors
    if apart:
        lines.append(Line(old, new, "error", remark=f"not comparable: {apart}"))
    else:
        lines += _errors(old, new, margins)
    apart = "instructions are no milliseconds" if old.unit != new.unit else measured.times
    if apart:
        lines.append(Line(old, new, "time", remark=f"not comparable: {apart}"))
    else:
        lines += _times(old, new, margins)
    return lines


def gone(old: Side) -> Line:
    """Say of a case that the new runs have nothing of it."""
    return Line(old, old, EVERYTHING, remark="not among the new ones", outcome=Outcome.INCONCLUSIVE)


def _coverage(old: Side, new: Side) -> list[Line]:
    """What of the sides is missing, and what gave a heart rate on one of them only."""

    def line(outcome: Outcome | None, remark: str) -> Line:
        return Line(old, new, RECORDINGS, remark=remark, outcome=outcome)

    lines = [
        line(Outcome.INCONCLUSIVE, f"{who} is partial ({side.partial}): nothing of it can pass")
        for who, side in (("the old one", old), ("the new one", new))
        if side.partial
    ]
    before, after = scored(old), scored(new)
    always = {name for name, found in before.items() if len(found[2]) == len(old.runs)}
    if lost := sorted(always & replayed(new, failed=True)):
        lines.append(line(Outcome.FAIL, f"no heart rate any more: {named(lost)}"))
    if missing := sorted(set(before) - replayed(new)):
        lines.append(line(Outcome.INCONCLUSIVE, f"not replayed: {named(missing)}"))
    if won := sorted((set(after) - set(before)) & replayed(old, failed=True)):
        lines.append(line(None, f"a heart rate now, none before: {named(won)}"))
    return lines


def _errors(old: Side, new: Side, margins: Margins) -> list[Line]:
    pairs, lines = paired(old, new), []
    changes = error_changes(pairs, margins.bpm, margins.group_bpm)
    for group, change in changes.items():
        own = [one for one in pairs if group is None or one.group is group]
        what = f"error, {group.value if group else 'all'}"
        was = float(np.mean([one.baseline_error_bpm for one in own])) if own else None
        now = float(np.mean([one.error_bpm for one in own])) if own else None
        lines.append(_judged(Line(old, new, what, "bpm", change, was=was, now=now, of="bpm")))
    return lines


def _times(old: Side, new: Side, margins: Margins) -> list[Line]:
    counted = new.unit == INSTRUCTIONS
    spoilt = [] if counted else _spoilt(old, new)
    margin, of = (margins.count_percent, "M instr") if counted else (margins.percent, "ms")
    before, after = stage_runs(old), stage_runs(new)
    lines = [
        Line(old, new, "time", remark=said, outcome=Outcome.INVALID if decides else None)
        for said, decides in spoilt
    ]
    invalid = any(decides for _, decides in spoilt)
    for stage in (ALL, *STAGES):
        both = [name for name in before[stage] if name in after[stage]]
        if not (before[stage] or after[stage]):
            continue
        was, now = ({name: one[stage][name] for name in both} for one in (before, after))
        known = _between_sessions((was, now), margins.session_sd)
        change = counts_added(was, now, margin) if counted else slowdown(was, now, margin, *known)
        means = geometric_mean(was, now), geometric_mean(now, was)
        line = Line(old, new, stage, "%", change, was=means[0], now=means[1], of=of)
        judged = _judged(line)
        decided = judged.outcome is not Outcome.INCONCLUSIVE
        lines.append(replace(judged, outcome=Outcome.INVALID) if invalid and decided else judged)
    return lines


def _spoilt(old: Side, new: Side) -> list[tuple[str, bool]]:
    """What spoilt the times of either side, in words, and whether so much that none is judged."""
    found = [(load, True)] if (load := _other_load(old, new)) else []
    for who, side in (("the old one", old), ("the new one", new)):
        said, many = spoilt_times(side)
        if said:
            found.append((f"spoilt in {who}: {said}", many))
    return found


def _other_load(old: Side, new: Side) -> str:
    """What other programs did beside one side only, in words; nothing where there was none."""
    before, now = foreign_cores(old), foreign_cores(new)
    if before is None or now is None or abs(now - before) < LOAD_APART_CORES:
        return ""
    return f"other programs kept {before:.1f} cores busy then and {now:.1f} now"


def _between_sessions(sides: Sequence[Runs], known_percent: float) -> tuple[float, float]:
    """How far whole runs lie apart, in percent, and how surely; 0 where the runs will tell."""
    counts = [min(map(len, side.values()), default=1) for side in sides]
    freedom = sum(counts) - len(counts)
    if freedom >= SESSIONS_TELL:
        return 0.0, EXACT
    seen = max((session_sd_percent(side) for side in sides if side), default=0.0)
    return pooled_session_sd(known_percent, seen, freedom)


def _judged(line: Line) -> Line:
    """The line with what follows from its change; nothing of a side that is not whole passes."""
    change = line.change
    if change is None:
        return line
    outcome, remark = change.outcome, ""
    if outcome is Outcome.PASS and (line.old.partial or line.new.partial):
        outcome = Outcome.INCONCLUSIVE  # a line of its own says why
    elif change.interval and change.interval.low == change.interval.high == 0:
        remark = EQUAL
    elif change.difference is None:
        remark = "nothing to compare"
    elif outcome is Outcome.INCONCLUSIVE:
        noun, needed = "subjects" if line.unit == "bpm" else "replays", change.needed
        near = needed is not None and needed <= ADVISED * change.subjects
        remark = f"~{needed} {noun}" if near else ""
    return replace(line, outcome=outcome, remark=remark)


def _other_references(before: Scored, after: Scored) -> list[str]:
    return [
        name
        for name, (_, reference, _) in after.items()
        if name in before and abs(before[name][1] - reference) > SAME_REFERENCE_BPM
    ]
