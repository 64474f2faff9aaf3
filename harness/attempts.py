"""One recording on a board, as often as it takes: board failures and spoilt times are retried."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from harness.boards.base import Board, EventHandler, PutReport
from harness.boards.errors import BoardError
from harness.boards.health import troubles
from harness.boards.recovery import recover
from rppg_core.errors import UserError
from rppg_core.records import INSTRUCTIONS
from rppg_core.replay import EXIT_UNUSABLE

OF_THE_RECORDING = ("crashed", "out of memory")
"""What one recording may do to a board that is sound otherwise."""

OF_HEAT = ("throttled", "max_temperature_c")
"""Of a board's health, what a replay for minutes is there to show; it does not spoil that."""

MakeJob = Callable[[PutReport], Mapping[str, Any]]
Made = TypeVar("Made")


@dataclass(frozen=True)
class Effort:
    """How hard to try.

    ``timed`` says that the times of the replays matter: then nothing is sent beside them, and one
    whose times are invalid is replayed again, at most ``timing_retries`` times.
    """

    timeout_s: float = 900.0
    board_retries: int = 2
    timed: bool = True
    timing_retries: int = 2
    lease_wait_s: float = 600.0


class RecordingFailedError(Exception):
    """This recording cannot be replayed on this board; the others may."""


class Attempts:
    """Makes a board ready and replays recordings one after the other on it."""

    def __init__(self, board: Board, effort: Effort, say: Callable[[str], None]) -> None:
        self._board = board
        self._effort = effort
        self._say = say
        self._boot_id = ""
        self._check_package = False
        self.sent_bytes = 0

    def ready(self, make_ready: Callable[[], Made]) -> Made:
        """Return what ``make_ready`` does, which is begun again when the board fails meanwhile.

        Raises ``UserError`` or ``BoardError`` (all retries spent).
        """
        failures = 0
        while True:
            try:
                self._boot_id = str(self._board.facts().get("boot_id", ""))
                return make_ready()
            except BoardError as failure:
                if failures >= self._effort.board_retries or not failure.retryable:
                    raise
                failures += 1
                self._recover(failure)

    def replay(
        self,
        name: str,
        paths: Sequence[Path],
        make_job: MakeJob,
        on_event: EventHandler,
        ahead: Sequence[Path] = (),
    ) -> dict[str, Any]:
        """Return the record of one recording, with what can be said of its times.

        ``paths`` are put on the board first; ``ahead`` are sent meanwhile if times do not matter.
        Raises ``RecordingFailedError``, ``UserError`` or ``BoardError`` (all retries spent).
        """
        spoilt: list[list[str]] = []
        befell: list[str] = []
        while True:
            try:
                record, beside = self._once(name, paths, make_job, on_event, ahead)
            except BoardError as failure:
                befell.append(self._get_over(name, failure, len(befell)))
                continue
            reasons = self._troubles(record)
            if beside:
                reasons.append("another recording was being sent")
            if reasons and self._effort.timed and len(spoilt) < self._effort.timing_retries:
                spoilt.append(reasons)
                self._say(f"{name}: times invalid ({'; '.join(reasons)}), replayed again")
                continue
            record["timing"] = {"valid": not reasons, "reasons": reasons, "spoilt_before": spoilt}
            record["board_failures"] = befell
            return record

    def _troubles(self, record: Mapping[str, Any]) -> list[str]:
        if self._board.timings_unit == INSTRUCTIONS:
            return []  # neither load nor a clock changes how many there are
        health = record.get("health", {})
        if "sustained" in record:
            health = {name: seen for name, seen in health.items() if name not in OF_HEAT}
        return troubles(health, self._board.settings.health)

    def _once(
        self,
        name: str,
        paths: Sequence[Path],
        make_job: MakeJob,
        on_event: EventHandler,
        ahead: Sequence[Path],
    ) -> tuple[dict[str, Any], int]:
        if self._check_package:
            self.sent_bytes += self._board.deploy().sent_bytes
            self._check_package = False
        try:
            placed = self._board.place(paths)
        except UserError as bad:  # a video that cannot be read, or is larger than the budget
            raise RecordingFailedError(str(bad)) from bad
        self.sent_bytes += placed.sent_bytes
        job = make_job(placed)
        if ahead and not self._effort.timed:
            self._board.send_ahead(ahead)
        try:
            limit_s = self._effort.timeout_s + 60.0 * (job.get("minutes") or 0.0)
            record = _record(self._board, name, job, on_event, limit_s)
        finally:
            beside = self._board.settle()
            self.sent_bytes += beside
        return record, beside

    def _get_over(self, name: str, failure: BoardError, failures: int) -> str:
        """Make ready for another attempt, and say what befell the board; raises if there is none.

        A failure that is not the connection's leaves the board as it was.
        """
        spent = failures >= self._effort.board_retries
        if failure.kind in OF_THE_RECORDING and spent:
            raise RecordingFailedError(str(failure)) from failure
        unclear = not failure.retryable and failure.kind == "other"
        damaged = unclear and not spent and self._mended()
        if spent or not (failure.retryable or damaged):
            raise failure
        self._check_package = True  # a sudden end may have cost it some of its files
        if damaged:
            self._say(f"{failure}; trying again")
            return f"damaged: the pipeline was damaged there ({failure.message})"
        self._recover(failure)
        return f"{failure.kind}: {failure.message}"

    def _recover(self, failure: BoardError) -> None:
        self._say(f"{failure}; trying again")
        wait_s = self._effort.lease_wait_s
        self._boot_id = recover(self._board, failure, self._boot_id, wait_s, self._say)

    def _mended(self) -> bool:
        """Say whether the pipeline on the board was found damaged, and is whole again."""
        try:
            sent = self._board.deploy()
        except (BoardError, UserError):
            return False
        self.sent_bytes += sent.sent_bytes
        return sent.sent_files > 0


def _record(
    board: Board, name: str, job: Mapping[str, Any], on_event: EventHandler, timeout_s: float
) -> dict[str, Any]:
    outcome = board.replay(job, on_event, timeout_s)
    if outcome.exit_status == EXIT_UNUSABLE or len(outcome.records) != 1:
        lines = outcome.stderr_tail.strip().splitlines() or ["it said nothing"]
        said = lines[-1].removeprefix("replay: ")
        if outcome.exit_status == EXIT_UNUSABLE:
            raise UserError(f"{board.name}: {said}")
        raise BoardError(
            f"{len(outcome.records)} records for one recording ({said})",
            board=board.name,
            doing=f"replaying {name!r}",
            retryable=True,
        )
    return outcome.records[0]
