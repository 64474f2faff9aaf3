"""What a board's self-test found, as it is kept: and which margins it forbids there."""

from __future__ import annotations

from decimal import ROUND_CEILING, Context
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.verdicts.change_gates import ERROR_CHANGE, INSTRUCTIONS_ADDED, SLOWDOWN
from harness.verdicts.provenance import Provenance
from harness.verdicts.thresholds import ChangeRule

FORMAT: Literal["rppg-selftest/1"] = "rppg-selftest/1"

FEWEST_RECORDINGS = 4
"""With fewer, an interval is so wide that no margin can be advised."""
MOST_PERCENT, LEAST = 1000, 1e-6
"""Beyond these an effect is no figure for a person."""

Count = Annotated[int, Field(ge=0)]
Taken = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Finding(_Part):
    """One gate: its false alarms among equal sessions, and the least effect told from none."""

    unit: str
    margin: Taken
    comparisons: Annotated[int, Field(gt=0)]
    false_alarms: Count
    undecided: Count
    detectable: Taken | None = None


class SelfTest(_Part):
    """What held for a board, one session of it against ``baseline`` others, on some recordings.

    ``session_sd_percent`` is how far whole sessions lie apart (standard deviation).
    """

    format: Literal["rppg-selftest/1"] = FORMAT
    board: str
    processor: str
    delegate: str
    threads: str
    dataset: str
    variant: str
    recordings: Annotated[int, Field(gt=0)]
    sessions: Annotated[int, Field(gt=1)]
    baseline: Annotated[int, Field(gt=0)]
    session_sd_percent: Taken
    gates: dict[str, Finding]

    @property
    def few(self) -> bool:
        """Whether it has too few recordings to advise a margin."""
        return self.recordings < FEWEST_RECORDINGS

    def holds_for(self, measured: Provenance) -> bool:
        """Whether figures measured so are of the board that was tested: its processors alike."""
        return (self.processor, self.delegate, self.threads) == (
            measured.processor,
            measured.delegate,
            measured.threads,
        )


def too_tight(found: SelfTest, rule: ChangeRule) -> str:
    """Name the margins that ask for less than can be told on the board; empty where none does.

    A rule that asks nothing of a stage is no margin.
    """
    said: dict[str, tuple[float, float, str]] = {}
    for gate, one in found.gates.items():
        name = margin_of(gate)
        margin = getattr(rule, name)
        if margin is None or one.detectable is None or one.detectable <= margin:
            continue
        if name not in said or one.detectable > said[name][1]:
            what = f"{effect_text(one.detectable, one.unit)} by {gate}"
            said[name] = margin, one.detectable, what
    if found.few:
        return "; ".join(
            f"{name} {margin:g} is less than can be told there ({what}): too few recordings to "
            f"tell what to set ({found.recordings} of at least {FEWEST_RECORDINGS})"
            for name, (margin, _, what) in said.items()
        )
    return "; ".join(
        f"{name} {margin:g} is less than can be told there ({what}): set {_above(least)} or more"
        for name, (margin, least, what) in said.items()
    )


def effect_text(value: float | None, unit: str) -> str:
    """An effect with its unit; a dash where there is none to tell."""
    if value is None or value < LEAST:
        return "-"
    if unit == "%" and value > MOST_PERCENT:
        return f">{MOST_PERCENT} %"
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def margin_of(gate: str) -> str:
    """Return the name of the margin of a ``ChangeRule`` that a gate of changes is held to."""
    kind, _, part = gate.partition(".")
    if kind == ERROR_CHANGE:
        return "max_group_mae_increase_bpm" if part else "max_mae_increase_bpm"
    if kind == SLOWDOWN:
        return "max_stage_slowdown_percent" if part else "max_slowdown_percent"
    if kind == INSTRUCTIONS_ADDED:
        return "max_added_instructions_percent"
    raise ValueError(f"{gate} is no gate of a change")


def _above(least: float) -> str:
    """Round up to two digits, so that what is advised is allowed."""
    return format(Context(prec=2, rounding=ROUND_CEILING).create_decimal(least), "f")
