"""A replay seen from the host: its events as they come, its records once it ended."""

from __future__ import annotations

import posixpath
import re
import signal
from collections.abc import Callable, Mapping
from typing import Any

from harness.boards import agent
from harness.boards.base import EventHandler, ReplayResult
from harness.boards.errors import BoardError, Kind
from harness.boards.wire import (
    MAKE_ROOM,
    RETRYABLE,
    AgentCall,
    Deadline,
    Wire,
    last_line,
    parse_object,
)

FINISHED = (0, 1, 2)
"""Exit statuses of the replay program: all ok, some failed, job unusable; see ``rppg_core``."""
UNUSABLE = 2
NO_ROOM = 4
SIGNALS = {number.value for number in signal.Signals}
EDGE_TPU_TROUBLE = re.compile(r"HIB Error|apex|DeadlineExceeded|[Ee]dge ?TPU.*(timed out|hung)")
"""What libedgetpu writes when the chip has stopped (its "host interface block" errors)."""
KILLED = 128 + 9
ANSWER_S = 30.0
"""Time for the steps around a replay: starting it, ending it, fetching one record."""

Opener = Callable[[dict[str, Any]], Wire]
Fetch = Callable[[str], bytes]


def run_replay(
    open_wire: Opener,
    fetch: Fetch,
    request: dict[str, Any],
    on_event: EventHandler,
    board: str,
) -> ReplayResult:
    """Have the agent run a job and bring its records home.

    ``open_wire`` starts the agent for a request; ``fetch`` reads a file of the board.
    """
    job = request["job"]
    written: dict[str, str] = {}

    def on_line(line: str) -> None:
        event = parse_object(line)
        if event is None or "event" not in event:
            call.note(line + "\n")
            return
        if event["event"] == "record":
            written[str(event.get("id"))] = str(event.get("path"))
        on_event(event)

    call = AgentCall(open_wire(request), board=board, doing="replaying", on_line=on_line)
    try:
        call.send(request, Deadline(ANSWER_S))
        # The agent enforces the time limit; the host's own only catches a board that hangs.
        ended = call.answer("ended", Deadline(request["timeout_s"] + 2 * ANSWER_S))
        records = _fetch_records(call, job, written, ended["out_dir"], fetch)
        for record in records.values():
            record["health"] = ended["health"]
        call.acknowledge(Deadline(ANSWER_S))
        call.answer("done", Deadline(ANSWER_S))
    finally:
        call.close()
    if ended["changed"] and not ended["reason"]:
        raise call.failed(
            f"a file that it uses was changed there meanwhile ({ended['changed'][0]})",
            retryable=True,
            hint="nothing but the harness may write to its folder",
            kind="damaged",
        )
    complete = len(records) == len(job["recordings"]) or ended["status"] == UNUSABLE
    if ended["reason"] or ended["status"] not in FINISHED or not complete:
        error = _explain(call, ended, request["timeout_s"])
        error.records = list(records.values())
        raise error
    return ReplayResult(ended["status"], list(records.values()), call.stderr_tail)


def _fetch_records(
    call: AgentCall,
    job: Mapping[str, Any],
    written: Mapping[str, str],
    out_dir: str,
    fetch: Fetch,
) -> dict[str, dict[str, Any]]:
    """Return the records that were announced, by recording, in the job's order."""
    records = {}
    for recording in job["recordings"]:
        name = str(recording["id"])
        path = written.get(name)
        if path is None:
            continue
        if posixpath.dirname(path) != out_dir:
            raise call.failed(f"the record of {name!r} is not in the job's folder", retryable=False)
        call.beat(Deadline(ANSWER_S))
        try:
            record = parse_object(fetch(path).decode("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise call.failed(
                f"the record of {name!r} cannot be fetched ({error})", retryable=True
            ) from error
        if record is None:
            raise call.failed(f"the record of {name!r} is not a JSON object", retryable=False)
        records[name] = record
    return records


def _explain(call: AgentCall, ended: Mapping[str, Any], timeout_s: float) -> BoardError:
    """Return why a replay that ended is not a result."""
    said = last_line(call.stderr_tail)
    reason = ended["reason"]
    if ended["lease_lost"] or ended["status"] == agent.LEASE_LOST:
        lapsed = ended["lease_lost"] in RETRYABLE
        hint = "" if lapsed else "start again"
        kind: Kind = ended["lease_lost"] or "lease"
        return call.failed(reason or said, retryable=lapsed, hint=hint, kind=kind)
    if ended["status"] == NO_ROOM:
        return call.failed(
            said.removeprefix("replay: ").partition("; ")[0],  # ours says what to do there
            retryable=False,
            hint=MAKE_ROOM,
            kind="out of disk",
        )
    if EDGE_TPU_TROUBLE.search(call.stderr_tail):
        return call.failed(
            f"the Edge TPU no longer answers ({said})",
            retryable=False,
            hint="switch the board off and on; a warm restart may not be enough",
            kind="edge tpu",
        )
    if reason == agent.TIME_IS_UP:
        return call.failed(
            f"the replay did not end within {timeout_s:g} s and was stopped", retryable=False
        )
    if reason:
        return call.failed(f"the board stopped the replay: {reason}", retryable=True)
    return _explain_status(call, ended, said)


def _explain_status(call: AgentCall, ended: Mapping[str, Any], said: str) -> BoardError:
    """Return what an exit status means that no replay should have."""
    status = ended["status"]
    if status in FINISHED:
        return call.failed(f"the replay ended without all of its records ({said})", retryable=False)
    if status == KILLED and ended["health"]["oom_kills"]:
        return call.failed(
            "the board ran out of memory and killed the replay",
            retryable=True,
            hint="end what else runs there, or take a smaller video",
            kind="out of memory",
        )
    if status == KILLED:
        return call.failed(
            "the replay was killed (signal 9)",
            retryable=True,
            hint="is the board out of memory?",
            kind="crashed",
        )
    if status > 128:
        name = signal.Signals(status - 128).name if status - 128 in SIGNALS else "a signal"
        return call.failed(
            f"the replay crashed (signal {status - 128}, {name}; {said})",
            retryable=True,
            hint="was the model made for this runtime?",
            kind="crashed",
        )
    return call.failed(f"the replay ended with status {status} ({said})", retryable=False)
