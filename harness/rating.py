"""Boards and forms of the model rated against each other by error and cost (Pareto)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.case_figures import Figure, figures_of, unit_of
from harness.replays import CaseRun
from harness.verdicts.latency import NS_PER_MS, NS_PER_S
from harness.verdicts.pareto import optimal
from harness.verdicts.thresholds import Case

COST = {"ms": "ms_per_frame", "minstr": "minstr_per_frame"}
FEWER = "heart rates of {count} recordings only, of {most} elsewhere"


@dataclass(frozen=True)
class Target:
    """One form of the model on one board, over one dataset.

    ``frame_ms`` is the time between two frames of the video. ``unrated`` says why it is not held
    against the others: it is not whole, or lacks heart rates that others have.
    """

    case: Case
    synthetic: bool
    unit: str
    figures: Mapping[str, Figure]
    frame_ms: float | None = None
    best: bool = False
    unrated: str = ""

    def value(self, name: str) -> float | None:
        """Return a figure; None where it was not measured."""
        found = self.figures.get(name)
        return None if found is None else found.value

    @property
    def cost(self) -> float | None:
        """What a frame takes, in ``unit``."""
        return self.value(COST[self.unit])


def targets_of(runs: Sequence[CaseRun]) -> list[Target]:
    """Return the targets, sorted by dataset; of a case that is there twice, the last whole one."""
    last: dict[Case, CaseRun] = {}
    for run in runs:
        if run.case not in last or last[run.case].partial or not run.partial:
            last[run.case] = run
    most = _recordings(last.values())
    found = [
        Target(
            case,
            run.synthetic,
            unit_of(run),
            figures_of(run),
            _frame_ms(run),
            unrated=_unrated(run, most[case.dataset]),
        )
        for case, run in last.items()
    ]
    marked: list[Target] = []
    for dataset in dict.fromkeys(one.case.dataset for one in found):
        for unit in COST:
            marked += _marked(
                [one for one in found if (one.case.dataset, one.unit) == (dataset, unit)]
            )
    return marked


def _marked(alike: Sequence[Target]) -> list[Target]:
    """Mark the Pareto-optimal ones of one dataset and unit."""
    rated = {
        one.case: (error, cost)
        for one in alike
        if not one.unrated
        and (error := one.value("mae_bpm")) is not None
        and (cost := one.cost) is not None
    }
    best = dict(zip(rated, optimal(list(rated.values())), strict=True))
    return [replace(one, best=best.get(one.case, False)) for one in alike]


def _recordings(runs: Iterable[CaseRun]) -> dict[str, set[str]]:
    """Of each dataset, the recordings that any case gave a heart rate of."""
    found: dict[str, set[str]] = {}
    for run in runs:
        found.setdefault(run.case.dataset, set()).update(one.recording for one in run.scored)
    return found


def _unrated(run: CaseRun, most: set[str]) -> str:
    """Why a case is not held against others; a mean over fewer recordings is another figure."""
    if run.partial:
        return f"partial, {run.partial}"
    count = len(run.scored)
    return FEWER.format(count=count, most=len(most)) if count < len(most) else ""


def _frame_ms(run: CaseRun) -> float | None:
    frames = sum(one.frames for one in run.times)
    return NS_PER_S / NS_PER_MS * sum(one.media_s for one in run.times) / frames if frames else None
