"""``boards.yaml``: the boards there are, parsed strictly."""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from harness.boards.base import Board
from harness.boards.local import LocalBoard
from harness.boards.loopback import LoopbackBoard
from harness.boards.settings import BoardSettings, Budget, Delegate, Expect, HealthLimits, Label
from harness.boards.ssh import DEFAULT_WORKDIR, SshBoard
from harness.boards.ssh_config import with_ssh_config
from harness.boards.ssh_link import SSH_PORT, SshTarget
from harness.boards.virtual.board import VirtualBoard
from harness.boards.yaml_lines import Lines, did_you_mean, parse_yaml
from rppg_core.errors import UserError
from rppg_core.runtime import RUNTIMES

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Board names end up in file names and tables."""

Text = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f]+$")]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9_:\[\]][A-Za-z0-9._:%\[\]-]{0,254}$")]
Seconds = Annotated[float, Field(gt=0, le=300)]
DEFAULT_KNOWN_HOSTS = "~/.ssh/known_hosts"


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    threads: int = Field(1, ge=1, le=64, description="a whole number of processor threads")
    runtime: str = Field("auto", description=f"auto, {', '.join(RUNTIMES)}")
    delegate: Delegate | None = Field(default=None, description="edgetpu, or leave it out")
    labels: Annotated[list[Label], Field(max_length=50)] = Field(
        [], description="a list of words such as [coral, lab-2]"
    )
    expect: Expect = Expect()
    health: HealthLimits = HealthLimits()

    @field_validator("runtime")
    @classmethod
    def _known_runtime(cls, value: str) -> str:
        choices = ("auto", *RUNTIMES)
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value

    def settings(self) -> BoardSettings:
        """Return what holds for a board of any kind."""
        return BoardSettings(
            delegate=self.delegate,
            labels=tuple(self.labels),
            disk_budget_bytes=getattr(self, "disk_budget", None),
            expect=self.expect,
            health=self.health,
        )


class LocalSpec(_Spec):
    """This machine, files used in place; ``python`` defaults to the one that runs the harness."""

    kind: Literal["local"]
    python: Text | None = None


class LoopbackSpec(_Spec):
    """This machine over a private SSH server; ``workdir`` defaults to a cache of the user's."""

    kind: Literal["loopback"]
    python: Text | None = None
    workdir: Text | None = None
    disk_budget: Budget | None = Field(default=None, description="a size of 64 MB or more")


class SshSpec(_Spec):
    """A board over SSH; ``python`` and ``workdir`` are the board's, the other paths the host's."""

    kind: Literal["ssh"]
    host: Host = Field(description="a name, an address, or an alias of ~/.ssh/config")
    port: int = Field(default=SSH_PORT, ge=1, le=65535, description="a number from 1 to 65535")
    user: Text | None = None
    key: Text | None = Field(default=None, description="a file on this machine")
    known_hosts: Text = Field(DEFAULT_KNOWN_HOSTS, description="a file on this machine")
    python: Text = Field(default="python3", description="the board's Python, 3.7 or newer")
    workdir: Text = Field(DEFAULT_WORKDIR, description="a folder on the board")
    disk_budget: Budget | None = Field(default=None, description="a size of 64 MB or more")
    connect_timeout_s: Seconds = Field(10.0, description="seconds, at most 300")


class VirtualSpec(_Spec):
    """An emulated board, its ``threads`` always 1.

    ``instructions_per_ms`` has, for real boards by any name, what was measured on them; with it
    counts are also shown as an estimate of time.
    """

    kind: Literal["virtual"]
    threads: Literal[1] = 1
    instructions_per_ms: dict[Text, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)


BoardSpec = LocalSpec | LoopbackSpec | SshSpec | VirtualSpec
SPECS: Mapping[str, type[_Spec]] = {
    "local": LocalSpec,
    "loopback": LoopbackSpec,
    "ssh": SshSpec,
    "virtual": VirtualSpec,
}
_ADAPTER: TypeAdapter[BoardSpec] = TypeAdapter(Annotated[BoardSpec, Field(discriminator="kind")])


def load_boards(path: Path) -> dict[str, BoardSpec]:
    """Return the boards of a file by name; raises ``UserError`` with file, line and remedy."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from error
    loaded, lines = parse_yaml(text, str(path))
    if not isinstance(loaded, dict) or not loaded:
        raise UserError(f"{path}: expected boards, each as 'name: {{kind: ssh, host: ...}}'")
    return {str(name): _parse(path, name, entry, lines) for name, entry in loaded.items()}


def pick_board(boards: Mapping[str, BoardSpec], name: str) -> BoardSpec:
    """Return the board of that name; an unknown one raises ``UserError`` with those there are."""
    if name not in boards:
        raise UserError(f"no board {name!r}; there are: {', '.join(sorted(boards))}")
    return boards[name]


def open_board(spec: BoardSpec) -> Board:
    """Return the board a spec describes, not yet connected."""
    board = _make(spec)
    board.settings = spec.settings()
    return board


def _make(spec: BoardSpec) -> Board:
    if isinstance(spec, LocalSpec):
        return LocalBoard(spec.name, python=spec.python, threads=spec.threads, runtime=spec.runtime)
    if isinstance(spec, LoopbackSpec):
        return LoopbackBoard(
            spec.name,
            python=spec.python,
            workdir=spec.workdir,
            threads=spec.threads,
            runtime=spec.runtime,
        )
    if isinstance(spec, VirtualSpec):
        return VirtualBoard(
            spec.name, runtime=spec.runtime, instructions_per_ms=spec.instructions_per_ms
        )
    return SshBoard(
        spec.name,
        _target(spec),
        python=spec.python,
        workdir=spec.workdir,
        threads=spec.threads,
        runtime=spec.runtime,
    )


def _target(spec: SshSpec) -> SshTarget:
    """Return whom to connect to: what the board's entry says, then what ``~/.ssh/config`` does."""
    given = SshTarget(
        host=spec.host,
        port=spec.port,
        user=spec.user or getpass.getuser(),
        key=Path(spec.key) if spec.key else None,
        known_hosts=Path(spec.known_hosts),
        connect_timeout_s=spec.connect_timeout_s,
    )
    return with_ssh_config(given, spec.model_fields_set)


def _parse(path: Path, name: object, entry: object, lines: Lines) -> BoardSpec:
    at = f"{path}: line {lines(name)}"
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise UserError(
            f"{at}: board name {name!r} must be letters, digits, '.', '_' and '-', at most 64"
        )
    if not isinstance(entry, dict):
        raise UserError(f"{at}: board {name!r}: expected settings such as 'kind: local'")
    if "name" in entry:
        line = lines(name, "name")
        raise UserError(
            f"{path}: line {line}: board {name!r}: field 'name': remove it, the key is the name"
        )
    try:
        return _ADAPTER.validate_python({**entry, "name": name})
    except ValidationError as error:
        first = error.errors()[0]
        where = [name, *first["loc"][1:]]
        if first["type"].startswith("union_tag"):
            where = [name, "kind"]
        line = lines(*where)
        raise UserError(f"{path}: line {line}: board {name!r}: {_explain(first, entry)}") from error


def _explain(first: Any, entry: Mapping[str, Any]) -> str:
    """Say the first thing that is wrong with an entry, and what would be right."""
    if first["type"].startswith("union_tag"):
        return f"field 'kind': must be one of {', '.join(SPECS)}"
    place = [str(part) for part in first["loc"][1:]]
    field = ".".join(place)
    fields, remedy = _fields(str(entry["kind"]), place)
    if first["type"] == "extra_forbidden":
        hint = did_you_mean(place[-1], [name for name in fields if name != "name"])
        return f"field {field!r}: there is no such setting for this kind; {hint}"
    return f"field {field!r}: {first['msg']}" + (f"; give {remedy}" if remedy else "")


def _fields(kind: str, place: Sequence[str]) -> tuple[list[str], str]:
    """Return the settings that could stand at a place, and what the one named there takes."""
    model: type[BaseModel] = SPECS[kind]
    remedy = ""
    for part in place:
        info = model.model_fields.get(part)
        if info is None:
            break
        remedy = info.description or remedy
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            model = info.annotation
    return list(model.model_fields), remedy
