"""``boards.yaml``: the boards there are, parsed strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from harness.boards.specs import SPECS, BoardSpec
from harness.boards.yaml_lines import Lines, did_you_mean, parse_yaml
from rppg_core.errors import UserError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Board names end up in file names and tables."""

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


LABEL, TOGETHER = "label:", "+"


def find_boards(boards: Mapping[str, BoardSpec], asked: str) -> tuple[str, tuple[str, ...]]:
    """Return the name of a target and its boards: one, or several that share the work.

    ``asked`` is a board's name, names joined by ``+``, or ``label:`` and a label. Raises
    ``UserError`` for what there is none of.
    """
    if asked.startswith(LABEL):
        label = asked.removeprefix(LABEL)
        found = tuple(name for name, spec in boards.items() if label in spec.labels)
        if not found:
            labels = sorted({one for spec in boards.values() for one in spec.labels})
            have = f"labels are: {', '.join(labels)}" if labels else "no board has 'labels'"
            raise UserError(f"no board with the label {label!r}; {have}")
        return f"label={label}", found
    names = tuple(dict.fromkeys(part.strip() for part in asked.split(TOGETHER)))
    for name in names:
        pick_board(boards, name)
    return TOGETHER.join(names), names


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
