"""Talking to the agent on a board: one process, three streams, a deadline for every wait."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.boards import agent, onboard
from harness.boards.errors import BoardError, Kind
from harness.boards.onboard.answers import ACKNOWLEDGED
from rppg_core.errors import UserError

ONBOARD = ("lease", "cache", "store", "answers", "keeping", "health", "packages", "checks")
"""Modules sent with the agent, each after those it imports."""


def _agent_source() -> bytes:
    """Return one program that holds the agent and its modules under their own names."""
    folder = Path(onboard.__file__).parent
    files = [(f"{onboard.__name__}.{name}", folder / f"{name}.py") for name in ONBOARD]
    files.append((agent.__name__, Path(agent.__file__)))
    texts = [(name, path.read_text(encoding="utf-8")) for name, path in files]
    return f"""\
import sys, types
for name, text in {texts!a}:
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
module.main()
""".encode("ascii")


AGENT_SOURCE = _agent_source()
TAIL_CHARS = 4000
"""How much of a board's diagnostics is kept; enough for a traceback."""
BOARD_SILENCE_S = 25.0
"""A board that says nothing for so long is gone; its agent writes a line every few seconds."""
BEAT_S = 5.0
"""How often the host tells the board that it is alive; well below ``agent.HOST_SILENCE_S``."""
STOP_S = agent.KILL_GRACE_S + 5.0
"""How long the agent may take to end what it started and then itself."""
RETRYABLE: tuple[Kind, ...] = ("damaged", "unreachable")
"""Kinds of what the agent refuses that may go well the next time."""
MAKE_ROOM = "make room there, or set a 'disk_budget'"
REMEDIES = {"out of disk": MAKE_ROOM, "busy": "it is in use, try again later"}
"""What to do about kinds of what the agent refuses."""
COMMAND_NOT_FOUND = (126, 127)
TOO_OLD = 3

# Reads the agent's text from standard input and not a byte more; also runs on older Pythons, to
# say what is wrong with them. What lies in the folder it starts in is not imported.
BOOTSTRAP = f"""\
import sys
sys.path[:] = [folder for folder in sys.path if folder]
import os
if sys.version_info < (3, 7):
    sys.stderr.write("Python %d.%d" % sys.version_info[:2])
    sys.exit({TOO_OLD})
size, text = int(sys.argv[1]), b""
while len(text) < size:
    more = os.read(0, size - len(text))
    if not more:
        sys.exit(1)
    text += more
exec(compile(text, "agent.py", "exec"))
"""


def always() -> bool:
    """Say that what is waited for is still wanted."""
    return True


class Deadline:
    """A point in time that is passed down, instead of many timeouts that add up.

    It is now, as soon as what is waited for is no longer ``wanted``.
    """

    def __init__(self, limit_s: float, wanted: Callable[[], bool] = always) -> None:
        self.limit_s = limit_s
        self.wanted = wanted
        self._end = time.monotonic() + limit_s

    @property
    def left_s(self) -> float:
        """Seconds left, not below 0."""
        return max(0.0, self._end - time.monotonic()) if self.wanted() else 0.0


class WireLostError(Exception):
    """The connection to the process broke; nothing is known about the process."""


class Wire(ABC):
    """A process on a board and its streams. Raises ``WireLostError`` when it breaks.

    A board that says nothing for ``silence_s`` is gone.
    """

    silence_s: float = BOARD_SILENCE_S

    @abstractmethod
    def send(self, data: bytes, deadline: Deadline) -> None:
        """Write to the process; one that no longer reads is not an error."""

    @abstractmethod
    def receive(self, wait_s: float) -> tuple[bytes, bytes] | None:
        """Return what came on its two outputs (empty if nothing did), or None at their end."""

    @abstractmethod
    def status(self, deadline: Deadline) -> int | None:
        """Return the exit status, or None if the process did not end in time."""

    @abstractmethod
    def close(self, wait_s: float) -> None:
        """Close its input, which ends it, wait for that, and give up the wire; never raises."""


class AgentCall:
    """One request to the agent on a board, from sending it to its last answer.

    ``on_line`` gets every line of standard output that is not an answer of the agent.
    """

    def __init__(
        self, wire: Wire, *, board: str, doing: str, on_line: Callable[[str], None] | None = None
    ) -> None:
        self._wire = wire
        self._board = board
        self._doing = doing
        self._on_line = on_line
        self._unfinished = b""
        self._answers: list[dict[str, Any]] = []
        self._sent_at = time.monotonic()
        self._heard_at = time.monotonic()
        self._closed = False
        self._gone = False
        self.stderr_tail = ""

    def send(self, request: dict[str, Any], deadline: Deadline) -> None:
        """Send the agent and what it is to do."""
        self._send(AGENT_SOURCE + encode(request), deadline)

    def acknowledge(self, deadline: Deadline) -> None:
        """Tell the agent that the host has what it came for."""
        self._send(ACKNOWLEDGED, deadline)

    def beat(self, deadline: Deadline) -> None:
        """Tell the agent that the host is alive, if it is time to."""
        if time.monotonic() - self._sent_at >= BEAT_S:
            self._send(b".", deadline)

    def answer(self, kind: str, deadline: Deadline) -> dict[str, Any]:
        """Wait for an answer; raises ``BoardError`` when there is none, or it is an error."""
        while True:
            for answer in self._answers:
                if "error" in answer:
                    raise self._refused(answer)
                if answer["agent"] == kind:
                    return answer
            if not deadline.left_s:
                raise self.failed(f"no answer within {deadline.limit_s:.0f} s", retryable=True)
            self._exchange(deadline)

    def poll(self, wait_s: float) -> list[dict[str, Any]]:
        """Return the answers that come within ``wait_s``, and tell the agent the host is alive."""
        self._exchange(Deadline(wait_s))
        came, self._answers = self._answers, []
        for answer in came:
            if "error" in answer:
                raise self._refused(answer)
        return came

    def failed(
        self, message: str, *, retryable: bool, hint: str = "", kind: Kind | None = None
    ) -> BoardError:
        """Return the error that says what the board was doing."""
        return BoardError(
            message,
            board=self._board,
            doing=self._doing,
            retryable=retryable,
            hint=hint,
            kind=kind or "other",
        )

    def close(self) -> None:
        """End the agent and all it started, if it still runs; one that is gone is not awaited."""
        if not self._closed:
            self._closed = True
            self._wire.close(0.0 if self._gone else STOP_S)

    def _refused(self, answer: dict[str, Any]) -> BoardError:
        kind = answer.get("kind")
        hint = REMEDIES.get(str(kind), "")
        return self.failed(answer["error"], retryable=kind in RETRYABLE, hint=hint, kind=kind)

    def note(self, text: str) -> None:
        """Add to the diagnostics."""
        self.stderr_tail = (self.stderr_tail + text)[-TAIL_CHARS:]

    def _lost(self, how: str, hint: str = "") -> BoardError:
        self._gone = True
        return self.failed(
            f"the connection was lost ({how})", retryable=True, hint=hint, kind="unreachable"
        )

    def _send(self, data: bytes, deadline: Deadline) -> None:
        try:
            self._wire.send(data, deadline)
        except WireLostError as error:
            raise self._lost(str(error)) from error
        self._sent_at = time.monotonic()

    def _exchange(self, deadline: Deadline) -> None:
        """Read what comes within a beat, and tell the agent that the host is alive."""
        self.beat(deadline)
        try:
            came = self._wire.receive(min(BEAT_S, deadline.left_s))
        except WireLostError as error:
            raise self._lost(str(error)) from error
        if came is None:
            self._explain_end(Deadline(STOP_S))
            return
        stdout, stderr = came
        if stdout or stderr:
            self._heard_at = time.monotonic()
        elif time.monotonic() - self._heard_at > self._wire.silence_s:
            self._gone = True
            raise self.failed(
                f"it said nothing for {self._wire.silence_s:g} s",
                retryable=True,
                hint="is it switched on, and its link up?",
                kind="unreachable",
            )
        self.note(stderr.decode("utf-8", "replace"))
        *lines, self._unfinished = (self._unfinished + stdout).split(b"\n")
        for line in lines:
            self._take(line.decode("utf-8", "replace"))

    def _take(self, line: str) -> None:
        if line.startswith('{"') and '"agent"' in line:
            answer = parse_object(line)
            if answer is not None and "agent" in answer:
                if answer["agent"] != "beat":
                    self._answers.append(answer)
                return
        if line.strip() and self._on_line:
            self._on_line(line)

    def _explain_end(self, deadline: Deadline) -> None:
        """Raise for an agent that ended without the answer that is waited for."""
        status = self._wire.status(deadline)
        said = last_line(self.stderr_tail)
        if status in COMMAND_NOT_FOUND:
            raise UserError(
                f"{self._board}: its Python cannot be started ({said}); "
                "set 'python' of this board to one that exists there"
            )
        if status == TOO_OLD:
            raise UserError(
                f"{self._board}: {said} is too old, the pipeline needs 3.7; "
                "set 'python' of this board to a newer one"
            )
        if status is None or status == -1:
            raise self._lost("no exit status came", "was the board switched off or reset?")
        raise self.failed(f"the board's agent ended with status {status} ({said})", retryable=True)


def encode(request: dict[str, Any]) -> bytes:
    """Return a request as the agent reads it."""
    return json.dumps(request).encode("ascii")


def agent_arguments(request: dict[str, Any]) -> list[str]:
    """Return what follows the board's Python on the command line, for this request."""
    return ["-S", "-c", BOOTSTRAP, str(len(AGENT_SOURCE)), str(len(encode(request)))]


def parse_object(line: str) -> dict[str, Any] | None:
    """Return the JSON object that a line is, or None."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def last_line(text: str) -> str:
    """Return the last line that says something."""
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"
