"""What the history has of a board, dataset and variant, run after run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from harness.history.store import History
from harness.pace import pace_text
from harness.verdicts.outcome import GRAVEST_FIRST, Outcome
from harness.verdicts.thresholds import Case
from rppg_core.pacing import FAST


@dataclass(frozen=True)
class Point:
    """One case of one run.

    ``provenance`` is what it was measured with, ``figures`` are by name, ``intervals`` those of
    figures that have one. ``outcome`` is None where no gate was asked. ``planned`` is how many
    recordings there were to be, None where that is not known. ``pace`` is how frames came and
    ``names`` are those of the recordings.
    """

    run: str
    folder: str
    started: str
    commit: str | None
    dirty: bool | None
    branch: str | None
    case: Case
    synthetic: bool
    complete: bool
    unit: str
    provenance: Mapping[str, str]
    recordings: int
    failed: int
    figures: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    outcome: Outcome | None = None
    planned: int | None = None
    pace: str = FAST
    names: tuple[str, ...] = ()

    @property
    def alike(self) -> tuple[str, tuple[str, ...]]:
        """What two cases must have in common for their figures to be compared."""
        return self.pace, self.names

    @property
    def whole(self) -> bool:
        """Whether all that was to be replayed was."""
        return self.complete and self.recordings >= (self.planned or 0)

    @property
    def revision(self) -> str:
        """The commit in short, with a + where files differed from it."""
        return (self.commit or "-")[:7] + ("+" if self.dirty else "")


PROVENANCE = (
    "model", "model_sha256", "detector", "labels", "runtime", "threads", "machine", "cpu",
    "kernel", "python", "numpy", "opencv",
)  # fmt: skip
WANTED = {
    "board": "cases.board",
    "dataset": "cases.dataset",
    "variant": "cases.variant",
    "commit": "runs.commit_id",
    "branch": "runs.branch",
    "run": "runs.name",
}
"""What may be asked for; * and ? work, and of a commit its beginning is enough."""


def points(history: History, wanted: Mapping[str, str]) -> list[Point]:
    """Return what fits, oldest first; ``wanted`` has keys of ``WANTED``."""
    where, values = ["1"], []
    for key, pattern in wanted.items():
        where.append(f"{WANTED[key]} GLOB ?")
        values.append(pattern + "*" if key == "commit" else pattern)
    query = f"""
        SELECT cases.*, cases.id AS "case", runs.name, runs.folder, runs.started, runs.commit_id,
            runs.dirty, runs.branch, runs.command,
            (SELECT count(*) FROM recordings WHERE "case" = cases.id) AS recordings,
            (SELECT count(*) FROM recordings WHERE "case" = cases.id AND error NOT NULL) AS failed
        FROM cases JOIN runs ON runs.id = cases.run
        WHERE {" AND ".join(where)}
        ORDER BY runs.started, runs.name, cases.id
    """
    return [_point(history, row) for row in history.select(query, values)]


def by_case(found: Sequence[Point], last: int | None = None) -> dict[Case, list[Point]]:
    """Return the newest ``last`` of each case, oldest first."""
    cases: dict[Case, list[Point]] = {}
    for one in found:
        cases.setdefault(one.case, []).append(one)
    return {case: points[-last:] if last else points for case, points in cases.items()}


def pace_of(command: str) -> str:
    """How frames came, by pytest's arguments as JSON: ``--pace x``, ``--pace=x``, ``--minutes n``.

    ``fast`` unless they say otherwise; the minutes stand behind it, as ``realtime 30 min``.
    """
    words = [part for word in json.loads(command) for part in str(word).split("=", 1)]
    given = dict(pairwise(words))
    return pace_text(given.get("--pace", FAST), given.get("--minutes"))


def _pace(row: Any) -> str:
    """By the records; of an older history, whose rows do not say it, by the command."""
    return row["pace"] if row["pace"] not in (None, "", FAST) else pace_of(row["command"])


def _point(history: History, row: Any) -> Point:
    case = (row["case"],)
    figures = history.select('SELECT name, value, low, high FROM figures WHERE "case" = ?', case)
    said = history.select('SELECT DISTINCT outcome FROM gates WHERE "case" = ?', case)
    names = history.select('SELECT recording FROM recordings WHERE "case" = ?', case)
    outcomes = {one["outcome"] for one in said}
    return Point(
        run=row["name"],
        folder=row["folder"],
        started=row["started"],
        commit=row["commit_id"],
        dirty=None if row["dirty"] is None else bool(row["dirty"]),
        branch=row["branch"],
        case=Case(row["board"], row["dataset"], row["variant"]),
        synthetic=bool(row["synthetic"]),
        complete=bool(row["complete"]),
        unit=row["unit"],
        provenance={name: row[name] for name in PROVENANCE},
        recordings=row["recordings"],
        failed=row["failed"],
        figures={one["name"]: one["value"] for one in figures},
        intervals={
            one["name"]: (one["low"], one["high"]) for one in figures if one["low"] is not None
        },
        outcome=next((one for one in GRAVEST_FIRST if one.value in outcomes), None),
        planned=row["planned"],
        pace=_pace(row),
        names=tuple(sorted(one["recording"] for one in names)),
    )
