"""The image an emulated board starts from: made once, kept in the user's cache.

An image is a folder named after all that it is made from. It appears under that name only when it
is whole, so a build that is interrupted leaves nothing that could be taken for one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.boards.digests import user_cache
from harness.boards.errors import BoardError
from harness.boards.ssh_link import SshLink, SshTarget
from harness.boards.virtual import recipe, rootfs
from harness.boards.virtual.emulator import ADDRESS, Emulator, Hardware
from harness.boards.wire import Deadline, last_line
from rppg_core.errors import UserError

BOOT_S = 300.0
"""A start without a saved memory takes 7 s of an idle host, and many times that of a busy one."""
CONNECT_S = 30.0
"""Agreeing on keys takes the emulated processor a second."""
ROOT_STEP_S = 300.0
PARTIAL = ".partial-"
UNUSED_S = 14 * 86400.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Image:
    """A finished image; nothing in its folder is ever written to."""

    folder: Path

    @property
    def user_key(self) -> Path:
        """The key that is let in, as ``recipe.USER`` and as root."""
        return self.folder / "user_key"

    @property
    def packages(self) -> str:
        """What it is made of: package files with their versions, one a line."""
        return (self.folder / "packages").read_text()

    @property
    def id(self) -> str:
        """Tell images of different packages apart: the recipe's hash, and the packages'."""
        return f"{self.folder.name}-{hashlib.sha256(self.packages.encode()).hexdigest()[:8]}"

    def hardware(self, disk: Path, *, resume: bool) -> Hardware:
        """A board on ``disk``, which ``new_disk`` made; resumed where the image's board stood."""
        memory = self.folder / "memory" if resume else None
        return Hardware(self.folder / "kernel", self.folder / "initrd", disk, "qcow2", memory)

    def new_disk(self, path: Path) -> None:
        """Make a disk that holds what the image's does and takes what is written."""
        options = ["create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(self.folder / "disk")]
        subprocess.run([recipe.tool("qemu-img"), *options, str(path)], check=True)

    def target(self, port: int, known_hosts: Path, user: str = recipe.USER) -> SshTarget:
        """Where a started board answers; writes the file that vouches for its key."""
        host_key = (self.folder / "host_key.pub").read_text().strip()
        known_hosts.write_text(f"[{ADDRESS}]:{port} {host_key}\n")
        return SshTarget(ADDRESS, user, port, self.user_key, known_hosts, CONNECT_S)


def images_folder() -> Path:
    """Return where images are kept; all of it can be deleted."""
    return user_cache() / "virtual"


def ensure_image(say: Say = lambda _: None) -> Image:
    """Return the image, built first where it is not there; others wait for who builds it.

    Raises UserError for what the host lacks, BoardError for a step that fails.
    """
    recipe.require_tools()
    base = images_folder()
    final = base / recipe.fingerprint()
    try:
        base.mkdir(parents=True, exist_ok=True)
        if not final.is_dir():
            with _locked(base / "lock"):
                if not final.is_dir():
                    say("building the virtual board's image, once: a minute or two")
                    _remove_unused(base)
                    _build(base, final)
        os.utime(final)
    except OSError as error:
        raise UserError(
            f"{base}: cannot hold the virtual board's image ({error}); free some space there, or "
            "set XDG_CACHE_HOME to another folder"
        ) from error
    return Image(final)


def _remove_unused(base: Path) -> None:
    """Remove what a build that was killed left, and images of recipes that are no longer used."""
    for folder in base.iterdir():  # nobody builds beside us: the lock is ours
        unused_s = time.time() - folder.stat().st_mtime
        if folder.is_dir() and (folder.name.startswith(PARTIAL) or unused_s > UNUSED_S):
            shutil.rmtree(folder, ignore_errors=True)


def _build(base: Path, final: Path) -> None:
    partial = Path(tempfile.mkdtemp(dir=base, prefix=PARTIAL))
    try:
        rootfs.build(partial)
        _start_once(Image(partial))
        for path in partial.iterdir():
            path.chmod(0o400)
        partial.rename(final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _start_once(image: Image) -> None:
    """Start the board, have it compile and read what it will run, and save its memory."""
    with tempfile.TemporaryDirectory(prefix="rppg-virtual-") as name:
        folder = Path(name)
        firsts = Hardware(
            image.folder / "kernel", image.folder / "initrd", image.folder / "disk", "raw"
        )
        emulator = Emulator(rootfs.NAME, firsts, folder)
        try:
            target = image.target(emulator.port, folder / "known_hosts", "root")
            link = connect(rootfs.NAME, target, emulator, BOOT_S)
            site = f"/{rootfs.SITE}"
            run_as_root(link, f"python3 -c '{recipe.WARM_UP}'")
            run_as_root(link, f"find {site} /usr/lib/python3* -type f -exec cat {{}} + >/dev/null")
            run_as_root(link, "sync")
            link.close()
            emulator.save_memory(image.folder / "memory")
        finally:
            emulator.close(keep=True)


def connect(board: str, target: SshTarget, emulator: Emulator, limit_s: float) -> SshLink:
    """Return a connection once the board lets one in; BoardError if it does not in time."""
    deadline = Deadline(limit_s)
    while True:
        link = SshLink(board, target)
        try:
            link.open()
        except BoardError:
            if not (deadline.left_s and emulator.is_on):
                raise
            time.sleep(0.2)
        else:
            return link


def run_as_root(link: SshLink, command: str) -> str:
    """Run one command of the board's shell and return its output; BoardError unless it succeeds."""
    wire = link.start(command, "preparing it")
    deadline = Deadline(ROOT_STEP_S)
    printed = said = b""
    while deadline.left_s and (came := wire.receive(min(1.0, deadline.left_s))) is not None:
        printed, said = printed + came[0], said + came[1]
    status = wire.status(deadline)
    wire.close(1.0)
    if status != 0:
        raise BoardError(
            f"a step ended with status {status} ({last_line(said.decode(errors='replace'))})",
            board=rootfs.NAME,
            doing="preparing it",
            retryable=True,
        )
    return printed.decode(errors="replace")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that a killed process lets go of."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
