"""The harness's hands on a board: a script that needs nothing but Python 3.7.

The host sends its text and that of ``onboard``, then one JSON request, through standard input
(``wire``); nothing is installed. Answers are JSON objects, one a line, on standard output.
Everything the harness leaves on a board lies in one work folder: ``store/`` (files by SHA-256),
``trees/`` (folders of links into the store), ``incoming/`` (transfers under way), ``jobs/``
(replays under way) and the lease.
"""

import contextlib
import json
import os
import platform
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Tuple

from harness.boards.onboard.answers import ACKNOWLEDGED, beat, reply
from harness.boards.onboard.checks import checks
from harness.boards.onboard.health import STOOD_STILL_S, Sampler
from harness.boards.onboard.keeping import check_lease, hold, lease_state
from harness.boards.onboard.lease import DISK_FULL, LOOK_S, LeaseError, LeaseFile, boot_id
from harness.boards.onboard.packages import environment, packages
from harness.boards.onboard.store import (
    Answer,
    Request,
    discard,
    open_root,
    present,
    stamp_ns,
    sync,
)

HOST_SILENCE_S = 60.0
"""A host that says nothing for so long is gone; hosts write a byte every few seconds."""
KILL_GRACE_S = 5.0
"""Time a replay has to end by itself once it was asked to."""
TELL_HEALTH_S = 10.0
"""How often the host hears how the board fares, during a replay that goes on for minutes."""
TIME_IS_UP = "time is up"
LEASE_LOST = 3
"""Exit status of a replay that found its lease to be another's; see ``rppg_core.replay``."""


def facts(_request: Request) -> Answer:
    """Return what identifies a board: machine, kernel, Python, processor and memory."""
    found = {
        "machine": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cpu_model": _cpu_model(),
        "cpu_count": os.cpu_count() or 1,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "boot_id": boot_id(),
    }
    return {"facts": found}


def _cpu_model() -> str:
    """Name the processor; ARM kernels have no model name, their device tree names the board."""
    for path, key in (("/proc/cpuinfo", "model name"), ("/proc/device-tree/model", "")):
        with contextlib.suppress(OSError):
            for line in Path(path).read_text(errors="replace").splitlines():
                if line.startswith(key):
                    return line.split(":", 1)[-1].strip().rstrip("\0")
    return platform.processor() or platform.machine()


# --- replays -------------------------------------------------------------------------------------


class DamagedError(Exception):
    """A file of the store is not what it was."""


class Guard(threading.Thread):
    """Ends a process group when its time is up, or when the host has gone or fallen silent."""

    def __init__(
        self,
        child: "subprocess.Popen[bytes]",
        timeout_s: float,
        look: Callable[[], str],
        look_s: float,
    ) -> None:
        super().__init__(daemon=True)
        self._look_s = look_s
        self._look = look
        self.reason = ""
        self.acknowledged = threading.Event()
        self._child = child
        self._deadline = time.monotonic() + timeout_s
        self._exited = threading.Event()
        self._closed = threading.Event()

    def run(self) -> None:
        """Listen to the host until it goes, acknowledges, or must be given up."""
        heard = time.monotonic()
        while True:
            limit = min(heard + HOST_SILENCE_S, time.monotonic() + self._look_s)
            if not self._exited.is_set():
                limit = min(limit, self._deadline)
                trouble = self._look()
                if trouble:
                    self._end(trouble)
            if select.select([0], [], [], max(0.0, limit - time.monotonic()))[0]:
                data = os.read(0, 4096)
                heard = time.monotonic()
                if ACKNOWLEDGED in data:
                    self.acknowledged.set()
                    break
                if not data:
                    self._end("the host went away")
                    break
            elif time.monotonic() >= heard + HOST_SILENCE_S:
                self._end("the host fell silent")
                break
            elif not self._exited.is_set() and time.monotonic() >= self._deadline:
                self._end(TIME_IS_UP)
        self._closed.set()

    def _end(self, reason: str) -> None:
        if self._exited.is_set():
            return
        self.reason = reason
        _signal_group(self._child.pid, signal.SIGTERM)
        if not self._exited.wait(KILL_GRACE_S):
            _signal_group(self._child.pid, signal.SIGKILL)

    def wait_child(self) -> int:
        """Wait for the child, end whatever it started, and return its status as a shell would."""
        try:
            # Unreaped, the child keeps its group's number from being given to someone else.
            os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOWAIT)
        finally:
            _signal_group(self._child.pid, signal.SIGKILL)
            self._exited.set()
            status = self._child.wait()
        return status if status >= 0 else 128 - status

    def wait_acknowledged(self) -> bool:
        """Wait until the host has what it came for, or is gone."""
        self._closed.wait()
        return self.acknowledged.is_set()


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def replay(request: Request) -> Answer:
    """Run a job in a process group of its own, and keep its records until the host has them.

    Request: root, job, python_path, module, timeout_s, look_s (how often to look after lease and
    health). A job folder whose records were not
    fetched stays for a day.
    """
    root = open_root(request["root"])
    folder = Path(tempfile.mkdtemp(dir=str(root / "jobs")))
    out_dir = folder / "out"
    out_dir.mkdir()
    job_path = folder / "job.json"
    job = dict(request["job"], out_dir=str(out_dir))
    lease, held = LeaseFile(root), request.get("lease")
    if held:
        job["lease"] = {"file": str(lease.path), "generation": held["generation"]}
    job_path.write_text(json.dumps(job))
    timeout_s = float(request["timeout_s"])
    command = [sys.executable, "-m", request["module"], str(job_path)]
    outer = shutil.which("timeout")
    if outer:  # in case this very process is killed: then nobody else would end the replay
        command = [outer, "-k", str(KILL_GRACE_S), str(timeout_s + KILL_GRACE_S), *command]
    search = [*request["python_path"].split(os.pathsep), os.environ.get("PYTHONPATH")]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in search if path))
    look_s = float(request.get("look_s") or LOOK_S)
    sampler = Sampler(late_s=look_s + STOOD_STILL_S)
    stamps = _stamps(job)
    touched = _touched(root, job, stamps)
    if touched:
        shutil.rmtree(str(folder))
        raise DamagedError("a file that it uses is gone or was changed there (" + touched + ")")
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        cwd=str(folder),
        env=environment,
        start_new_session=True,
    )

    told = [time.monotonic()]

    def look() -> str:
        sampler.sample()
        if job.get("minutes") and time.monotonic() - told[0] >= TELL_HEALTH_S:
            told[0] = time.monotonic()
            reply({"event": "health", **sampler.latest})
        gone = lost()
        return str(gone) if gone else ""

    def lost() -> Optional[LeaseError]:
        try:
            if held:
                lease.check(held["id"], held["generation"])
        except LeaseError as error:
            return error
        return None

    guard = Guard(child, timeout_s, look, look_s)
    guard.start()
    status = guard.wait_child()
    ended = {"agent": "ended", "status": status, "reason": guard.reason, "out_dir": str(out_dir)}
    now = _stamps(job)
    ended["changed"] = sorted(path for path in stamps if now.get(path) != stamps[path])
    gone = lost() if guard.reason or status == LEASE_LOST else None
    ended["lease_lost"] = gone.kind if gone else ""
    reply(dict(ended, health=sampler.summary()))
    if guard.wait_acknowledged():
        shutil.rmtree(str(folder))
    return {}


def _stamps(job: Mapping[str, Any]) -> Dict[str, Tuple[int, int]]:
    """Return size and time of change of every file that a job reads."""
    found = {}
    for text in _inputs(job):
        path = Path(text)
        for part in [path, *(path.iterdir() if path.is_dir() else [])]:
            with contextlib.suppress(OSError):
                stat = part.stat()
                found[str(part)] = (stat.st_size, stat.st_mtime_ns)
    return found


def _touched(root: Path, job: Mapping[str, Any], stamps: Mapping[str, Tuple[int, int]]) -> str:
    """Return a file of the store that a job reads and that is no longer as it was put there."""
    for text in _inputs(job):
        path = Path(text)
        if path.parent == root / "store":
            found = stamps.get(text)
            if found is None or found[1] != stamp_ns(path.name[:64]):
                return text
    return ""


def _inputs(job: Mapping[str, Any]) -> Iterator[str]:
    model = job.get("model", {})
    yield from (item["path"] for item in job.get("recordings", ()))
    yield from (model[key] for key in ("path", "appearance_path") if model.get(key))
    yield from job.get("detector", {}).get("files", {}).values()


# --- in and out ----------------------------------------------------------------------------------

OPERATIONS: Dict[str, Callable[[Request], Answer]] = {
    "facts": facts,
    "sync": sync,
    "discard": discard,
    "present": present,
    "replay": replay,
    "hold": hold,
    "lease": lease_state,
    "packages": packages,
    "environment": environment,
    "checks": checks,
}


def _read_exactly(size: int) -> bytes:
    """Read past no byte that belongs to what follows; so not through a buffer."""
    parts = []
    while size:
        part = os.read(0, size)
        if not part:
            sys.exit("the host went away")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _interrupted(number: int, _frame: Optional[object]) -> None:
    sys.exit(128 + number)


def main() -> None:
    """Answer one request, of as many bytes as the second argument says."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _interrupted)
    request = json.loads(_read_exactly(int(sys.argv[2])).decode())
    threading.Thread(target=beat, daemon=True).start()
    try:
        check_lease(request)
        answer = OPERATIONS[request["op"]](request)
    except LeaseError as lost:
        answer = {"error": str(lost), "kind": lost.kind}
    except DamagedError as damaged:
        answer = {"error": str(damaged), "kind": "damaged"}
    except OSError as error:
        answer = {"error": f"{error.strerror} ({error.filename})"}
        answer.update({"kind": "out of disk"} if error.errno in DISK_FULL else {})
    except (ValueError, subprocess.SubprocessError) as error:
        answer = {"error": str(error)}
    reply(dict(answer, agent="done"))
