"""``boards.yaml``: the boards there are, parsed strictly."""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from harness.boards.base import Board
from harness.boards.local import LocalBoard
from harness.boards.loopback import LoopbackBoard
from harness.boards.ssh import DEFAULT_WORKDIR, SshBoard
from harness.boards.ssh_link import SSH_PORT, SshTarget
from harness.boards.virtual.board import VirtualBoard
from rppg_core.errors import UserError
from rppg_core.runtime import RUNTIMES

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Board names end up in file names and tables."""

Text = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f]+$")]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9_:\[\]][A-Za-z0-9._:%\[\]-]{0,254}$")]
Seconds = Annotated[float, Field(gt=0, le=300)]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    runtime: str = "auto"

    @field_validator("runtime")
    @classmethod
    def _known_runtime(cls, value: str) -> str:
        choices = ("auto", *RUNTIMES)
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value


class LocalSpec(_Spec):
    """This machine, files used in place; ``python`` defaults to the one that runs the harness."""

    kind: Literal["local"]
    python: Text | None = None


class LoopbackSpec(_Spec):
    """This machine over a private SSH server; ``workdir`` defaults to a cache of the user's."""

    kind: Literal["loopback"]
    python: Text | None = None
    workdir: Text | None = None


class SshSpec(_Spec):
    """A board over SSH; ``python`` and ``workdir`` are the board's, the other paths the host's."""

    kind: Literal["ssh"]
    host: Host
    port: Annotated[int, Field(ge=1, le=65535)] = SSH_PORT
    user: Text | None = None
    key: Text | None = None
    known_hosts: Text = "~/.ssh/known_hosts"
    python: Text = "python3"
    workdir: Text = DEFAULT_WORKDIR
    connect_timeout_s: Seconds = 10.0


class VirtualSpec(_Spec):
    """An emulated board, its ``threads`` always 1.

    ``instructions_per_ms`` has, for real boards by any name, what was measured on them; with it
    counts are also shown as an estimate of time.
    """

    kind: Literal["virtual"]
    threads: Literal[1] = 1
    instructions_per_ms: dict[Text, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)


BoardSpec = LocalSpec | LoopbackSpec | SshSpec | VirtualSpec
_ADAPTER: TypeAdapter[BoardSpec] = TypeAdapter(Annotated[BoardSpec, Field(discriminator="kind")])


def load_boards(path: Path) -> dict[str, BoardSpec]:
    """Return the boards of a file by name; raises ``UserError`` naming file, board and field."""
    try:
        loaded = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(loaded, dict) or not loaded:
        raise UserError(f"{path}: expected boards, each as 'name: {{kind: ssh, host: ...}}'")
    return {str(name): _parse(path, name, entry) for name, entry in loaded.items()}


def pick_board(boards: Mapping[str, BoardSpec], name: str) -> BoardSpec:
    """Return the board of that name; an unknown one raises ``UserError`` with those there are."""
    if name not in boards:
        raise UserError(f"no board {name!r}; there are: {', '.join(sorted(boards))}")
    return boards[name]


def open_board(spec: BoardSpec) -> Board:
    """Return the board a spec describes, not yet connected."""
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
    target = SshTarget(
        host=spec.host,
        port=spec.port,
        user=spec.user or getpass.getuser(),
        key=Path(spec.key) if spec.key else None,
        known_hosts=Path(spec.known_hosts),
        connect_timeout_s=spec.connect_timeout_s,
    )
    return SshBoard(
        spec.name,
        target,
        python=spec.python,
        workdir=spec.workdir,
        threads=spec.threads,
        runtime=spec.runtime,
    )


def _parse(path: Path, name: object, entry: object) -> BoardSpec:
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise UserError(
            f"{path}: board name {name!r} must be letters, digits, '.', '_' and '-', at most 64"
        )
    if not isinstance(entry, dict):
        raise UserError(f"{path}: board {name!r}: expected settings such as 'kind: local'")
    if "name" in entry:
        raise UserError(f"{path}: board {name!r}: field 'name': remove it, the key is the name")
    try:
        return _ADAPTER.validate_python({**entry, "name": name})
    except ValidationError as error:
        raise UserError(f"{path}: board {name!r}: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    """Say the first thing that is wrong with an entry."""
    first = error.errors()[0]
    if first["type"] in ("union_tag_not_found", "union_tag_invalid"):
        return "field 'kind': must be one of local, loopback, ssh, virtual"
    field = ".".join(str(part) for part in first["loc"][1:])
    if first["type"] == "extra_forbidden":
        return f"field {field!r}: there is no such setting for this kind"
    return f"field {field!r}: {first['msg']}"


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error, not a surprise."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:
        key = str(key_node.value)
        if key in seen:
            line = key_node.start_mark.line + 1
            raise yaml.YAMLError(f"line {line}: {key!r} stands twice")
        seen.add(key)
    return loader.construct_mapping(node)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
