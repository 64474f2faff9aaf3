"""What a board's Python has of what the pipeline needs, and an isolated folder for the rest."""

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Dict, List

from harness.boards.onboard.cache import BLOCK_BYTES, ENVIRONMENTS, make_room, remember_use
from harness.boards.onboard.store import SHA256, Answer, Request, is_intact, open_root, stored

PROBE_S = 20.0
COMPLETE = ".complete"

# Run by the board's Python with its site packages, which the agent does without. Nothing is
# imported: NumPy alone takes a second on a small board.
PROBE = r"""
import importlib.util, json, os, re, sys
found = {}
for name in sys.argv[1:]:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None and not spec.submodule_search_locations:
        continue
    version = ""
    for folder in sys.path:
        try:
            entries = os.listdir(folder or ".")
        except OSError:
            continue
        for entry in entries:
            match = re.match(r"(.+?)-(\d[^-]*)(-.*)?\.(dist|egg)-info$", entry)
            if match:
                package = re.sub(r"[-_.]+", "_", match.group(1)).lower()
                # OpenCV comes as several packages, other modules as one of their own name.
                same = package.startswith("opencv") if name == "cv2" else package == name
                version = version or match.group(2) * same
    found[name] = version
print(json.dumps(found))
"""


def packages(request: Request) -> Answer:
    """Return which of some modules the board's Python finds, with versions, and its platform.

    Request: names. A version that cannot be told is empty.
    """
    probe = subprocess.run(
        [sys.executable, "-c", PROBE, *request["names"]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=PROBE_S,
        cwd="/",
    )
    found: Dict[str, str] = {}
    with contextlib.suppress(ValueError):
        found = json.loads(probe.stdout.decode())
    return {"packages": found, "platform": platform_of()}


def platform_of() -> Dict[str, Any]:
    """Return what a wheel has to be made for: machine, glibc, Python."""
    libc = ""
    with contextlib.suppress(ValueError, OSError, AttributeError):
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    return {
        "machine": platform.machine(),
        "libc": libc.split(),
        "python": list(sys.version_info[:2]),
        "implementation": sys.implementation.name,
        "abiflags": getattr(sys, "abiflags", ""),
        "bits": 64 if sys.maxsize > 2**32 else 32,
    }


def environment(request: Request) -> Answer:
    """Unpack wheels that are in the store into a folder of their own, once.

    Request: root, key, wheels [[sha256, suffix, bytes]], budget_bytes, reserve_bytes, keep (names
    that must stay). ``path`` of the answer is None where the folder is not there and a wheel is
    missing.
    """
    root = open_root(request["root"])
    if not SHA256.match(request["key"]):
        raise ValueError("not a name of an environment: " + repr(request["key"]))
    final = root / ENVIRONMENTS / request["key"]
    if (final / COMPLETE).exists():
        remember_use(root, [final.name])
        return {"path": str(final)}
    wheels = [(stored(root, *wheel[:2]), wheel) for wheel in request["wheels"]]
    if not wheels or not all(is_intact(path, one[0], one[2]) for path, one in wheels):
        return {"path": None}
    keep = {path.name for path, _ in wheels} | set(request["keep"])
    needed = sum(map(_unpacked_bytes, [path for path, _ in wheels])) + request["reserve_bytes"]
    short = make_room(root, needed, request["budget_bytes"], keep)
    if short:
        raise ValueError(
            f"{-(-short // 10**6)} MB more needed to unpack the packages; "
            "raise 'disk_budget' or free some"
        )
    final.parent.mkdir(exist_ok=True)
    built = Path(tempfile.mkdtemp(dir=str(root / "incoming")))
    for path, _ in wheels:
        _unpack(path, built)
    os.sync()  # a power cut must not leave the mark without the content
    (built / COMPLETE).touch()
    if final.exists():
        shutil.rmtree(str(final))
    built.rename(final)
    remember_use(root, [final.name])
    return {"path": str(final)}


def _unpacked_bytes(wheel: Path) -> int:
    with zipfile.ZipFile(str(wheel)) as archive:
        return sum(entry.file_size + BLOCK_BYTES for entry in archive.infolist())


def _unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(str(wheel)) as archive:
        names: List[str] = archive.namelist()
        if any(name.startswith("/") or ".." in name.split("/") for name in names):
            raise ValueError("a package with files outside of it: " + wheel.name)
        archive.extractall(str(folder))
