"""The board's failures: told apart from the user's mistakes, and from a regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

Kind = Literal[
    "rebooted",
    "unreachable",
    "out of memory",
    "out of disk",
    "crashed",
    "damaged",
    "edge tpu",
    "lease",
    "busy",
    "other",
]
"""What befell the board, as far as it can be told."""


class BoardError(Exception):
    """A board did not do what it was asked; one line that names the board and the step.

    ``retryable`` says whether the same request may succeed later without anyone's help.
    ``kind`` says what it was, as far as that can be told. ``records`` holds the replay records
    that had safely arrived before the failure.
    """

    def __init__(
        self,
        message: str,
        *,
        board: str,
        doing: str,
        retryable: bool,
        hint: str = "",
        kind: Kind = "other",
        records: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.message = " ".join(message.split())
        self.board = board
        self.doing = doing
        self.retryable = retryable
        self.hint = hint
        self.kind: Kind = kind
        self.records = list(records)
        line = f"{board}: {self.message} while {doing}"
        super().__init__(f"{line}; {hint}" if hint else line)
