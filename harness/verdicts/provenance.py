"""What figures hold for, and which differences make two of them incomparable.

Heart rates depend on the recordings, their labels, the face detector, the pipeline's settings, and
the pace where frames may be dropped.
Another processor, kernel, Python or runtime moves them by rounding alone, far below any margin, so
there such a difference is shown and does not hinder a comparison. Times depend on all of these, but
not on the labels. Another model, by name or by SHA-256, is what one wants to hold against a
baseline, for error and for time: it is shown and never refused. The code is not part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Scalar = str | int | float | bool | None
Named = Annotated[str, Field(min_length=1)]


class Provenance(BaseModel):
    """Where figures come from; ``settings`` are the pipeline's, by dotted name."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    processor: Named
    machine: Named
    kernel: Named
    python: Named
    numpy: Named
    opencv: Named
    runtime: Named
    delegate: Named
    threads: Named
    model: Named
    model_sha256: Named
    detector: Named
    labels: Named
    pace: Named = "fast"
    settings: Mapping[str, Scalar] = Field(default_factory=dict)


class Compared(str, Enum):
    """What is compared; either stands on its own provenance."""

    ERROR = "error"
    TIME = "time"


SHOWN_ALONE = frozenset({"model", "model_sha256"})
OF_THE_BOARD = frozenset(
    {"processor", "machine", "kernel", "python", "numpy", "opencv", "runtime", "delegate"}
) | {"threads"}
HARMLESS: Mapping[Compared, frozenset[str]] = {
    Compared.ERROR: SHOWN_ALONE | OF_THE_BOARD,
    Compared.TIME: SHOWN_ALONE | {"labels"},
}
"""Keys that may differ in a comparison; every other one spoils it, so that a new key does."""


@dataclass(frozen=True)
class Changed:
    """One key whose value is not the baseline's."""

    key: str
    old: Scalar
    new: Scalar

    def spoils(self, compared: Compared) -> bool:
        """Whether figures before and after cannot be compared."""
        return self.key.partition(".")[0] not in HARMLESS[compared]

    def __str__(self) -> str:
        return f"{self.key}: {_written(self.old)} -> {_written(self.new)}"


def changed(old: Provenance, new: Provenance) -> tuple[Changed, ...]:
    """Return what differs, in the order of the fields, settings last and by name."""
    names = [name for name in Provenance.model_fields if name != "settings"]
    pairs = [(name, getattr(old, name), getattr(new, name)) for name in names]
    pairs += [
        (f"settings.{name}", old.settings.get(name), new.settings.get(name))
        for name in sorted({*old.settings, *new.settings})
    ]
    return tuple(Changed(*pair) for pair in pairs if pair[1] != pair[2])


def flattened(settings: Mapping[str, object], above: str = "") -> dict[str, Scalar]:
    """Return nested settings by dotted name; a list becomes text."""
    flat: dict[str, Scalar] = {}
    for name, value in sorted(settings.items()):
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{above}{name}.")
        elif value is None or isinstance(value, str | int | float | bool):
            flat[above + name] = value
        else:
            flat[above + name] = str(value)
    return flat


def _written(value: Scalar) -> str:
    """Write a value on one line; of a SHA-256 its beginning tells it from others."""
    text = "nothing" if value is None else str(value)
    return f"{text[:12]}..." if len(text) == 64 and " " not in text else text
