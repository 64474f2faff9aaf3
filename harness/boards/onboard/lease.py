"""Who may use this board: one holder at a time, whichever machine it calls from.

The lease is a JSON file in the work folder, so all hosts that share a board must share its work
folder. It is changed under a lock of the kernel's, which goes with the process that has it, and
replaced whole. A holder that is not heard of for ``EXPIRES_S`` of this board's own uptime, or that
held the lease before the board was last started, has lost it; the wall clock plays no part.

Each taking has a generation, which only grows. Work done under a lease names its generation and
stops when that is no longer the current one: a lease that was taken away stops its former holder.
Not guaranteed: that a holder who lost the lease stops before its next look, ``LOOK_S`` later.

A full disk must not keep anyone from the lease, without which no room can be made: the ballast, a
file that holds nothing, lies beside it to be thrown off then.
"""

import contextlib
import errno
import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

EXPIRES_S = 15.0
RENEW_S = 2.0
LOOK_S = 1.0
"""How often work under a lease looks whether it is still the current one."""
TEXT_CHARS = 200
BALLAST_BYTES = 1 << 16
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
GIVEN_UP = "the lease of this board was given up, its host was silent"
BOOT_ID = "/proc/sys/kernel/random/boot_id"

State = Dict[str, Any]


class LeaseError(Exception):
    """The lease was taken away; ``kind`` is what that is to the host."""

    kind = "lease"


class LapsedError(LeaseError):
    """The lease was given up, because nothing was heard of its holder; it may be taken again."""

    kind = "unreachable"


class HeldError(LeaseError):
    """The lease is another's, and was not asked for."""

    kind = "busy"


class LeaseFile:
    """The lease in a board's work folder."""

    def __init__(self, root: Path) -> None:
        self.path = root / "lease.json"
        self._mutex = root / "lease.lock"
        self._ballast = root / "lease.ballast"

    def read(self) -> State:
        """Return the state as it stands, without waiting for anyone."""
        try:
            state = json.loads(self.path.read_text())
            if isinstance(state, dict) and isinstance(state.get("generation"), int):
                return state
        except (OSError, ValueError):
            pass
        return {"generation": 0, "holder": None, "queue": []}

    def show(self) -> State:
        """Return holder and queue as they are now, with ages in s."""
        state = _without_the_dead(self.read())
        now = uptime_s()
        for entry in [state["holder"], *state["queue"]]:
            if entry:
                entry["age_s"] = round(now - entry.pop("since_s"), 1)
                for key in ("boot", "seen_s"):
                    entry.pop(key)
        return state

    def try_to_take(self, me: str, who: str) -> State:
        """Take the lease if it is free and my turn, else stand in the queue; return the state."""
        with self._changing() as state:
            queue = state["queue"]
            if state["holder"] and state["holder"]["id"] == me:  # of before the connection broke
                state["holder"] = None
                queue.insert(0, _entry(me, who))
            if not any(entry["id"] == me for entry in queue):
                queue.append(_entry(me, who))
            for entry in queue:
                if entry["id"] == me:
                    entry["seen_s"] = uptime_s()
            if state["holder"] is None and queue[0]["id"] == me:
                queue.pop(0)
                state["generation"] += 1
                state["holder"] = _entry(me, who)
        return state

    def renew(self, me: str, generation: int) -> None:
        """Say that the holder lives; raises ``LeaseError`` if it is the holder no more."""
        with self._changing(spare=me) as state:
            self.check(me, generation, state)
            state["holder"]["seen_s"] = uptime_s()

    def leave(self, me: str, generation: int) -> None:
        """Give up the lease of that generation, or the place in the queue."""
        with self._changing() as state:
            state["queue"] = [entry for entry in state["queue"] if entry["id"] != me]
            if state["generation"] == generation:
                state["holder"] = None

    def take_away(self, who: str) -> State:
        """Take the lease from its holder, who stops within seconds."""
        with self._changing() as state:
            state["holder"] = None
            state["generation"] += 1
            state["taken"] = {"by": who[:TEXT_CHARS], "generation": state["generation"]}
        return state

    def check(self, me: str, generation: int, state: Optional[State] = None) -> None:
        """Raise ``LeaseError`` unless the lease is the one of that generation.

        One that nobody took away has lapsed, whoever has it now (``LapsedError``).
        """
        state = state or self.read()
        holder = state["holder"]
        if state["generation"] == generation and holder and holder["id"] == me:
            return
        taken = state.get("taken") or {"by": "", "generation": 0}
        if taken["generation"] > generation:
            raise LeaseError("the lease of this board was taken by " + taken["by"])
        now = "; " + holder["who"] + " has it now" if holder and holder["id"] != me else ""
        raise LapsedError(GIVEN_UP + now)

    @contextlib.contextmanager
    def _changing(self, spare: str = "") -> Iterator[State]:
        """Give the state to be changed, the dead gone, and write what was made of it.

        ``spare`` is a holder who asks, so is alive, however long the board itself stood still.
        """
        handle = os.open(str(self._mutex), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            state = _without_the_dead(self.read(), spare)
            yield state
            self._write(state)
        finally:
            os.close(handle)

    def _write(self, state: State) -> None:
        text = json.dumps(state)
        try:
            self._replace(text)
        except OSError as error:
            if error.errno not in DISK_FULL or not self._ballast.exists():
                raise
            self._ballast.unlink()
            self._replace(text)
        if not self._ballast.exists():
            self._take_ballast()

    def _replace(self, text: str) -> None:
        part = self.path.with_name("lease.part")
        with part.open("w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        part.replace(self.path)

    def _take_ballast(self) -> None:
        try:
            with self._ballast.open("wb") as out:
                os.posix_fallocate(out.fileno(), 0, BALLAST_BYTES)
        except OSError:  # there is no room, or no way to reserve it
            with contextlib.suppress(FileNotFoundError):
                self._ballast.unlink()


def uptime_s() -> float:
    """Return the time since this board was started, suspended times included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Return what names this start of the board; empty where the kernel does not say."""
    try:
        return Path(BOOT_ID).read_text().strip()
    except OSError:
        return ""


def waiting(state: State, me: str) -> State:
    """Return what a host that waits is told: its place in the queue, and for whom it waits."""
    ids: List[str] = [entry["id"] for entry in state["queue"]]
    holder = state["holder"]
    return {
        "agent": "waiting",
        "position": ids.index(me) + 1,
        "holder": holder["who"] if holder else "",
        "held_s": round(uptime_s() - holder["since_s"]) if holder else 0,
    }


def _entry(me: str, who: str) -> State:
    now = uptime_s()
    return {"id": me, "who": who[:TEXT_CHARS], "boot": boot_id(), "since_s": now, "seen_s": now}


def _without_the_dead(state: State, spare: str = "") -> State:
    holder = state["holder"]
    if holder and not (_lives(holder) or (holder["id"] == spare and holder["boot"] == boot_id())):
        state["holder"] = None
    state["queue"] = [entry for entry in state["queue"] if _lives(entry)]
    return state


def _lives(entry: State) -> bool:
    return bool(entry["boot"] == boot_id() and uptime_s() - entry["seen_s"] < EXPIRES_S)
