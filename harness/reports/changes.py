"""What became of one side held against another: as terminal tables, Markdown, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.text import Text

from harness.comparing import EQUAL, Line
from harness.plain_text import printable
from harness.reports.layout import NOTHING, SHOWN, SYNTHETIC, plain_table
from harness.reports.markdown import markdown_text
from harness.run_sides import Side
from harness.verdicts.outcome import GRAVEST_FIRST, Outcome
from rppg_core.records import INSTRUCTIONS

SYNTHETIC_NOTE = "synthetic: rendered clips with a known pulse; no person was measured"
MOST = 999
ONE_RUN = "one run a side: what whole runs differ by in time is assumed (--session-sd)"
COUNTED = "M instr do not vary: from the least to the most of a recording, instead of an interval"
OF_MEANS = "ms: geometric means over recordings, which changes are of"
OF_COUNTS = "M instr: geometric means over recordings; changes are means of each one's"
COLUMNS = ("was", "now", "change", "99 % CI", "n")
WORDS = {
    Outcome.FAIL: "worse",
    Outcome.INCONCLUSIVE: "not decided",
    Outcome.INVALID: "invalid",
    Outcome.PASS: "as good",
}


def show(lines: Sequence[Line]) -> None:
    """Print a table for each two sides."""
    console = Console(highlight=False)
    for (old, new), own in _by_pair(lines):
        table = plain_table("\n".join(_titles(old, new)))
        table.add_column("what", no_wrap=True)
        for name in COLUMNS:
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("verdict", overflow="fold", min_width=10)
        judged = [one for one in own if one.change]
        for one in judged:
            table.add_row(*_cells(one), _verdict(one))
        console.print(table if judged else Text("\n".join(_titles(old, new)), style="bold"))
        for one in own:
            if one.change is None:
                console.print(Text(f"{one.what}: ").append_text(_verdict(one)))
        for note in _notes(old, new):
            console.print(Text(note, style="dim"))
        console.print(Text(_gist(own), style="bold"), "")
    if any(_synthetic(one.old, one.new) for one in lines):
        console.print(SYNTHETIC_NOTE)


def markdown(lines: Sequence[Line]) -> str:
    """Return the same for a pull request."""
    rows: list[str] = []
    for (old, new), own in _by_pair(lines):
        title, *origin = _titles(old, new)
        rows += [f"**{markdown_text(title)}**: {_gist(own)}", ""]
        rows += [" \\\n".join(map(markdown_text, [*origin, *_notes(old, new)])), ""]
        rows += ["| what | " + " | ".join(COLUMNS) + " | verdict |"]
        rows += ["|---|" + "--:|" * len(COLUMNS) + "---|"]
        for one in own:
            cells = (*_cells(one), _verdict(one).plain)
            rows.append("| " + " | ".join(map(markdown_text, cells)) + " |")
        rows.append("")
    if any(_synthetic(one.old, one.new) for one in lines):
        rows.append(SYNTHETIC_NOTE)
    return "\n".join(rows)


def as_json(lines: Sequence[Line]) -> str:
    """Return an object for each line."""
    return json.dumps([_plain(one) for one in lines], indent=1)


def as_csv(lines: Sequence[Line]) -> str:
    """Return a row for each line; what an object of the JSON has several of is joined."""
    text = io.StringIO()
    names = [name for name in _plain(lines[0]) if name != "interval"] if lines else []
    writer = csv.DictWriter(text, [*names, "low", "high"], lineterminator="\n")
    writer.writeheader()
    for one in map(_plain, lines):
        low, high = one.pop("interval") or (None, None)
        joined = {k: "+".join(v) if isinstance(v, list) else v for k, v in one.items()}
        writer.writerow({**joined, "low": low, "high": high})
    return text.getvalue()


def _by_pair(lines: Sequence[Line]) -> Iterator[tuple[tuple[Side, Side], list[Line]]]:
    for _, own in groupby(lines, key=lambda one: (id(one.old), id(one.new))):
        found = list(own)
        yield (found[0].old, found[0].new), found


def _titles(old: Side, new: Side) -> list[str]:
    """What is held against what: the cases, then the runs they are of."""
    said = str(new.case) if old.case == new.case else f"{new.case}, against {old.case}"
    if _synthetic(old, new) and SYNTHETIC not in said:
        said += f" ({SYNTHETIC})"
    if old.origin == new.origin:
        return [printable(said), printable(f"both: {old.origin}")]
    return [printable(said), printable(f"was: {old.origin}"), printable(f"now: {new.origin}")]


def _notes(old: Side, new: Side) -> list[str]:
    left = dict.fromkeys((*old.left_out, *new.left_out))
    notes = [printable(f"left out, not whole: {name}") for name in left]
    if old.unit != new.unit:
        return notes
    if old.unit == INSTRUCTIONS:
        return [*notes, OF_COUNTS, COUNTED]
    one_run = len(old.names) == len(new.names) == 1
    return [*notes, OF_MEANS, *([ONE_RUN] if one_run else [])]


def _gist(lines: Sequence[Line]) -> str:
    """How many lines there are of each outcome, the gravest first."""
    counts = {one: sum(line.outcome is one for line in lines) for one in GRAVEST_FIRST}
    said = [f"{count} {WORDS[one]}" for one, count in counts.items() if count]
    return ", ".join(said) or "not comparable"


def _verdict(one: Line) -> Text:
    if one.outcome is None:
        return Text(printable(one.remark), style="yellow")
    text = Text(*SHOWN[one.outcome])
    if one.change and one.change.difference is not None and one.remark != EQUAL:
        text.append(f" < {one.change.margin:g}", style="none")
    return text.append(f": {printable(one.remark)}" * bool(one.remark), style="none")


def _cells(one: Line) -> tuple[str, ...]:
    change = one.change
    if change is None or change.difference is None:
        return one.what, *[NOTHING] * len(COLUMNS)
    ends = change.interval
    digits = 3 if one.unit == "bpm" else _digits(max(abs(ends.low), abs(ends.high)) if ends else 0)
    return (
        f"{one.what}, {one.of}",
        _figure(one.was),
        _figure(one.now),
        f"{change.difference:+.{digits}f} {one.unit}",
        f"{_end(ends.low, digits)} to {_end(ends.high, digits)}" if ends else NOTHING,
        str(change.n),
    )


def _figure(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3g}" if value < 1 else f"{value:.2f}"


def _end(value: float, digits: int) -> str:
    """One end of an interval; how far beyond ten times as much it lies is of no use."""
    return f">+{MOST}" if value > MOST else f"{value:+.{digits}f}"


def _digits(percent: float) -> int:
    """Digits that are worth something of a change in percent."""
    return 2 if percent < 10 else 1 if percent < 100 else 0


def _synthetic(*sides: Side) -> bool:
    return any(run.synthetic for side in sides for run in side.runs)


def _plain(one: Line) -> dict[str, Any]:
    change = one.change
    ends = change.interval if change else None
    return {
        "old": str(one.old.case),
        "new": str(one.new.case),
        "what": one.what,
        "unit": one.unit,
        "remark": one.remark,
        "verdict": one.outcome.value if one.outcome else None,
        "was": one.was,
        "now": one.now,
        "figure_unit": one.of,
        "difference": change.difference if change else None,
        "interval": [ends.low, ends.high] if ends else None,
        "margin": change.margin if change else None,
        "recordings": change.n if change else 0,
        "subjects": change.subjects if change else 0,
        "synthetic": _synthetic(one.old, one.new),
        "old_runs": list(one.old.names),
        "new_runs": list(one.new.names),
        "old_commit": one.old.revision,
        "new_commit": one.new.revision,
        "old_partial": one.old.partial,
        "new_partial": one.new.partial,
    }
