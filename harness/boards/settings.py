"""What ``boards.yaml`` says of a board beyond how to reach it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMG]I?B|B)", re.IGNORECASE)
MIN_BUDGET_BYTES = 64 * 10**6
"""The pipeline, a model, a detector, records and their compiled Python fit into this."""


def size_bytes(value: object) -> int:
    """Return the bytes that a text such as "4 GB" or "512 MiB" means; raises ``ValueError``."""
    found = SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("a size is written with its unit, such as '4 GB' or '512 MiB'")
    return round(float(found[1]) * UNITS[found[2].upper()])


Size = Annotated[int, BeforeValidator(size_bytes), Field(gt=0, le=10**15)]
Budget = Annotated[int, BeforeValidator(size_bytes), Field(ge=MIN_BUDGET_BYTES, le=10**15)]
Pattern = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Delegate = Literal["edgetpu"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Expect(_Part):
    """What the board must turn out to be; ``*`` and ``?`` stand for any text and character."""

    model: Pattern | None = Field(default=None, description="the board's or processor's name")
    machine: Pattern | None = Field(default=None, description="such as aarch64")
    kernel: Pattern | None = Field(default=None, description="such as '4.14.*'")
    python: Pattern | None = Field(default=None, description="such as '3.7.*'")
    runtime: Pattern | None = Field(default=None, description="such as 'tflite_runtime 2.5.*'")

    def mismatch(self, facts: Mapping[str, Any]) -> str:
        """Say what of ``facts`` is not as expected, or nothing.

        ``facts`` are those of ``Board.facts``, and ``runtime`` where it is known.
        """
        known = {"model": facts.get("cpu_model"), **facts}
        wrong = [
            f"{name} is {str(known[name])!r}, expected {pattern!r}"
            for name, pattern in self.model_dump(exclude_none=True).items()
            if known.get(name) is not None and not fnmatchcase(str(known[name]), pattern)
        ]
        return "; ".join(wrong)


class HealthLimits(_Part):
    """Beyond these a run is invalid for timing. Throttling and a clock that jumps always are."""

    max_temperature_c: float | None = Field(
        default=None,
        gt=0,
        le=150,
        description="the hottest of the board's sensors, in degrees Celsius",
    )
    max_load: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        description="processor cores kept busy by anything but the replay",
    )
    min_free_memory: Size | None = Field(default=None, description="a size such as '100 MB'")


@dataclass(frozen=True)
class BoardSettings:
    """What holds for a board of any kind."""

    delegate: Delegate | None = None
    labels: tuple[str, ...] = ()
    disk_budget_bytes: int | None = None
    expect: Expect = field(default_factory=Expect)
    health: HealthLimits = field(default_factory=HealthLimits)
