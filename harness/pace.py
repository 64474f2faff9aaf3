"""How fast frames come in a replay and for how long, and the minutes of it, kept as they come."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rppg_core.pacing import FAST, parse_pace
from rppg_core.records import INSTRUCTIONS
from rppg_core.replay import record_name
from rppg_core.sustained import check_minutes

SUFFIX = ".minutes.jsonl"
KEPT = ("minute", "health")
"""Events of a replay that are kept at once."""


@dataclass(frozen=True)
class Pace:
    """`name` is a pace of ``rppg_core.pacing``; with `minutes` a recording is played over and over.

    Raises:
        UserError: an unknown pace, or minutes that are none.
    """

    name: str = FAST
    minutes: float | None = None

    def __post_init__(self) -> None:
        parse_pace(self.name)
        if self.minutes is not None:
            check_minutes(self.minutes)

    @property
    def paced(self) -> bool:
        """Whether frames come by themselves."""
        return parse_pace(self.name) is not None

    @property
    def in_job(self) -> dict[str, Any]:
        """What a job, and the origin of a record, say of it; nothing of the usual."""
        said: dict[str, Any] = {"pace": self.name} if self.name != FAST else {}
        return said if self.minutes is None else {**said, "minutes": self.minutes}

    def why_not_on(self, timings_unit: str) -> str | None:
        """Say why a board whose times count this cannot do it."""
        if self == AT_ONCE or timings_unit != INSTRUCTIONS:
            return None
        asked = f"--pace {self.name}" if self.paced else "--minutes"
        return f"counts instructions and keeps no time, so {asked} says nothing there; leave it out"


AT_ONCE = Pace()


def pace_text(name: str, minutes: str | None) -> str:
    """How frames came, in words: ``fast``, ``2x``, ``realtime 30 min``."""
    return f"{name} {minutes.removesuffix('.0')} min" if minutes else name


class MinuteLog:
    """The events of one recording that is replayed for minutes: a line each, on disk at once.

    `about` is written at the start of each attempt, so that the file can be read alone. It stays
    beside the record; where there is no record, it is what was measured.
    """

    def __init__(self, folder: Path, recording: str, about: Mapping[str, Any]) -> None:
        self.path = folder / (Path(record_name(recording)).stem + SUFFIX)
        self._about = dict(about)
        self._started_s = 0.0

    def begin(self) -> None:
        """Begin an attempt."""
        self._started_s = time.monotonic()
        self._write({"event": "begin", **self._about})

    def note(self, event: Mapping[str, Any]) -> None:
        """Keep an event, if it is one of those that count."""
        if event.get("event") in KEPT:
            self._write(event)

    def share(self) -> float:
        """How much of the time is through, at most 1."""
        seconds = 60.0 * float(self._about["asked_minutes"])
        return min((time.monotonic() - self._started_s) / seconds, 1.0)

    def _write(self, event: Mapping[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def unfinished(results: Path) -> Iterator[list[dict[str, Any]]]:
    """The last attempt's events of each recording below `results` that has no record.

    A line that was cut off by a crash ends them.
    """
    for path in sorted(results.rglob(f"*{SUFFIX}")):
        if path.with_name(path.name.removesuffix(SUFFIX) + ".json").exists():
            continue
        events: list[dict[str, Any]] = []
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                break
            events = [event] if event.get("event") == "begin" else [*events, event]
        if events and events[0].get("event") == "begin":
            yield events
