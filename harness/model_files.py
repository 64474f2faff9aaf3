"""Reviewed YAML files that hold one pydantic model each: read strictly, written in one form."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from harness.boards.yaml_lines import Lines, parse_yaml
from rppg_core.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def read_model(path: Path, model: type[Model], remedy: str) -> Model:
    """Return what a file holds.

    Raises:
        UserError: one line with the file, the line in it, what is wrong, and ``remedy``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as bad:
        raise UserError(f"{path}: cannot be read ({bad}); {remedy}") from None
    content, lines = parse_yaml(text, str(path))
    try:
        return model.model_validate(content)
    except ValidationError as bad:
        raise UserError(f"{path}: {_mistake(bad, lines)}; {remedy}") from None


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _mistake(bad: ValidationError, lines: Lines) -> str:
    first = bad.errors(include_url=False)[0]
    place = ".".join(str(one) for one in first["loc"])
    said = first["msg"].removeprefix("Value error, ")
    return f"line {lines(*first['loc'])}, {place}: {said}"
