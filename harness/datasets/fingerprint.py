"""A short name for what a video file holds, without reading all of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

CHUNK_BYTES = 1 << 20
HEX_DIGITS = 12


def fingerprint(video: Path) -> str:
    """Return 12 hexadecimal digits from a file's size and its first, middle and last MiB.

    Of a folder of images all names and sizes count, and three of the images. A dataset of 60 GB
    is told from another within a second; a change of single bytes elsewhere is not seen.
    """
    found = hashlib.sha256()
    if video.is_dir():
        members = sorted(path for path in video.iterdir() if path.is_file())
        found.update(repr([(path.name, path.stat().st_size) for path in members]).encode())
        few = {0, len(members) // 2, len(members) - 1} if members else set()
        for index in sorted(few):
            _add(found, members[index])
    else:
        _add(found, video)
    return found.hexdigest()[:HEX_DIGITS]


def _add(found: hashlib._Hash, path: Path) -> None:
    size = path.stat().st_size
    found.update(str(size).encode())
    with path.open("rb") as stream:
        for start in sorted({0, max(size - CHUNK_BYTES, 0) // 2, max(size - CHUNK_BYTES, 0)}):
            stream.seek(start)
            found.update(stream.read(CHUNK_BYTES))
