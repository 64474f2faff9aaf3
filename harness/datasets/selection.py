"""Which recordings of a dataset are meant: by id, subject or condition, or by a named split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from harness.datasets.base import Dataset, Labels, Progress, Recording, Signals
from rppg_core.errors import UserError

_SHOWN = 12  # of the names that exist, in a message


@dataclass(frozen=True)
class Selection:
    """What a recording must meet: one of each list that is not empty. Names may have * and ?.

    `conditions` maps the name of a condition to the values that are wanted.
    """

    recordings: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    conditions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is left out."""
        return bool(self.recordings or self.subjects or self.conditions)

    def meets(self, recording: Recording) -> bool:
        """Whether a recording is meant."""
        return (
            _named(recording.id, self.recordings)
            and _named(recording.subject, self.subjects)
            and all(recording.conditions.get(n) in v for n, v in self.conditions.items())
        )


def choose(found: Sequence[Recording], selection: Selection, dataset: str) -> list[Recording]:
    """The recordings that are meant, in their order.

    UserError for a condition or value that no recording has, and where nothing is left.
    """
    _check_conditions(found, selection, dataset)
    chosen = [recording for recording in found if selection.meets(recording)]
    if not chosen:
        raise UserError(f"dataset {dataset}: no recording {_described(selection, found)}")
    return chosen


def unmatched(found: Sequence[Recording], selection: Selection) -> list[str]:
    """The patterns that no recording answers to, as `recordings: s7`."""
    kinds: tuple[tuple[str, tuple[str, ...], Callable[[Recording], str]], ...] = (
        ("recordings", selection.recordings, lambda recording: recording.id),
        ("subjects", selection.subjects, lambda recording: recording.subject),
    )
    return [
        f"{kind}: {pattern}"
        for kind, patterns, name_of in kinds
        for pattern in patterns
        if not any(fnmatchcase(name_of(one), pattern) for one in found)
    ]


def parse_conditions(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`name=value[,value]`, any number of times, as conditions; UserError for another form."""
    conditions: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        wanted = tuple(value.strip() for value in values.split(",") if value.strip())
        if not (equals and name.strip() and wanted):
            raise UserError(f"condition {text!r}: expected name=value or name=value,value")
        name = name.strip()
        conditions[name] = conditions.get(name, ()) + wanted
    return conditions


class SelectedDataset(Dataset):
    """A part of another dataset; everything else is as there."""

    def __init__(self, whole: Dataset, selection: Selection, name: str | None = None) -> None:
        """Leave out what `selection` does not meet; a split has a `name` of its own."""
        self.whole = whole
        self.selection = selection
        self.kind = whole.kind
        self.synthetic = whole.synthetic
        self.conventions = whole.conventions
        super().__init__(name or whole.name, whole.root, whole.convention)

    def prepare(self, progress: Progress | None = None) -> None:
        """Make whatever the whole dataset makes."""
        self.whole.narrow({one.id for one in self.recordings()}).prepare(progress)

    def recordings(self) -> list[Recording]:
        """List the recordings that are meant."""
        return choose(self.whole.recordings(), self.selection, self.name)

    def signals(self, recording: Recording) -> Signals:
        """As the whole dataset has them."""
        return self.whole.signals(recording)

    def labels(self, recording: Recording) -> Labels:
        """As the whole dataset has them."""
        return self.whole.labels(recording)

    def take(self, recording: Recording) -> str:
        """As the whole dataset has it."""
        return self.whole.take(recording)

    def absent(self) -> list[str]:
        """What the whole dataset lacks, and what was asked for and is not there."""
        asked = unmatched(self.whole.recordings(), self.selection)
        return [*self.whole.absent(), *(f"{one}: nothing of that name" for one in asked)]


def select(dataset: Dataset, selection: Selection, name: str | None = None) -> Dataset:
    """The part of a dataset that is meant, or the dataset itself where that is all of it."""
    return SelectedDataset(dataset, selection, name) if selection or name else dataset


def _named(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(name == one or fnmatchcase(name, one) for one in patterns)


def _check_conditions(found: Sequence[Recording], selection: Selection, dataset: str) -> None:
    known: dict[str, set[str]] = {}
    for recording in found:
        for name, value in recording.conditions.items():
            known.setdefault(name, set()).add(value)
    for name, wanted in selection.conditions.items():
        if name not in known:
            there = f"there are: {', '.join(sorted(known))}" if known else "it has none at all"
            raise UserError(f"dataset {dataset} has no condition {name!r}; {there}")
        strange = sorted(set(wanted) - known[name])
        if strange:
            raise UserError(
                f"dataset {dataset} has no recording with {name}={strange[0]}; {name} is one of: "
                f"{', '.join(sorted(known[name]))}"
            )


def _described(selection: Selection, found: Sequence[Recording]) -> str:
    parts = []
    if selection.recordings:
        parts.append(f"named {', '.join(selection.recordings)}")
    if selection.subjects:
        parts.append(f"of subject {', '.join(selection.subjects)}")
    parts += [f"with {name}={','.join(v)}" for name, v in selection.conditions.items()]
    names = [recording.id for recording in found]
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    return f"{', '.join(parts)}; there are: {', '.join(names[:_SHOWN])}{more}"
