"""A clock that shows a board's time, so that pytest-benchmark's table and JSON hold board times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

_shown_s = 0.0


def board_clock() -> float:
    """The board's time in s: it stands still but for what `play` adds."""
    return _shown_s


def play(benchmark: Any, runs_s: Sequence[float]) -> None:
    """Feed durations measured on a board, one per run, to a pytest-benchmark fixture.

    The test must carry `@pytest.mark.benchmark(timer=board_clock)`.
    """
    remaining: Iterator[float] = iter(runs_s)

    def advance() -> None:
        global _shown_s  # noqa: PLW0603 (pytest-benchmark's timer takes no argument)
        _shown_s += next(remaining, 0.0)

    benchmark.pedantic(advance, rounds=len(runs_s), iterations=1)
