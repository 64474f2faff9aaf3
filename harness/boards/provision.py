"""Packages for boards without a network: resolved here for the board's platform, sent as wheels.

What the board has from its distribution is used where it meets the minimum. What it lacks comes
from the package index, through pip on this machine, which makes sure that it fits the board's
machine, glibc and Python; the wheels are kept in the user's cache, so the index is asked once.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.boards.deploy import RESERVE_BYTES, Ask
from harness.boards.digests import Digests, user_cache
from rppg_core.errors import UserError
from rppg_core.runtime import RUNTIMES

MINIMUM = {"numpy": (1, 16), "cv2": (3, 4)}
OPENCV = "opencv-python-headless<5"
NUMPY = "numpy<2"
"""tflite-runtime cannot use a later one."""
LITERT = ("flatbuffers", "backports.strenum", "typing-extensions", "protobuf", "ml_dtypes", "tqdm")
RUNTIME_WHEELS = {
    "tflite_runtime": ("tflite-runtime",),
    "ai_edge_litert": ("ai-edge-litert", *LITERT),
}
"""Tried in this order, with all they import; the first has nothing for Python 3.12 and later."""
PIP_S = 900.0
NEWEST_MINOR = 40
OLDEST_MINOR = 17
"""manylinux_2_17 is manylinux2014; 64-bit ARM begins there."""

Put = Callable[[Sequence[Path]], Any]


def wanted(found: Mapping[str, str], runtime: str) -> list[list[str]]:
    """Return what has to be sent, as alternatives of which the first that exists is taken.

    ``found`` maps the modules that are there to their versions ("" if unknown). A runtime's wheel
    is made for a later NumPy than an old distribution has, so that is sent with it.
    """
    runtimes = RUNTIMES if runtime == "auto" else (runtime,)
    has_runtime = any(name in found for name in runtimes)
    needed = [NUMPY] if not has_runtime or not _meets(found, "numpy") else []
    if not _meets(found, "cv2"):
        needed.append(OPENCV)
    if has_runtime:
        return [needed] if needed else []
    wheels = [names for name, names in RUNTIME_WHEELS.items() if runtime in ("auto", name)]
    if not wheels:
        raise UserError(
            f"the board has no {runtime}, and it is not to be had as a wheel; install it there "
            "from its maker's packages, or set 'runtime: auto'"
        )
    return [[*needed, *names] for names in wheels]


def _meets(found: Mapping[str, str], name: str) -> bool:
    if name not in found:
        return False
    numbers = tuple(map(int, re.findall(r"\d+", found[name])[:2]))
    return not numbers or numbers >= MINIMUM[name]


def pip_arguments(platform: Mapping[str, Any], board: str) -> list[str]:
    """Return the options that make pip choose for the board; raises ``UserError`` if it cannot."""
    if platform["libc"][:1] != ["glibc"] or platform["implementation"] != "cpython":
        raise UserError(
            f"{board}: packages can be sent to a CPython on glibc only; install NumPy, OpenCV and "
            "a TFLite runtime there by hand"
        )
    machine = platform["machine"]
    if machine == "aarch64" and platform["bits"] == 32:
        machine = "armv7l"  # a 32-bit system on a 64-bit kernel, as Raspberry Pi OS may be
    minor = int(platform["libc"][1].split(".")[1])
    tags = [f"manylinux_2_{n}_{machine}" for n in range(min(minor, NEWEST_MINOR), 4, -1)]
    tags += [f"manylinux2014_{machine}"] if minor >= OLDEST_MINOR else []
    tags += [f"manylinux2010_{machine}", f"manylinux1_{machine}"] if machine == "x86_64" else []
    major, small = platform["python"]
    abi = f"cp{major}{small}{platform['abiflags']}"
    arguments = ["--only-binary=:all:", "--implementation=cp", f"--python-version={major}.{small}"]
    arguments += [f"--abi={one}" for one in (abi, "abi3", "none")]
    return arguments + [f"--platform={tag}" for tag in tags]


def resolve(choices: Sequence[Sequence[str]], platform: Mapping[str, Any], board: str) -> Path:
    """Return a folder of wheels that make up the first of ``choices`` that the board can have."""
    arguments = pip_arguments(platform, board)
    said = ""
    for needed in choices:
        key = hashlib.sha256(json.dumps([arguments, sorted(needed)]).encode()).hexdigest()
        folder = user_cache() / "wheels" / key[:32]
        if folder.is_dir():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=folder.parent))
        try:
            said = _download(partial, arguments, needed)
            if not said:
                partial.rename(folder)
                return folder
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    version = ".".join(map(str, platform["python"]))
    raise UserError(
        f"{board}: no packages for its Python {version} on {platform['machine']}, glibc "
        f"{platform['libc'][1]} ({said}); is this machine online? Or install "
        f"{', '.join(choices[0])} on the board"
    )


def _download(folder: Path, arguments: Sequence[str], needed: Sequence[str]) -> str:
    """Have pip fetch; return what it said last if it failed."""
    # pip weighs dependencies' conditions by this Python, not the board's: so all are named here.
    command = [sys.executable, "-m", "pip", "download", "-q", "-d", str(folder), "--no-deps"]
    try:
        done = subprocess.run(
            [*command, *arguments, *needed],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PIP_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"pip took longer than {PIP_S:g} s"
    lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or ["pip failed"]
    return lines[-1] if done.returncode else ""


def provide(
    ask: Ask,
    put: Put,
    *,
    board: str,
    workdir: str,
    runtime: str,
    budget_bytes: int,
    keep: Collection[str],
) -> str | None:
    """Make sure the board has what the pipeline imports; return the folder to import it from.

    None where the board needs nothing. ``put`` sends files into the store; what ``keep`` names
    stays there.
    """
    doing = "looking at its packages"
    names = [*MINIMUM, *RUNTIMES]
    answer = ask({"op": "packages", "names": names}, doing)
    choices = wanted(answer["packages"], runtime)
    if not choices:
        return None
    wheels = sorted(resolve(choices, answer["platform"], board).glob("*.whl"))
    digests = Digests()
    content = [(*digests.sha256(path), path) for path in wheels]
    digests.save()
    request = {
        "op": "environment",
        "root": workdir,
        "key": hashlib.sha256("".join(sha256 for sha256, *_ in content).encode()).hexdigest(),
        "wheels": [[sha256, ".whl", size] for sha256, size, _ in content],
        "budget_bytes": budget_bytes,
        "reserve_bytes": RESERVE_BYTES,
        "keep": sorted(keep),
    }
    path = ask(request, doing)["path"]
    if path is None:
        put(wheels)
        path = ask(request, "unpacking its packages")["path"]
    return str(path) if path else None
