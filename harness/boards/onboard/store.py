"""The store in a board's work folder: files by their content, and folders of links to them."""

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List

from harness.boards.onboard.cache import BLOCK_BYTES, make_room, remember_use, used_bytes

CHUNK_BYTES = 1 << 20
STALE_S = 86400.0
"""Age at which something left behind by a host that died is swept away."""
FOLDERS = ("store", "trees", "incoming", "jobs")
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,16})?\Z")

Request = Dict[str, Any]
Answer = Dict[str, Any]


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
    trees {id: [[relative path, index into files]]}; budget_bytes, 0 for none; keep, names of the
    store and of trees that must stay; reserve_bytes. Where something is missing, room is made for
    it, else for what will be recorded; ``short_bytes`` says what could not be had for the first.
    ``begun`` are the bytes that arrived of each file that is missing, when its transfer broke off.
    """
    root = open_root(request["root"])
    for name, sha256, suffix in request["arrived"]:
        _take_in(_incoming(root, name), stored(root, sha256, suffix), sha256)
    files = request["files"]
    missing = []
    for index, (sha256, suffix, size_bytes) in enumerate(files):
        path = stored(root, sha256, suffix)
        if not is_intact(path, sha256, size_bytes):
            missing.append(index)
            _remove(path)
    if not missing:
        for tree, entries in request["trees"].items():
            _link_tree(root, tree, [(rel, files[index]) for rel, index in entries])
    names = {sha256 + suffix for sha256, suffix, _ in files} | set(request["trees"])
    begun = [_begun(root, *files[index]) for index in missing]
    short = 0
    if missing:
        sizes = [files[index][2] + BLOCK_BYTES for index in missing]
        needed = sum(sizes) - sum(begun) + request["reserve_bytes"]
        keep = names | set(request["keep"])
        short = make_room(root, needed, request["budget_bytes"], keep)
    else:
        make_room(root, request["reserve_bytes"], 0, names | set(request["keep"]))
        remember_use(root, names)
    space = os.statvfs(str(root))
    return {
        "root": str(root),
        "missing": missing,
        "begun": begun,
        "short_bytes": short,
        "used_bytes": used_bytes(root) if missing else 0,
        "free_bytes": space.f_bavail * space.f_frsize,
    }


def present(request: Request) -> Answer:
    """Say which files of the store are there and whole, by their places in the request.

    Request: root; files [[sha256, suffix, bytes]].
    """
    root = open_root(request["root"])
    files = list(enumerate(request["files"]))
    there = [i for i, (sha, end, size) in files if is_intact(stored(root, sha, end), sha, size)]
    return {"root": str(root), "present": there}


def _begun(root: Path, sha256: str, suffix: str, size_bytes: int) -> int:
    """Return how much of a file lies in incoming; what cannot be a part of it is removed."""
    path = _incoming(root, sha256 + suffix)
    try:
        begun = path.stat().st_size
    except OSError:
        return 0
    if begun > size_bytes:
        _remove(path)
        return 0
    return begun


def discard(request: Request) -> Answer:
    """Remove transfers that will not be finished."""
    root = open_root(request["root"])
    for name in request["names"]:
        _remove(_incoming(root, name))
    return {}


def open_root(text: str) -> Path:
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


def stored(root: Path, sha256: str, suffix: str) -> Path:
    """Return where a content lies in the store; raises ``ValueError`` for a name of no content."""
    if not (SHA256.match(sha256) and SUFFIX.match(suffix)):
        raise ValueError("not a name of the store: " + repr(sha256 + suffix))
    return root / "store" / (sha256 + suffix)


def _inside(folder: Path, rel: str) -> Path:
    parts = rel.split("/")
    if "\0" in rel or any(part in ("", ".", "..") for part in parts):
        raise ValueError("not a path inside a tree: " + repr(rel))
    return folder.joinpath(*parts)


def _take_in(arrived: Path, place: Path, sha256: str) -> None:
    """Move a transfer into the store if it is whole; a damaged one is dropped, so still missing."""
    if sha256_of(arrived) != sha256:
        arrived.unlink()
        return
    with arrived.open("rb") as written:
        os.fsync(written.fileno())  # a power cut must not leave a name without its content
    arrived.chmod(0o444)
    os.utime(str(arrived), ns=(stamp_ns(sha256), stamp_ns(sha256)))
    arrived.replace(place)


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
        source = stored(root, sha256, suffix)
        try:
            os.link(str(source), str(target))
        except OSError:  # a file system without hard links
            shutil.copy2(str(source), str(target))
    if final.is_dir():
        shutil.rmtree(str(final), ignore_errors=True)
    try:
        built.rename(final)
    except OSError:  # another host was faster, with the same tree
        shutil.rmtree(str(built))
