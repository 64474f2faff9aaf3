"""The cases of a run as the page shows them: figures, colours, and what each is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.replays import CaseRun
from harness.verdicts.accuracy import AccuracyReport
from harness.verdicts.counts import CountReport
from harness.verdicts.examined import CaseStudy
from harness.verdicts.latency import LatencyReport
from harness.verdicts.outcome import GateResult

COLOURS = 6
"""Colours of variants in the style sheet, beside that of float32."""


@dataclass(frozen=True, eq=False)
class Shown:
    """One case. Either ``latency`` or ``counts`` is there, by what the board's clock counts.

    ``label`` has the parts of its name that differ within the run; ``colour`` is the style
    sheet's number of its variant; ``gates`` is None where no verdicts were kept.
    """

    label: str
    colour: int
    run: CaseRun
    study: CaseStudy
    accuracy: AccuracyReport
    latency: LatencyReport | None
    counts: CountReport | None
    gates: tuple[GateResult, ...] | None

    @property
    def place(self) -> tuple[str, str]:
        """Board and dataset: what variants are compared on."""
        return self.run.case.board, self.run.case.dataset

    @property
    def per_frame(self) -> dict[str, float]:
        """The mean of a frame by stage: ms, or millions of instructions."""
        if self.counts is not None:
            return {one.stage: one.minstr_per_frame for one in self.counts.stages}
        if self.latency is not None:
            return {one.stage: one.ms_per_frame for one in self.latency.stages}
        return {}

    @property
    def unit(self) -> str:
        """The unit of ``per_frame``."""
        return "M instructions" if self.counts is not None else "ms"


def colours(variants: Sequence[str]) -> Mapping[str, int]:
    """A number for each variant; 0 is float32's alone."""
    others = sorted(set(variants) - {"float32"})
    return {"float32": 0, **{name: 1 + at % COLOURS for at, name in enumerate(others)}}


def places(cases: Sequence[Shown]) -> dict[tuple[str, str], list[Shown]]:
    """The cases of each board and dataset, float32 first."""
    found: dict[tuple[str, str], list[Shown]] = {}
    for one in cases:
        found.setdefault(one.place, []).append(one)
    for here in found.values():
        here.sort(key=lambda one: (one.run.case.variant != "float32", one.run.case.variant))
    return found
