"""Gates as rows of a table."""

from __future__ import annotations

from dataclasses import dataclass

from harness.reports.gate_figures import (
    baseline_text,
    figure_text,
    gate_name,
    interval_text,
    limit_text,
    unit,
)
from harness.reports.gate_words import Kind
from harness.verdicts.outcome import GRAVEST_FIRST, GateResult


@dataclass(frozen=True)
class GateRow:
    """A gate as the table of all gates shows it."""

    label: str
    kind: Kind
    gate: GateResult

    @property
    def grave(self) -> int:
        """What its outcome is sorted by."""
        return GRAVEST_FIRST.index(self.gate.outcome)

    @property
    def name(self) -> str:
        """What it measures."""
        return gate_name(self.gate)

    @property
    def figure(self) -> str:
        """What was measured."""
        return figure_text(self.gate)

    @property
    def allowed(self) -> str:
        """What the figure is held against."""
        return limit_text(self.gate)

    @property
    def unit(self) -> str:
        """Of both."""
        return unit(self.gate)

    @property
    def baseline(self) -> str:
        """What it was compared with."""
        return baseline_text(self.gate)

    @property
    def interval(self) -> str:
        """How sure the difference is."""
        return interval_text(self.gate)
