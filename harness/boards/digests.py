"""SHA-256 of the host's files, remembered for as long as a file is not touched."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from pathlib import Path

from harness.boards.onboard.store import SHA256, sha256_of

SETTLED_NS = 2 * 10**9
"""A file touched less than this ago may be written again without its time changing."""


def user_cache() -> Path:
    """Return the user's cache folder for this project (not created)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rppg-bench"


class Digests:
    """Content hashes, kept in one JSON file with what tells that a file is still the same.

    That is its size, times and inode: a copy in its place may have its size and modification time.

    Two processes that save at the same time lose entries of one of them, never a right answer.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or user_cache() / "digests-2.json"
        self._known: dict[str, list[object]] = {}
        self._changed = False
        with contextlib.suppress(OSError, ValueError):
            loaded = json.loads(self._path.read_text())
            self._known = loaded if isinstance(loaded, dict) else {}

    def sha256(self, path: Path) -> tuple[str, int]:
        """Return a file's content hash and its size in bytes; raises ``OSError``."""
        absolute = path.resolve()
        found, key = absolute.stat(), _key(absolute)
        if (known := self._remembered(key, found)) is not None:
            return known, found.st_size
        digest = sha256_of(absolute)
        if time.time_ns() - found.st_mtime_ns > SETTLED_NS:
            self._known[key] = [*_identity(found), digest]
            self._changed = True
        return digest, found.st_size

    def known(self, path: Path) -> bool:
        """Say whether a file's hash is remembered, so that it need not be read."""
        try:
            absolute = path.resolve()
            return self._remembered(_key(absolute), absolute.stat()) is not None
        except OSError:
            return False

    def _remembered(self, key: str, found: os.stat_result) -> str | None:
        known = self._known.get(key)
        if not known or known[:-1] != _identity(found):
            return None
        digest = str(known[-1])
        return digest if SHA256.match(digest) else None

    def save(self) -> None:
        """Write what is new; a cache that cannot be written only costs time."""
        if not self._changed:
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._path.parent)
            with os.fdopen(handle, "w") as out:
                json.dump(self._known, out)
            Path(name).replace(self._path)
        self._changed = False


def _identity(found: os.stat_result) -> list[object]:
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _key(absolute: Path) -> str:
    return os.fsencode(absolute).decode("utf-8", "backslashreplace")
