"""What an emulated board is made from, and what has to be on the host to make and run it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from rppg_core.errors import UserError

SUITE = "bookworm"
ARCHITECTURE = "arm64"
PYTHON = "3.11"
"""The suite's own; its minor version is the wheels'."""
KERNEL = "linux-image-cloud-arm64"
PACKAGES = (
    *("base-files", "base-passwd", "bash", "busybox-static", "coreutils", "dash", "diffutils"),
    *("findutils", "grep", "gzip", "hostname", "iproute2", "libc-bin", "libstdc++6", "login"),
    *("mawk", "mount", "openssh-server", "procps", "python3", "python3-distutils", "rsync"),
    *("sed", "tar", "util-linux", KERNEL),
)
# The disk's and the network's drivers, in the order of their dependences.
MODULES = (
    *("virtio_ring", "virtio", "virtio_mmio", "virtio_blk", "failover", "net_failover"),
    *("virtio_net", "virtio-rng", "crc16", "mbcache", "jbd2", "crc32c_generic", "libcrc32c"),
    "ext4",
)
USER, USER_ID = "bench", 1000
MEMORY_MB, DISK_MB = 1024, 2048

MACHINE = (
    *("-M", "virt", "-cpu", "cortex-a53", "-m", str(MEMORY_MB), "-smp", "1"),
    *("-accel", "tcg,thread=single", "-icount", "shift=0,sleep=on"),
)
"""One instruction is one nanosecond of the board's clock, whatever the host does meanwhile."""
# The kernel at fixed addresses, and every process at the same ones: a count that does not vary.
KERNEL_LINE = "console=ttyAMA0 quiet root=/dev/vda rw panic=-1 nokaslr norandmaps"

WARM_UP = (
    "import array, cv2, dataclasses, datetime, hashlib, numpy, platform, resource, select, shutil,"
    "subprocess, tempfile, threading, tflite_runtime.interpreter, importlib.metadata"
)
"""Run on the first start, so that these modules lie compiled on the disk and read in memory."""

GUEST = Path(__file__).parent / "guest"
BUILDERS = ("rootfs.py", "image.py")
"""Modules whose change makes another image."""
TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-img": "qemu-utils",
    "cpio": "cpio",
    "mke2fs": "e2fsprogs",
    "ssh-keygen": "openssh-client",
}
"""Programs, and the Debian packages they come in."""
ADMIN_FOLDERS = ("/usr/sbin", "/sbin")
APT_SOURCES = Path("/etc/apt")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def require_tools() -> None:
    """Raise one UserError that names every package the host lacks."""
    missing = sorted({package for tool, package in TOOLS.items() if find_tool(tool) is None})
    if not KEYRING.is_file():
        missing.append("debian-archive-keyring")
    if missing:
        raise UserError(
            "a virtual board needs programs that are not here: "
            f"sudo apt-get install --no-install-recommends {' '.join(missing)}"
        )


def find_tool(name: str) -> str | None:
    """Return a program's path, also from the folders an ordinary user does not search."""
    search = os.pathsep.join([os.environ.get("PATH", ""), *ADMIN_FOLDERS])
    return shutil.which(name, path=search)


def tool(name: str) -> str:
    """Return the path of one of ``TOOLS``; UserError where it is missing."""
    found = find_tool(name)
    if found is None:
        require_tools()
        raise UserError(f"a virtual board needs {name}, which is not here")
    return found


@cache
def emulator_version() -> str:
    """Return the emulator's version; a saved memory is only good for the one that saved it."""
    said = subprocess.run(
        [tool("qemu-system-aarch64"), "--version"], capture_output=True, text=True, check=True
    )
    return said.stdout.splitlines()[0].strip()


def sources() -> list[str]:
    """Return where this host gets its Debian packages of ``SUITE``, as lines of sources.list.

    Raises UserError on a host whose own sources have no such suite.
    """
    found: list[str] = []
    for path in [APT_SOURCES / "sources.list", *sorted(APT_SOURCES.glob("sources.list.d/*"))]:
        if path.suffix == ".sources":
            found += _from_stanzas(path)
        elif path.suffix == ".list" and path.is_file():
            found += _from_lines(path)
    lines = list(dict.fromkeys(found))
    if not any(line.split()[2] == SUITE for line in lines):
        raise UserError(
            f"a virtual board is built from Debian {SUITE}, which this host's apt sources do not "
            f"have; add a mirror of it to {APT_SOURCES}/sources.list.d"
        )
    return lines


def _from_stanzas(path: Path) -> list[str]:
    lines = []
    for stanza in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.MULTILINE))
        if "deb" in fields.get("Types", "").split() and fields.get("Enabled", "yes") != "no":
            lines += [
                f"deb {uri} {suite} main"
                for uri in fields.get("URIs", "").split()
                for suite in fields.get("Suites", "").split()
                if _wanted(suite, fields.get("Components", "").split())
            ]
    return lines


def _from_lines(path: Path) -> list[str]:
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.match(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)", line)
        if match and _wanted(match[2], match[3].split()):
            lines.append(f"deb {match[1]} {match[2]} main")
    return lines


def _wanted(suite: str, components: list[str]) -> bool:
    return suite.split("-", maxsplit=1)[0] == SUITE and "main" in components


def fingerprint() -> str:
    """Return the hash of all that an image is made from, the packages' versions apart.

    Those are the mirror's; they are written down beside the image and hashed into its facts.
    """
    parts = [SUITE, ARCHITECTURE, PACKAGES, MODULES, USER, MEMORY_MB, DISK_MB, MACHINE]
    parts += [KERNEL_LINE, WARM_UP, emulator_version()]
    digest = hashlib.sha256(json.dumps(parts).encode())
    for path in [*sorted(GUEST.iterdir()), *(GUEST.parent / name for name in BUILDERS)]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]
