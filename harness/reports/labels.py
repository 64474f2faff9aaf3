"""The label check as lines of text: what is wrong, the groups, the repairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from harness.datasets.base import Recording
from harness.datasets.checking import UNREADABLE, Checked
from harness.datasets.conventions import HR_ROW_REPAIRED
from harness.datasets.defects import HARMLESS, NOTE, REPAIRED, UNREPAIRED
from harness.plain_text import printable
from harness.verdicts.accuracy import HIGH_FROM_BPM, MIDDLE_FROM_BPM, HeartRateGroup

NOTHING = "-"
_STATES = (UNREPAIRED, REPAIRED, HARMLESS, NOTE)
_REPAIRS = {
    "unwrapped": "wrapped readings raised by 128 bpm",
    "replaced": "single readings, from their neighbours",
    "left out": "readings that no person can have",
}


def check_lines(checked: Sequence[Checked], convention: str) -> Iterator[str]:
    """One line for each recording and defect: id, state under `convention`, code, what it is."""
    width = _width(checked)
    for one in checked:
        found = [(each.state(convention), each.code, each.text) for each in one.defects]
        if one.unreadable is not None:
            found.insert(0, (UNREPAIRED, UNREADABLE, one.unreadable))
        for state, code, text in found:
            yield f"{_name(one):{width}} {state:10} {code:14} {printable(text)}"


def inventory_lines(
    recordings: Sequence[Recording], checked: Sequence[Checked], convention: str
) -> Iterator[str]:
    """One line for each recording: heart rate, conditions, whether it is whole, what is wrong."""
    width = _width(checked)
    for recording, one in zip(recordings, checked, strict=True):
        bpm = one.references.get(convention)
        state = NOTHING if bpm is None else f"{bpm:.1f} bpm by {convention}"
        parts = [f"{name}={value}" for name, value in recording.conditions.items()]
        if not recording.video.exists():
            parts.append("(no video here)")
        parts += [f"{defect.code}:{defect.state(convention)}" for defect in one.defects]
        if one.unreadable is not None:
            parts.append(f"{UNREADABLE}: {one.unreadable}")
        said = printable(" ".join(parts))
        yield f"{_name(one):{width}} {state:>28} {said}".rstrip()


def reference_lines(checked: Sequence[Checked]) -> Iterator[str]:
    """A table of each recording's heart rate in bpm by every convention."""
    conventions = _conventions(checked)
    width = _width(checked)
    yield " ".join([f"{'bpm':{width}}", *(f"{name:>15}" for name in conventions)])
    for one in checked:
        figures = (_figure(one.references.get(name)) for name in conventions)
        yield " ".join([f"{_name(one):{width}}", *(f"{figure:>15}" for figure in figures)])


def group_lines(checked: Sequence[Checked]) -> Iterator[str]:
    """How many recordings are in each group of heart rate, by every convention."""
    low, high = f"<{MIDDLE_FROM_BPM:g}", f">={HIGH_FROM_BPM:g}"
    middle = f"{MIDDLE_FROM_BPM:g}..<{HIGH_FROM_BPM:g}"
    names = (f"low {low}", f"middle {middle}", f"high {high}", "none")
    yield f"{'groups':16}" + "".join(f"{name:>16}" for name in names)
    for convention in _conventions(checked):
        counts = Counter(_group(one.references.get(convention)) for one in checked)
        row = [*(counts[group.value] for group in HeartRateGroup), counts[NOTHING]]
        yield f"{convention:16}" + "".join(f"{count:16}" for count in row)


def repair_lines(checked: Sequence[Checked]) -> Iterator[str]:
    """How many readings, in how many recordings, each repair of hr-row-repaired changes."""
    if HR_ROW_REPAIRED not in _conventions(checked):
        return
    yield f"{'repairs':16}{'readings':>10}{'recordings':>12}"
    for name, what in _REPAIRS.items():
        changed = [one.repaired.get(name, 0) for one in checked]
        yield f"{name:16}{sum(changed):10}{sum(map(bool, changed)):12}  {what}"


def closing_line(checked: Sequence[Checked], convention: str) -> str:
    """How many recordings there are, and in how many there is what."""
    states = Counter(
        state
        for one in checked
        for state in {defect.state(convention) for defect in one.defects}
        | ({UNREPAIRED} if one.unreadable is not None else set())
    )
    said = [f"{states[state]} {state}" for state in _STATES if states[state]]
    return f"{len(checked)} recordings by {convention}: {', '.join(said) or 'no defect'}"


def _group(bpm: float | None) -> str:
    return NOTHING if bpm is None else HeartRateGroup.of(bpm).value


def _conventions(checked: Sequence[Checked]) -> list[str]:
    names: Mapping[str, None] = dict.fromkeys(name for one in checked for name in one.references)
    return list(names)


def _figure(bpm: float | None) -> str:
    return NOTHING if bpm is None else f"{bpm:.1f}"


def _name(one: Checked) -> str:
    return printable(one.recording)


def _width(checked: Sequence[Checked]) -> int:
    return max((len(_name(one)) for one in checked), default=0)
