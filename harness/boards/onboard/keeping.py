"""The lease, waited for and held on behalf of a host for as long as that is heard of."""

import os
import select
import sys
import time
from typing import Optional

from harness.boards.onboard.answers import ACKNOWLEDGED, reply
from harness.boards.onboard.lease import (
    GIVEN_UP,
    LOOK_S,
    RENEW_S,
    HeldError,
    LapsedError,
    LeaseError,
    LeaseFile,
    waiting,
)
from harness.boards.onboard.store import Answer, Request, open_root

CHANGING = ("sync", "discard", "environment", "replay")
"""Requests that change something on the board, or take its time."""
LEASE_SILENCE_S = 45.0
"""A host that says nothing for so long while it holds or awaits the lease is gone.

Hosts give up a silent board sooner, and have time left to come back to a lease that is theirs.
"""


def hold(request: Request) -> Answer:
    """Wait for the lease, at most for wait_s, and hold it until the host goes or says so.

    Request: root, id, who, wait_s.
    """
    lease, host = LeaseFile(open_root(request["root"])), _Host()
    me, generation = request["id"], -1
    try:
        generation = _await_lease(lease, host, me, request["who"], float(request["wait_s"]))
        reply({"agent": "held", "generation": generation})
        while True:
            data = host.listen(RENEW_S)
            if data is not None and (not data or ACKNOWLEDGED in data):
                return {}
            if host.is_silent:
                raise LapsedError(GIVEN_UP)
            lease.renew(me, generation)
    except LeaseError as lost:
        return {"lost": str(lost), "kind": lost.kind}
    except _TooLongError as state:
        return {"busy": state.args[0]}
    finally:
        lease.leave(me, generation)


class _TooLongError(Exception):
    pass


class _Host:
    """The host that holds or awaits the lease, as far as it is heard of."""

    def __init__(self) -> None:
        self._heard = time.monotonic()

    @property
    def is_silent(self) -> bool:
        return time.monotonic() - self._heard >= LEASE_SILENCE_S

    def listen(self, wait_s: float) -> Optional[bytes]:
        """Return what it says, nothing (``b""``) if it went away, None if it is just silent."""
        if not select.select([0], [], [], wait_s)[0]:
            return None
        self._heard = time.monotonic()
        return os.read(0, 4096)


def _await_lease(lease: LeaseFile, host: _Host, me: str, who: str, wait_s: float) -> int:
    """Return the generation of the lease, once it is ours; tells the host of its place."""
    start = time.monotonic()
    said: Answer = {}
    while True:
        state = lease.try_to_take(me, who)
        if state["holder"] and state["holder"]["id"] == me:
            return int(state["generation"])
        place = waiting(state, me)
        if time.monotonic() - start >= wait_s:
            raise _TooLongError(place)
        if any(place[key] != said.get(key) for key in ("position", "holder")):
            reply(place)
            said = place
        data = host.listen(min(LOOK_S, max(0.0, wait_s - (time.monotonic() - start))))
        if data == b"" or host.is_silent:
            sys.exit("the host went away")


def lease_state(request: Request) -> Answer:
    """Return who has the lease and who waits for it; ``take_away`` takes it away first.

    Request: root, who, take_away.
    """
    lease = LeaseFile(open_root(request["root"]))
    if request["take_away"]:
        lease.take_away(request["who"])
    return {"lease": lease.show()}


def check_lease(request: Request) -> None:
    """Raise ``LeaseError`` if the request was made under a lease that is no more.

    Without any lease nothing may be changed while someone holds it (``HeldError``).
    """
    held = request.get("lease")
    if held:
        LeaseFile(open_root(request["root"])).check(held["id"], held["generation"])
    elif request["op"] in CHANGING:
        holder = LeaseFile(open_root(request["root"])).show()["holder"]
        if holder:
            raise HeldError("held by " + holder["who"])
