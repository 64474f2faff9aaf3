"""``labgrid-client``, run for one place: the coordinator's answers, or a line of what is wrong."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable
from typing import TypeVar

from harness.boards.errors import BoardError
from harness.boards.labgrid.place import Place, Waiting, parse_place, parse_waiting
from harness.boards.labgrid.program import (
    COORDINATOR_VARIABLE,
    PROGRAM,
    find_client,
    find_coordinator,
    run_client,
)
from harness.boards.users import shown_user
from harness.boards.wire import last_line
from harness.boards.yaml_lines import did_you_mean
from rppg_core.errors import UserError

ANSWER_S = 20.0
"""An answer takes about 0.3 s."""
SAYS_UNREACHABLE = ("Could not connect to coordinator", "coordinator became unavailable")
SAYS_TAKEN = ("already acquired", "was not reserved for", "Failed to acquire resources")

Parsed = TypeVar("Parsed")


class LabgridClient:
    """The coordinator, as far as it concerns one place.

    Methods raise ``UserError`` for a place or client that is not there and ``BoardError``, of kind
    "unreachable" for a coordinator that does not answer, else.
    """

    def __init__(
        self, board: str, place: str, *, coordinator: str | None = None, client: str | None = None
    ) -> None:
        self.board = board
        self.place = place
        self.given_coordinator = coordinator
        self._client = client
        # As the client itself finds out who it is.
        user = os.environ.get("LG_USERNAME") or shown_user()
        self.me = f"{os.environ.get('LG_HOSTNAME') or socket.gethostname()}/{user}"

    @property
    def coordinator(self) -> str:
        """Its address."""
        return find_coordinator(self.board, self.given_coordinator)

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a request about the place."""
        client = find_client(self.board, self._client)
        return [client, f"--coordinator={self.coordinator}", f"--place={self.place}", *arguments]

    def by_hand(self, *arguments: str) -> str:
        """Return what a person would type for it."""
        return f"{PROGRAM} -x {self.coordinator} -p {self.place} {' '.join(arguments)}"

    def show(self) -> Place:
        """Return the place as it is now."""
        place = self._parsed(parse_place, self._run("show"))
        aliases = [alias.rpartition(":")[2] for alias in place.aliases]
        if self.place != place.name and self.place not in aliases:
            raise self._no_place()  # part of a name will do for the client
        return place

    def acquire(self) -> bool:
        """Acquire the place; False if it, or something of it, is another's."""
        ended = self._call("acquire")
        if ended.returncode and any(words in ended.stderr for words in SAYS_TAKEN):
            return False
        self._answer(ended)
        return True

    def allow(self, who: str) -> None:
        """Let someone (HOST/USER) use the place beside us, until it is released."""
        self._run("allow", who)

    def kick(self) -> None:
        """Release the place, whoever has it."""
        self._run("release", "--kick")

    def reserve(self, name: str) -> str:
        """Stand in line for the place of that very name; return the token to wait with."""
        return self._run("reserve", "--shell", f"name={name}").rpartition("=")[2].strip()

    def wait(self, token: str, limit_s: float) -> bool:
        """Wait for our turn; False if it did not come in time."""
        try:
            self._answer(run_client(self.board, self.command("wait", token), limit_s))
        except subprocess.TimeoutExpired:
            return False
        return True

    def cancel(self, token: str) -> None:
        """Leave the line; never raises, for a token that nobody asks about expires in a minute."""
        with contextlib.suppress(BoardError, UserError):
            self._run("cancel-reservation", token)

    def waiting(self, name: str) -> list[Waiting]:
        """Return who stands in line for the place, in order."""
        return self._parsed(lambda text: parse_waiting(text, name), self._run("reservations"))

    def failed(self, message: str, hint: str = "", *, unreachable: bool = False) -> BoardError:
        """Return the error of a coordinator or place that is not as it should be."""
        return BoardError(
            message,
            board=self.board,
            doing=f"asking for place {self.place}",
            retryable=unreachable,
            hint=hint,
            kind="unreachable" if unreachable else "other",
        )

    def _run(self, *arguments: str) -> str:
        return self._answer(self._call(*arguments))

    def _call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return run_client(self.board, self.command(*arguments), ANSWER_S)
        except subprocess.TimeoutExpired as error:
            raise self._unreachable(f"it said nothing for {ANSWER_S:g} s") from error

    def _answer(self, ended: subprocess.CompletedProcess[str]) -> str:
        """Return what the client printed, or raise for what it could not do."""
        if ended.returncode == 0:
            return ended.stdout
        said = ended.stderr
        if any(words in said for words in SAYS_UNREACHABLE):
            raise self._unreachable(_reason(said))
        if "matches nothing" in said or "matches multiple places" in said:
            raise self._no_place()
        if "has no matching remote resource" in said:
            raise self.failed(
                last_line(said).rpartition("Error: ")[2],
                "is the exporter of this board running, and connected to the coordinator?",
            )
        raise self.failed(f"labgrid-client failed ({last_line(said)})")

    def _parsed(self, parse: Callable[[str], Parsed], text: str) -> Parsed:
        try:
            return parse(text)
        except (ValueError, LookupError) as error:
            raise self.failed(
                f"what {PROGRAM} printed is not understood ({error})",
                "labgrid 26.0 is known to work",
            ) from error

    def _unreachable(self, reason: str) -> BoardError:
        return self.failed(
            f"no labgrid coordinator answers at {self.coordinator} ({reason})",
            f"is it running? Else correct 'coordinator' or {COORDINATOR_VARIABLE}",
            unreachable=True,
        )

    def _no_place(self) -> UserError:
        names = self._run("complete", "places").splitlines()
        known = [name for name in names if name]
        hint = did_you_mean(self.place, known) if known else "there is none at all"
        return UserError(
            f"{self.board}: the coordinator at {self.coordinator} has no place {self.place!r}; "
            f"{hint} (labgrid-client -p {self.place} create makes one)"
        )


def _reason(said: str) -> str:
    """What gRPC made of it, in few words."""
    lines = [line for line in said.splitlines() if "unavailable" in line]
    return (lines or [said])[-1].rpartition(": ")[2].strip() or "it gave no reason"
