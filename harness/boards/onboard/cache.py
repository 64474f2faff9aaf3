"""What leaves the work folder when room is needed: least recently used first, nothing in use.

The order of use is a running number, not a time: boards without a battery forget the time.
"""

import contextlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Dict, Iterable, Set

BLOCK_BYTES = 4096
"""A file takes up whole blocks."""
IDLE_S = 60.0
"""A transfer that did not grow for so long is not under way."""
ORDER = "used.json"
ENVIRONMENTS = "environments"
KINDS = (ENVIRONMENTS, "trees", "store")
"""What may leave; a tree before the files it links to, which free nothing while it stands."""


def remember_use(root: Path, names: Iterable[str]) -> None:
    """Note that what may leave is used now, by its names; a full disk only forgets it."""
    order = _order(root)
    now = max(order.values(), default=0) + 1
    order.update((name, now) for name in names)
    for name in [name for name in order if not _places(root, name)]:
        del order[name]
    part = root / (ORDER + ".part")
    try:
        part.write_text(json.dumps(order))
        part.replace(root / ORDER)
    except OSError:
        _remove(part)


def used_bytes(root: Path) -> int:
    """Return what the work folder takes up on the disk; links count once."""
    found = {}
    for folder, names, files in os.walk(str(root)):
        for name in names + files:
            with contextlib.suppress(FileNotFoundError):
                stat = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - many thousands
                found[stat.st_dev, stat.st_ino] = stat.st_blocks * 512
    return sum(found.values())


def make_room(root: Path, needed_bytes: int, budget_bytes: int, keep: Set[str]) -> int:
    """Remove what is not in ``keep`` until there is room; return the bytes that are still short.

    Room is both under the budget (0 for none) and on the disk.
    """
    short = _short(root, needed_bytes, budget_bytes)
    if short <= 0:
        return 0
    for left in (root / "incoming").iterdir():
        if left.name not in keep and time.time() - left.lstat().st_mtime > IDLE_S:
            _remove(left)
    order = _order(root)
    held = [path for kind in KINDS for path in root.glob(kind + "/*")]
    for path in sorted(held, key=lambda one: order.get(one.name, 0)):
        if short <= 0:
            break
        if path.name not in keep:
            _evict(root, path)
            short = _short(root, needed_bytes, budget_bytes)
    return max(0, short)


def _evict(root: Path, path: Path) -> None:
    """Remove it; a folder leaves its place whole, so that no half of one is taken for all of it."""
    if path.is_dir():
        doomed = root / "incoming" / (path.name + ".gone")
        _remove(doomed)
        path.rename(doomed)
        path = doomed
    _remove(path)


def _short(root: Path, needed_bytes: int, budget_bytes: int) -> int:
    space = os.statvfs(str(root))
    short = needed_bytes - space.f_bavail * space.f_frsize
    if budget_bytes:
        short = max(short, used_bytes(root) + needed_bytes - budget_bytes)
    return short


def _order(root: Path) -> Dict[str, int]:
    with contextlib.suppress(OSError, ValueError):
        order = json.loads((root / ORDER).read_text())
        if isinstance(order, dict) and all(isinstance(n, int) for n in order.values()):
            return order
    return {}


def _places(root: Path, name: str) -> bool:
    return any((root / kind / name).exists() for kind in KINDS)


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(str(path))
        else:
            path.unlink()
