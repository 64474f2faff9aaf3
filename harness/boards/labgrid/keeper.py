"""What outlives us: gives the place back when this process ends, in whatever way it does."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import signal
import subprocess

from harness.boards.digests import user_cache
from harness.boards.labgrid.client import LabgridClient
from harness.boards.labgrid.program import client_environment
from rppg_core.errors import UserError

RELEASE_S = 30.0
"""Longest wait for the coordinator to take the place back."""
KEEPER = 'while read -r _; do :; done; exec "$@"'


class RunLock:
    """Held by one run of this user on this machine for each place.

    To labgrid all of them are the same user of the same host; this tells them apart, and a run
    that is alive from one that died. Not guaranteed on a file system without locks, nor between
    containers that share a host name but not the cache folder.
    """

    def __init__(self, client: LabgridClient) -> None:
        who = f"{client.me} {client.coordinator} {client.place}"
        name = hashlib.sha256(who.encode("utf-8", "replace")).hexdigest()[:16]
        self._path = user_cache() / "labgrid" / f"{name}.lock"
        self._handle: int | None = None

    def __enter__(self) -> RunLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def try_to_take(self) -> bool:
        """Say whether it is ours now. Raises ``UserError`` where it cannot be written."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UserError(f"{self._path}: cannot be written ({error.strerror})") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        self._handle = handle
        return True

    def holder(self) -> str:
        """The process that has it, as far as is known."""
        with contextlib.suppress(OSError):
            return self._path.read_text(encoding="ascii", errors="replace")
        return "unknown"

    def fileno(self) -> int:
        """What a process inherits that is to hold it too."""
        assert self._handle is not None
        return self._handle

    def close(self) -> None:
        """Let go of it; who inherited it holds it on."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class Keeper:
    """A shell that waits for us to end, then has the place released if it is ours."""

    def __init__(self, client: LabgridClient, lock: RunLock) -> None:
        release = client.command("release-from", client.me)
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", *release],
            env=client_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )

    def release(self) -> bool:
        """Have the place released now; False if that failed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            return self._process.wait(RELEASE_S) == 0
        except subprocess.TimeoutExpired:
            self.drop()
            return False

    def drop(self) -> None:
        """End it: there is nothing to release."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
