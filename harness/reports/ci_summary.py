"""What a GitHub job shows of a run: its summary in Markdown, and annotations of its gates.

Names in records are text to both: they can neither end a command nor start a link or an element.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.reports.gate_words import Kind
from harness.reports.markdown import markdown_text
from harness.reports.page.content import key_figures
from harness.reports.page.shown import Shown
from harness.reports.plain_words import Judged, explained, gates_of, headline, outcomes
from harness.run_file import RunFile
from harness.verdicts.outcome import GRAVEST_FIRST, GateResult, Outcome, gravest

SIGNS = {
    Outcome.PASS: "✅",
    Outcome.FAIL: "❌",
    Outcome.INCONCLUSIVE: "❔",
    Outcome.INVALID: "⚠️",
}
ANNOTATIONS = 10
"""A step shows as many of each level."""
GATES_LISTED = 30
Line = tuple[str, str, str]


def summary(
    cases: Sequence[Shown], judged: Sequence[Judged], kept: RunFile | None, page: str | None
) -> str:
    """The Markdown of a run, to be appended to a job's summary."""
    gates = [gate for one in judged for gate in one.gates]
    sign = SIGNS[gravest(gates)] + " " if gates else ""
    title = "No verdicts were kept of this run." if kept is None else headline(judged)
    synthetic = sorted({one.run.case.dataset for one in cases if one.run.synthetic})
    counting = sorted({one.run.case.board for one in cases if one.counts is not None})
    lines = [f"## {sign}{markdown_text(title)}", ""]
    if kept is not None and not kept.finished:
        lines += ["The run was cut off before its end.", ""]
    if synthetic:
        names = ", ".join(map(markdown_text, synthetic))
        lines += [f"**Synthetic data** ({names}): rendered clips; no person was measured.", ""]
    if counting:
        names = ", ".join(map(markdown_text, counting))
        lines += [f"**Work, not time** ({names}): counted in millions of instructions.", ""]
    lines += [*_table(cases, judged), "", *_undecided(judged)]
    if page is not None:
        lines += [f"Report page: `{page.replace('`', '')}`", ""]
    return "\n".join(lines) + "\n"


def _table(cases: Sequence[Shown], judged: Sequence[Judged]) -> list[str]:
    """A row for each case: what holds, and the figures that are asked for first."""
    kinds = [kind for kind in Kind if gates_of(judged, kind)]
    found = {one.case: outcomes([one]) for one in judged}
    columns = kinds or [Kind.ACCURACY, Kind.SPEED]
    head = ["case", *(kind.value for kind in columns), "recordings", "without heart rate"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for one in cases:
        figures, here = key_figures(one), found.get(one.run.case, {})
        cells = [markdown_text(str(one.run.case))]
        for kind in columns:
            sign = f"{SIGNS[here[kind]]} {here[kind].value}" if kind in here else ""
            cells.append(
                ", ".join(filter(None, (sign, markdown_text(figures.get(kind, ""))))) or "–"
            )
        cells += [str(len(one.run.replays)), str(len(one.run.failures))]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _undecided(judged: Sequence[Judged]) -> list[str]:
    """The gates that did not pass, the gravest first; of the others only how many they are."""
    told = _not_passed(judged)
    lines = [
        f"- {SIGNS[gate.outcome]} {markdown_text(str(one.case))}: {markdown_text(explained(gate))}"
        for one, gate in told[:GATES_LISTED]
    ]
    if len(told) > GATES_LISTED:
        lines.append(f"- and {len(told) - GATES_LISTED} more")
    passed = sum(gate.passed for one in judged for gate in one.gates)
    if passed:
        lines += [*([""] if lines else []), f"{passed} gate{'s' * (passed != 1)} passed."]
    return [*lines, ""] if lines else []


def workflow_commands(judged: Sequence[Judged], strict: bool = False) -> list[str]:
    """Workflow commands: an error for what failed, a warning for what came to no verdict.

    With ``strict`` the latter are errors too, as they are to the tests.
    """
    by_level: dict[str, list[Line]] = {"error": [], "warning": []}
    for one, gate in _not_passed(judged):
        level = "error" if strict or gate.outcome is Outcome.FAIL else "warning"
        title = f"{gate.outcome.value}: {gate.gate}, {one.case}"
        by_level[level].append((level, title, explained(gate)))
    found: list[Line] = []
    for level, lines in by_level.items():
        more = len(lines) - ANNOTATIONS + 1
        found += lines if more < 2 else lines[: ANNOTATIONS - 1]
        found += [(level, "more", f"and {more} more gates")] * (more >= 2)
    said = [("notice", "rppg-bench", headline(judged)), *found]
    return [command(*line) for line in said]


def command(level: str, title: str, message: str) -> str:
    """One workflow command, on one line whatever it says."""
    return f"::{level} title={_escaped(title, ':,')}::{_escaped(message)}"


def _escaped(text: str, more: str = "") -> str:
    return re.sub(f"[%\r\n{more}]", lambda found: f"%{ord(found[0]):02X}", text)


def _not_passed(judged: Sequence[Judged]) -> list[tuple[Judged, GateResult]]:
    pairs = [(one, gate) for one in judged for gate in dict.fromkeys(one.gates) if not gate.passed]
    return sorted(pairs, key=lambda pair: GRAVEST_FIRST.index(pair[1].outcome))
