"""Getting a board back after it failed, and telling what befell it."""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.boards.base import Board
from harness.boards.errors import BoardError
from harness.boards.wire import Deadline

RECOVER_S = 120.0
"""A small board is up again within a minute after a reset."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0


def recover(
    board: Board,
    failure: BoardError,
    boot_id: str,
    lease_wait_s: float,
    say: Callable[[str], None],
) -> str:
    """Connect again, with the lease, within ``RECOVER_S``; return the board's ``boot_id``.

    A connection that is sound is kept, and the lease with it. Says what befell the board in
    ``failure.kind`` and ``failure.message``. Raises ``BoardError`` of kind "unreachable" if it
    does not come back.
    """
    if _is_sound(board, failure):
        return boot_id
    deadline, pause_s, began = Deadline(RECOVER_S), FIRST_PAUSE_S, time.monotonic()
    board.hang_up()
    while True:
        try:
            board.connect()
            now = str(board.facts().get("boot_id", ""))
            board.acquire(lease_wait_s, say)
            break
        except BoardError as error:
            board.hang_up()
            if not error.retryable:
                raise
            if not deadline.left_s:
                raise BoardError(
                    f"it did not come back in {time.monotonic() - began:.0f} s ({error.message})",
                    board=failure.board,
                    doing=failure.doing,
                    retryable=True,
                    hint="is it switched on, and its link up?",
                    kind="unreachable",
                ) from error
        time.sleep(min(pause_s, deadline.left_s))
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    if boot_id and now and now != boot_id:
        failure.kind = "rebooted"
        failure.message = f"the board was restarted ({failure.message})"
    return now


def _is_sound(board: Board, failure: BoardError) -> bool:
    """Say whether what failed was neither the link nor the lease."""
    if failure.kind == "unreachable":
        return False
    try:
        board.check()
    except BoardError:
        return False
    return True
