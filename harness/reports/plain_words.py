"""Verdicts in plain words: what holds, what does not and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.reports.gate_figures import (
    EXACT,
    PARTS,
    baseline_text,
    figure_text,
    gate_name,
    interval_text,
    number,
    shown,
    with_unit,
)
from harness.reports.gate_words import Kind, Meaning, kind_of, meaning_of
from harness.verdicts.change_gates import ERROR_CHANGE, SLOWDOWN
from harness.verdicts.gates import REPLAYED
from harness.verdicts.outcome import GRAVEST_FIRST, GateResult, Outcome, gravest
from harness.verdicts.thresholds import Case

NAMED = 3
"""Gates that a sentence names; what is more is counted."""
JUST = 1.05
"""Up to this multiple of a limit, a figure is just past it."""
ALL_STAGES = "the whole pipeline"
NOTHING = "nothing was measured"
BY_INTERVAL = (ERROR_CHANGE, SLOWDOWN)
"""Gates that are decided by the interval of a change, not by its figure."""


@dataclass(frozen=True)
class Judged:
    """The gates of one case; ``label`` says which case where there are several."""

    case: Case
    label: str
    gates: tuple[GateResult, ...]


def gates_of(judged: Sequence[Judged], kind: Kind) -> list[tuple[Judged, GateResult]]:
    """Every gate of a kind beside its case."""
    return [(one, gate) for one in judged for gate in one.gates if kind_of(gate) is kind]


def outcomes(judged: Sequence[Judged]) -> dict[Kind, Outcome]:
    """The gravest outcome of each kind that has a gate."""
    found = {kind: [gate for _, gate in gates_of(judged, kind)] for kind in Kind}
    return {kind: gravest(gates) for kind, gates in found.items() if gates}


def headline(judged: Sequence[Judged]) -> str:
    """One line for the whole run: ``Accuracy holds. Speed does not.``"""
    by_kind = outcomes(judged)
    if not by_kind:
        return "No gate judged this run."
    if set(by_kind.values()) == {Outcome.PASS}:
        return f"{_claim(Outcome.PASS, list(by_kind))}."
    said = []
    for outcome in reversed(GRAVEST_FIRST):
        kinds = [kind for kind, found in by_kind.items() if found is outcome]
        if kinds:
            said.append(f"{_claim(outcome, kinds)}.")
    return " ".join(said)


@dataclass(frozen=True)
class Told:
    """One question: its verdict, as ``claim``, and why: labels of cases with what they found."""

    kind: Kind
    outcome: Outcome
    claim: str
    reasons: tuple[tuple[str, str], ...]
    more: int = 0

    @property
    def text(self) -> str:
        """All of it in one sentence."""
        said = "; ".join(f"{why} ({label})" if label else why for label, why in self.reasons)
        return f"{self.claim}: {said}{f'; and {self.more} more' if self.more else ''}."


def told(judged: Sequence[Judged]) -> list[Told]:
    """The verdict of each kind, the gravest first, and the gates that decide it."""
    found = []
    gravest_first = sorted(outcomes(judged).items(), key=lambda one: GRAVEST_FIRST.index(one[1]))
    for kind, outcome in gravest_first:
        here = gates_of(judged, kind)
        claim = _claim(outcome, [kind])
        if outcome is Outcome.PASS:
            found.append(Told(kind, outcome, claim, _passing(here)))
            continue
        decisive = [pair for pair in here if pair[1].outcome is outcome]
        decisive.sort(key=lambda pair: -_excess(pair[1]))
        labels: dict[str, list[str]] = {}
        for one, gate in decisive:
            labels.setdefault(_why(gate), []).append(one.label)
        reasons = [(_whose(of, judged), why) for why, of in labels.items()]
        named = tuple(reasons[:NAMED])
        found.append(Told(kind, outcome, claim, named, len(reasons) - len(named)))
    return found


def _whose(labels: Sequence[str], judged: Sequence[Judged]) -> str:
    """The cases that a reason is of."""
    names = list(dict.fromkeys(labels))
    return "all cases" if len(names) > 1 and len(names) == len(judged) else ", ".join(names)


def _passing(here: Sequence[tuple[Judged, GateResult]]) -> tuple[tuple[str, str], ...]:
    """How many pass, and which of them is closest to its limit."""
    nearest = _nearest(here)
    count = f"{len(here)} gates pass" if len(here) > 1 else "the gate passes"
    if nearest is None:
        return (("", count),)
    one, gate = nearest
    whose = f" ({one.label})" if one.label else ""
    if len(here) == 1:
        return (("", f"{_why(gate)}{whose}"),)
    return (("", f"{count}, closest to its limit: {_why(gate)}{whose}"),)


def explained(gate: GateResult) -> str:
    """One gate in words, without a full stop."""
    known, part = meaning_of(gate), gate.gate.partition(".")[2]
    untold = gate.figure is None or gate.threshold is None or gate.outcome is Outcome.INVALID
    if known is None or untold or not known.says:
        return _by_message(gate)
    assert gate.figure is not None
    figure = figure_text(gate)
    if known.way is not None:
        figure = figure.removeprefix("-")
    measured = known.says.format(
        figure=with_unit(figure, known.unit),
        part=f" in the {PARTS[part]}" if part in PARTS else "",
        stage=part if part not in ("", "all") else ALL_STAGES,
        way=known.way[gate.figure < 0] if known.way else "",
    )
    return measured + _against(gate, known) + _compared(gate, known)


def _by_message(gate: GateResult) -> str:
    said = gate.message.partition(" (rule for ")[0].rstrip(".")
    if gate.gate == REPLAYED and gate.figure is not None:
        return f"{with_unit(number(gate.figure), 'recordings')} without a heart rate ({said})"
    if NOTHING in said and meaning_of(gate):
        said = f"{gate_name(gate)}: {NOTHING}"
    return f"{said}: {gate.remark}" if gate.remark else said


def _against(gate: GateResult, known: Meaning) -> str:
    figure, limit = shown(gate, gate.figure), shown(gate, gate.threshold)
    assert figure is not None and limit is not None
    bound = with_unit(number(limit, EXACT), known.unit)
    if known.least:
        return f", at least {bound} asked for"
    if gate.gate.partition(".")[0] in BY_INTERVAL and gate.interval is not None:
        if gate.outcome is Outcome.INCONCLUSIVE:
            return f", too little to tell whether that is within the {bound} allowed"
        if gate.outcome is Outcome.FAIL and figure <= limit:
            return f", surely worse, and not surely within the {bound} allowed"
    if gate.outcome is not Outcome.FAIL or limit <= 0:
        return f", at most {bound} allowed"
    times = figure / limit
    if times < JUST:
        return f", just above its limit of {bound}"
    return f", {times:.1f} times its limit of {bound}"


def _compared(gate: GateResult, known: Meaning) -> str:
    """What it was compared with, where it was; and what else a person should know."""
    said = [] if gate.baseline is None else [f"compared with {baseline_text(gate)}"]
    if gate.interval is not None:
        said.append(f"{known.sure}: {with_unit(interval_text(gate), known.unit)}")
    about = f" ({', '.join(said)})" if said else ""
    return f"{about}: {gate.remark}" if gate.remark else about


def _why(gate: GateResult) -> str:
    said = explained(gate)
    if gate.stage and gate.outcome is Outcome.FAIL and gate.stage not in said:
        said += f", look at {gate.stage}"
    return said


def _nearest(pairs: Sequence[tuple[Judged, GateResult]]) -> tuple[Judged, GateResult] | None:
    """The gate that has used most of what it is allowed."""
    used = [(share, pair) for pair in pairs if (share := _used(pair[1])) is not None]
    return max(used, key=lambda one: one[0])[1] if used else None


def _used(gate: GateResult) -> float | None:
    """The share of its limit that a figure has used."""
    figure, limit, known = gate.figure, gate.threshold, meaning_of(gate)
    if known is None or figure is None or limit is None:
        return None
    if known.best is not None:
        return (known.best - figure) / (known.best - limit) if limit < known.best else None
    if figure <= 0 or limit <= 0:
        return None
    return limit / figure if known.least else figure / limit


def _excess(gate: GateResult) -> float:
    """How far past its limit a gate is; what has no figure comes first."""
    used = _used(gate)
    return float("inf") if used is None else used


def _claim(outcome: Outcome, kinds: Sequence[Kind]) -> str:
    """What has been found of some questions: ``Accuracy and speed hold``."""
    one, more = {
        Outcome.PASS: ("holds", "hold"),
        Outcome.FAIL: ("does not hold", "do not hold"),
        Outcome.INCONCLUSIVE: ("is undecided", "are undecided"),
        Outcome.INVALID: ("could not be judged", "could not be judged"),
    }[outcome]
    return f"{_capital(_listed([kind.value for kind in kinds]))} {more if kinds[1:] else one}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
