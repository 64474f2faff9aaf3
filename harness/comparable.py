"""Whether two sides were measured alike: the same videos, pace and settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.baselines import provenance_of
from harness.run_sides import Side
from harness.verdicts.gates import MOST_SPOILT_PERCENT
from harness.verdicts.provenance import OF_THE_BOARD, SHOWN_ALONE, Changed, changed
from rppg_core.errors import UserError

NAMED = 3
"""Recordings that a remark names at most."""
PACE = "pace"
APART_ON_PURPOSE = OF_THE_BOARD | SHOWN_ALONE
"""What a comparison is of: boards, runtimes, models."""


@dataclass(frozen=True)
class Alike:
    """What stands against a comparison, in words: of errors, of times, and what differs anyway."""

    errors: str = ""
    times: str = ""
    noted: str = ""


def alike(old: Side, new: Side) -> Alike:
    """Hold against each other what the records say of how they were made."""
    differences = _differences(old, new)
    noted = "; ".join(map(str, differences))
    if others := _other_videos(old, new):
        said = f"other videos of the same name ({named(others)})"
        return Alike(said, said, noted)
    paces = [one for one in differences if one.key == PACE]
    return Alike("", "".join(f"other {one}" for one in paces), noted)


def spoilt_times(side: Side) -> tuple[str, bool]:
    """Return how many recordings have invalid times, in words, and whether those are too many."""
    reasons = {name: why for run in side.runs for name, why in run.invalid.items()}
    if not reasons:
        return "", False
    count = len({one.recording for run in side.runs for one in run.replays})
    said = f"{len(reasons)} of {count} recordings: {'; '.join(sorted(set(reasons.values())))}"
    return said, 100 * len(reasons) > MOST_SPOILT_PERCENT * count


def named(names: Sequence[str]) -> str:
    """Some of the names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _differences(old: Side, new: Side) -> list[Changed]:
    if not (old.runs[-1].scored and new.runs[-1].scored):
        return []  # a record without a heart rate does not say it
    try:
        found = changed(provenance_of(old.runs[-1]), provenance_of(new.runs[-1]))
    except UserError:
        return []  # nor does one of an earlier version
    return [one for one in found if one.key not in APART_ON_PURPOSE]


def _other_videos(old: Side, new: Side) -> list[str]:
    before, after = _videos(old), _videos(new)
    return sorted(one for one in before.keys() & after.keys() if before[one] != after[one])


def _videos(side: Side) -> dict[str, object]:
    return {
        one.recording: video
        for run in side.runs
        for one in run.replays
        if (video := one.campaign.get("video")) is not None
    }
