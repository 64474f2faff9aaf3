"""A run's own file beside its records: when, from which commit, and what its gates found.

It is there from the start of the run and is made anew, whole, after every verdict: whatever ends
the run, the file can be read, and says whether the run came to its end.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any

from harness.verdicts.intervals import Interval
from harness.verdicts.outcome import GateResult, Outcome
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError
from rppg_core.records import write_json

RUN_FILE = "run.json"
RUN_SCHEMA = "rppg-run/1"
LOCK = ".run.lock"


@dataclass(frozen=True)
class RunFile:
    """What a run says of itself.

    ``started`` is ISO 8601 in UTC; ``finished`` is False while it runs, and for ever where it was
    cut off. ``commit``, ``dirty`` and ``branch`` are None outside a git checkout; ``command`` is
    pytest's. ``boards`` has the facts of each board by name, ``gates`` the verdicts of each case
    that was replayed, none where it was not judged. ``planned`` is how many recordings each case
    that was begun has; older files do not say it.
    """

    started: str
    finished: bool = False
    commit: str | None = None
    dirty: bool | None = None
    branch: str | None = None
    command: tuple[str, ...] = ()
    version: str = ""
    boards: Mapping[str, Any] = field(default_factory=dict)
    gates: Mapping[Case, tuple[GateResult, ...]] = field(default_factory=dict)
    planned: Mapping[Case, int] = field(default_factory=dict)

    def with_results(
        self, boards: Mapping[str, Any], gates: Mapping[Case, tuple[GateResult, ...]]
    ) -> RunFile:
        """Return the same with more, or newer, boards and verdicts."""
        return replace(self, boards={**self.boards, **boards}, gates={**self.gates, **gates})

    def with_plan(self, case: Case, recordings: int) -> RunFile:
        """Return the same with a case that begins."""
        return replace(self, planned={**self.planned, case: recordings})


def read_run(results: Path) -> RunFile | None:
    """Return what a run's folder says of its run; None where it says nothing, as old ones do.

    Raises UserError where the file is not whole.
    """
    path = results / RUN_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as bad:
        raise UserError(f"{path}: cannot be read ({bad}); remove it, the records remain") from None
    if not isinstance(content, dict) or content.get("schema") != RUN_SCHEMA:
        raise UserError(f"{path}: not a {RUN_SCHEMA} file; use the version that made it")
    try:
        return _parsed(content)
    except (AttributeError, KeyError, TypeError, ValueError) as bad:
        raise UserError(f"{path}: broken ({bad!r}); remove it, the records remain") from None


def write_run(results: Path, run: RunFile) -> None:
    """Write the file so that after a crash it is either the old or the new one, whole."""
    plain = asdict(replace(run, gates={}, planned={}))
    head = {key: value for key, value in plain.items() if key not in ("gates", "planned")}
    cases = [{**asdict(case), "gates": [_written(g) for g in gs]} for case, gs in run.gates.items()]
    plan = [{**asdict(case), "recordings": count} for case, count in run.planned.items()]
    write_json(results / RUN_FILE, {"schema": RUN_SCHEMA, **head, "planned": plan, "cases": cases})


@contextmanager
def alone(results: Path) -> Iterator[None]:
    """Keep other processes of the same run from writing its file meanwhile."""
    results.mkdir(parents=True, exist_ok=True)
    with (results / LOCK).open("w") as lock:
        flock(lock, LOCK_EX)  # let go of when the file is closed
        yield


def _parsed(content: Mapping[str, Any]) -> RunFile:
    return RunFile(
        started=_of(str, content["started"]),
        finished=_of(bool, content["finished"]),
        commit=_or_none(str, content["commit"]),
        dirty=_or_none(bool, content["dirty"]),
        branch=_or_none(str, content["branch"]),
        command=tuple(_of(str, one) for one in _of(list, content["command"])),
        version=_of(str, content["version"]),
        boards=dict(_of(dict, content["boards"])),
        gates={
            _case(one): tuple(map(_gate, _of(list, one["gates"])))
            for one in _of(list, content["cases"])
        },
        planned={
            _case(one): _of(int, one["recordings"]) for one in _of(list, content.get("planned", []))
        },
    )


def _case(one: Mapping[str, Any]) -> Case:
    return Case(*(_of(str, one[key]) for key in ("board", "dataset", "variant")))


def _gate(one: Mapping[str, Any]) -> GateResult:
    ends = _or_none(list, one["interval"])
    return GateResult(
        _of(str, one["gate"]),
        _number(one["figure"]),
        _number(one["threshold"]),
        Outcome(one["outcome"]),
        _of(str, one["message"]),
        baseline=_number(one["baseline"]),
        interval=None if ends is None else Interval(*(float(_of(float, end)) for end in ends)),
        stage=_or_none(str, one["stage"]),
        remark=_of(str, one.get("remark", "")),  # older runs have none
    )


def _written(gate: GateResult) -> dict[str, Any]:
    ends = gate.interval
    return {
        "gate": gate.gate,
        "figure": _finite(gate.figure),
        "threshold": _finite(gate.threshold),
        "outcome": gate.outcome.value,
        "message": gate.message,
        "baseline": _finite(gate.baseline),
        "interval": None if ends is None else [float(ends.low), float(ends.high)],
        "stage": gate.stage,
        "remark": gate.remark,
    }


def _finite(figure: float | None) -> float | None:
    """Return the figure as a plain number, which JSON has; None where it is none."""
    return float(figure) if figure is not None and math.isfinite(figure) else None


def _number(value: Any) -> float | None:
    return None if value is None else float(_of(float, value))


def _or_none(kind: type, value: Any) -> Any:
    return None if value is None else _of(kind, value)


def _of(kind: type, value: Any) -> Any:
    """Return the value if it is of its kind; a whole number is a number, too."""
    whole = kind is float and isinstance(value, int) and not isinstance(value, bool)
    if not isinstance(value, kind) and not whole:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
