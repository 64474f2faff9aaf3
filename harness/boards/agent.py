"""The harness's hands on a board: a script that needs nothing but Python 3.7.

The host sends its text, then one JSON request, through standard input (``wire.call``); nothing is
installed. Answers are JSON objects, one a line, on standard output. Everything the harness leaves
on a board lies in one work folder: ``store/`` (files by SHA-256), ``trees/`` (folders of links
into the store), ``incoming/`` (transfers under way) and ``jobs/`` (replays under way).
"""

import contextlib
import hashlib
import json
import os
import platform
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

CHUNK_BYTES = 1 << 20
STALE_S = 86400.0
"""Age at which something left behind by a host that died is swept away."""
HOST_SILENCE_S = 60.0
"""A host that says nothing for so long is gone; hosts write a byte every few seconds."""
KILL_GRACE_S = 5.0
"""Time a replay has to end by itself once it was asked to."""
TIME_IS_UP = "time is up"
ACKNOWLEDGED = b"d"
"""The byte a host writes once it has the records."""

FOLDERS = ("store", "trees", "incoming", "jobs")
Request = Dict[str, Any]
Answer = Dict[str, Any]
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,16})?\Z")


def reply(answer: Answer) -> None:
    """Write one answer; the blank line before it ends whatever a replay left unfinished."""
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    sys.stdout.flush()


def facts(_request: Request) -> Answer:
    """Return what identifies a board: machine, kernel, Python, processor and memory."""
    found = {
        "machine": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cpu_model": _cpu_model(),
        "cpu_count": os.cpu_count() or 1,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
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


# --- the store -----------------------------------------------------------------------------------


def stamp_ns(sha256: str) -> int:
    """Return the modification time a stored file is given once its content was verified.

    It is drawn from the content's hash (an even second between 2001 and 2018, which every file
    system can hold), so a file that was touched since no longer carries it and is hashed again.
    """
    return (10**9 + 2 * int(sha256[:7], 16)) * 10**9


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as source:
        for chunk in iter(lambda: source.read(CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()


def is_intact(path: Path, sha256: str, size_bytes: int) -> bool:
    """Say whether a file holds the content it should; reads it only when it was touched."""
    try:
        found = path.lstat()
        if found.st_size != size_bytes:
            return False
        if found.st_mtime_ns == stamp_ns(sha256):
            return True
        if sha256_of(path) != sha256:
            return False
        os.utime(str(path), ns=(stamp_ns(sha256), stamp_ns(sha256)))
    except OSError:
        return False
    return True


def sync(request: Request) -> Answer:
    """Take in what arrived, say what is missing, and link the trees once nothing is.

    Request: root; arrived [[name in incoming, sha256, suffix]]; files [[sha256, suffix, bytes]];
    trees {id: [[relative path, index into files]]}.
    """
    root = _open_root(request["root"])
    for name, sha256, suffix in request["arrived"]:
        _take_in(_incoming(root, name), _stored(root, sha256, suffix), sha256)
    files = request["files"]
    missing = []
    for index, (sha256, suffix, size_bytes) in enumerate(files):
        path = _stored(root, sha256, suffix)
        if not is_intact(path, sha256, size_bytes):
            missing.append(index)
            _remove(path)
    if not missing:
        for tree, entries in request["trees"].items():
            _link_tree(root, tree, [(rel, files[index]) for rel, index in entries])
    space = os.statvfs(str(root))
    return {
        "root": str(root),
        "missing": missing,
        "free_bytes": space.f_bavail * space.f_frsize,
    }


def discard(request: Request) -> Answer:
    """Remove transfers that will not be finished."""
    root = _open_root(request["root"])
    for name in request["names"]:
        _remove(_incoming(root, name))
    return {}


def _open_root(text: str) -> Path:
    """Return the work folder, made where it is missing and rid of what dead hosts left."""
    root = Path(os.path.abspath(str(Path(text).expanduser())))  # noqa: PTH100 - keeps links as given
    for name in FOLDERS:
        (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (root / "incoming", root / "jobs"):
        for left in folder.iterdir():
            _sweep(left)
    return root


def _sweep(left: Path) -> None:
    with contextlib.suppress(OSError):  # another host may sweep it at the same time
        inside = list(left.iterdir()) if left.is_dir() else []
        if time.time() - max(part.lstat().st_mtime for part in [left, *inside]) > STALE_S:
            shutil.rmtree(str(left)) if left.is_dir() else left.unlink()


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def _incoming(root: Path, name: str) -> Path:
    return _inside(root / "incoming", Path(name).name)


def _stored(root: Path, sha256: str, suffix: str) -> Path:
    if not (SHA256.match(sha256) and SUFFIX.match(suffix)):
        raise ValueError("not a name of the store: " + repr(sha256 + suffix))
    return root / "store" / (sha256 + suffix)


def _inside(folder: Path, rel: str) -> Path:
    parts = rel.split("/")
    if "\0" in rel or any(part in ("", ".", "..") for part in parts):
        raise ValueError("not a path inside a tree: " + repr(rel))
    return folder.joinpath(*parts)


def _take_in(arrived: Path, stored: Path, sha256: str) -> None:
    """Move a transfer into the store if it is whole; a damaged one is dropped, so still missing."""
    if sha256_of(arrived) != sha256:
        arrived.unlink()
        return
    with arrived.open("rb") as written:
        os.fsync(written.fileno())  # a power cut must not leave a name without its content
    arrived.chmod(0o444)
    os.utime(str(arrived), ns=(stamp_ns(sha256), stamp_ns(sha256)))
    arrived.replace(stored)


def _link_tree(root: Path, tree: str, entries: List[Any]) -> None:
    if not SHA256.match(tree):
        raise ValueError("not a name of a tree: " + repr(tree))
    final = root / "trees" / tree
    if all(is_intact(_inside(final, rel), file[0], file[2]) for rel, file in entries):
        return
    built = Path(tempfile.mkdtemp(dir=str(root / "incoming")))
    for rel, (sha256, suffix, _) in entries:
        target = _inside(built, rel)
        target.parent.mkdir(parents=True, exist_ok=True)
        stored = _stored(root, sha256, suffix)
        try:
            os.link(str(stored), str(target))
        except OSError:  # a file system without hard links
            shutil.copy2(str(stored), str(target))
    if final.is_dir():
        shutil.rmtree(str(final), ignore_errors=True)
    try:
        built.rename(final)
    except OSError:  # another host was faster, with the same tree
        shutil.rmtree(str(built))


# --- replays -------------------------------------------------------------------------------------


class Guard(threading.Thread):
    """Ends a process group when its time is up, or when the host has gone or fallen silent."""

    def __init__(self, child: "subprocess.Popen[bytes]", timeout_s: float) -> None:
        super().__init__(daemon=True)
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
            limit = heard + HOST_SILENCE_S
            if not self._exited.is_set():
                limit = min(limit, self._deadline)
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

    Request: root, job, python_path, module, timeout_s. A job folder whose records were not
    fetched stays for a day.
    """
    root = _open_root(request["root"])
    folder = Path(tempfile.mkdtemp(dir=str(root / "jobs")))
    out_dir = folder / "out"
    out_dir.mkdir()
    job_path = folder / "job.json"
    job_path.write_text(json.dumps(dict(request["job"], out_dir=str(out_dir))))
    timeout_s = float(request["timeout_s"])
    command = [sys.executable, "-m", request["module"], str(job_path)]
    outer = shutil.which("timeout")
    if outer:  # in case this very process is killed: then nobody else would end the replay
        command = [outer, "-k", str(KILL_GRACE_S), str(timeout_s + KILL_GRACE_S), *command]
    search = [request["python_path"], os.environ.get("PYTHONPATH")]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in search if path))
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        cwd=str(folder),
        env=environment,
        start_new_session=True,
    )
    guard = Guard(child, timeout_s)
    guard.start()
    status = guard.wait_child()
    reply({"agent": "ended", "status": status, "reason": guard.reason, "out_dir": str(out_dir)})
    if guard.wait_acknowledged():
        shutil.rmtree(str(folder))
    return {}


# --- in and out ----------------------------------------------------------------------------------

OPERATIONS: Dict[str, Callable[[Request], Answer]] = {
    "facts": facts,
    "sync": sync,
    "discard": discard,
    "replay": replay,
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
    try:
        answer = OPERATIONS[request["op"]](request)
    except OSError as error:
        answer = {"error": f"{error.strerror} ({error.filename})"}
    except ValueError as error:
        answer = {"error": str(error)}
    reply(dict(answer, agent="done"))


if __name__ == "__main__":
    main()
