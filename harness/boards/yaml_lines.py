"""Strict YAML that remembers on which line everything stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from rppg_core.errors import UserError

Where = tuple[str, ...]


class Lines:
    """The line of each key of a document, by the keys (and list indexes) that lead to it."""

    def __init__(self, of: dict[Where, int]) -> None:
        self._of = of

    def __call__(self, *where: object) -> int:
        """The line of what `where` leads to, or of the nearest thing around it; 1-based."""
        path = tuple(map(str, where))
        while path and path not in self._of:
            path = path[:-1]
        return self._of.get(path, 1)


def parse_yaml(text: str, name: str) -> tuple[Any, Lines]:
    """The content of a document and its lines.

    Raises UserError, one line beginning with `name`, for what is no YAML or has a key twice.
    """
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None, Lines({})
            lines = dict(_walk(node, ()))
            return loader.construct_document(node), Lines(lines)
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as bad:
        raise UserError(f"{name}: {_one_line(bad)}") from None


def _walk(node: yaml.Node, path: Where) -> Iterator[tuple[Where, int]]:
    """Every place with its line; raises for a key that stands twice, which YAML would let pass."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            here, line = (*path, str(key.value)), key.start_mark.line + 1
            if here in seen:
                raise yaml.YAMLError(f"line {line}: {key.value!r} stands twice")
            seen.add(here)
            yield here, line
            yield from _walk(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*path, str(index)), value.start_mark.line + 1
            yield from _walk(value, (*path, str(index)))


def _one_line(bad: Exception) -> str:
    mark = getattr(bad, "problem_mark", None)
    said = " ".join(str(bad).split())
    return f"line {mark.line + 1}: {said}" if mark is not None else said


def did_you_mean(wrong: str, choices: Sequence[str]) -> str:
    """A hint at the nearest of `choices`, else all of them."""
    import difflib  # noqa: PLC0415 (only on the way to an error)

    near = difflib.get_close_matches(wrong, choices, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(choices))}"
