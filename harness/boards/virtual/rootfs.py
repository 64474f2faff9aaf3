"""The board's disk, kernel and first ramdisk, out of Debian packages and wheels.

No foreign code is run and no privilege needed: packages are unpacked, not installed, and what
belongs to root is given to it by the board itself on its first start.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from harness.boards.errors import BoardError
from harness.boards.virtual import recipe
from harness.boards.wire import last_line

NAME = "virtual"
DOING = "building its image"
GLIBCS = (36, 34, 31, 28, 27, 24, 17)
PLATFORMS = (*(f"manylinux_2_{glibc}_aarch64" for glibc in GLIBCS), "manylinux2014_aarch64")
SITE = f"usr/local/lib/python{recipe.PYTHON}/dist-packages"
# Of no use on a board, and a third of all that is unpacked.
PRUNED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/log")
ACCOUNTS = {
    "etc/passwd": (
        "root:x:0:0:root:/root:/bin/bash\n"
        "sshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        f"{recipe.USER}:x:{recipe.USER_ID}:{recipe.USER_ID}::/home/{recipe.USER}:/bin/bash\n"
    ),
    "etc/group": f"root:x:0:\nnogroup:x:65534:\n{recipe.USER}:x:{recipe.USER_ID}:\n",
    "etc/shadow": f"root:*:1::::::\n{recipe.USER}:*:1::::::\n",
    "etc/hostname": "virtual\n",
    "etc/hosts": "127.0.0.1 localhost virtual\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
    "etc/environment": "",
}


def build(folder: Path) -> None:
    """Make ``disk``, ``kernel``, ``initrd``, both pairs of keys and ``packages`` in a folder.

    Raises UserError for what the host lacks and BoardError for a step that fails.
    """
    root = folder / "root"
    _unpack(folder, root)
    _wheels(folder, root)
    _configure(folder, root)
    _ramdisk(folder, root)
    disk = folder / "disk"
    options = ["-q", "-t", "ext4", "-O", "^metadata_csum", "-m", "0", "-d", str(root)]
    _run("mke2fs", *options, str(disk), f"{recipe.DISK_MB}M")
    shutil.rmtree(root)


def _unpack(folder: Path, root: Path) -> None:
    """Unpack the packages with their dependences; ``packages`` names them with their versions."""
    sources = folder / "sources.list"
    sources.write_text("\n".join(recipe.sources()) + "\n")
    merge = 'for d in bin sbin lib; do mkdir -p "$1/usr/$d" && ln -s "usr/$d" "$1/$d"; done'
    listing = f'cd "$1/var/cache/apt/archives" && ls *.deb > {_quoted(folder / "packages")}'
    options = ["--quiet", "--mode=chrootless", "--variant=extract", "--format=directory"]
    options += [f"--architectures={recipe.ARCHITECTURE}", f"--keyring={recipe.KEYRING}"]
    options += [f"--include={','.join(recipe.PACKAGES)}"]
    options += [f"--setup-hook={merge}", f"--extract-hook={listing}"]
    _run("mmdebstrap", *options, recipe.SUITE, str(root), str(sources))
    for name in PRUNED:
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir(parents=True)


def _wheels(folder: Path, root: Path) -> None:
    """Put the pinned wheels where the board's Python looks."""
    options = ["-q", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    options += ["--only-binary=:all:", "--no-compile", "--target", str(root / SITE)]
    options += ["--python-version", recipe.PYTHON, "--implementation", "cp"]
    for platform in PLATFORMS:
        options += ["--platform", platform]
    options += ["-r", str(recipe.GUEST / "requirements.txt")]
    _checked([sys.executable, "-m", "pip", "install", *options])


def _configure(folder: Path, root: Path) -> None:
    for name, text in ACCOUNTS.items():
        (root / name).write_text(text)
    _link(root / "usr/bin/sh", "dash")
    _link(root / "usr/bin/awk", "mawk")
    for name in ("host_key", "user_key"):
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name))
    shutil.copy(folder / "host_key", root / "etc/ssh/ssh_host_ed25519_key")
    shutil.copy(recipe.GUEST / "sshd_config", root / "etc/ssh/sshd_config")
    for home in (root / "root", root / "home" / recipe.USER):
        (home / ".ssh").mkdir(mode=0o700, parents=True)
        shutil.copy(folder / "user_key.pub", home / ".ssh/authorized_keys")
    init = root / "usr/sbin/board-init"
    shutil.copy(recipe.GUEST / "board-init", init)
    init.chmod(0o755)


def _link(path: Path, target: str) -> None:
    """What the packages' own scripts would have made."""
    if not path.exists():
        path.symlink_to(target)


def _ramdisk(folder: Path, root: Path) -> None:
    """Make the ramdisk that loads the disk's driver, and lay the kernel beside it."""
    ramdisk = folder / "ramdisk"
    for name in ("bin", "modules", "proc", "dev", "disk"):
        (ramdisk / name).mkdir(parents=True)
    shutil.copy(root / "bin/busybox", ramdisk / "bin/busybox")
    shutil.copy(recipe.GUEST / "initrd-init", ramdisk / "init")
    (ramdisk / "init").chmod(0o755)
    [version] = [path.name for path in (root / "usr/lib/modules").iterdir()]
    order = []
    for module in recipe.MODULES:  # what is not found is built into the kernel
        for path in (root / "usr/lib/modules" / version).rglob(f"{module}.ko*"):
            shutil.copy(path, ramdisk / "modules" / path.name)
            order.append(path.name)
    (ramdisk / "modules/order").write_text("".join(f"{name}\n" for name in order))
    names = "\n".join(str(path.relative_to(ramdisk)) for path in sorted(ramdisk.rglob("*")))
    with (folder / "initrd").open("wb") as output:
        _checked(
            [recipe.tool("cpio"), "--create", "--format=newc", "--quiet", "--owner=0:0"],
            cwd=ramdisk,
            given=names + "\n",
            output=output,
        )
    shutil.copy(root / f"boot/vmlinuz-{version}", folder / "kernel")
    shutil.rmtree(root / "boot")
    shutil.rmtree(root / "usr/lib/modules")
    shutil.rmtree(ramdisk)


def _run(name: str, *arguments: str) -> None:
    _checked([recipe.tool(name), *arguments])


def _checked(
    command: list[str], cwd: Path | None = None, given: str = "", output: object = subprocess.PIPE
) -> None:
    done = subprocess.run(
        command,
        cwd=cwd,
        input=given.encode(),
        stdout=output,  # type: ignore[call-overload]
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        said = last_line(_first_error(done.stderr.decode(errors="replace")))
        program = Path(command[0]).name
        raise BoardError(f"{program} failed ({said})", board=NAME, doing=DOING, retryable=True)


def _first_error(text: str) -> str:
    """Prefer the line that says what was wrong to the one that says that something was."""
    errors = [line for line in text.splitlines() if line.startswith(("E:", "ERROR:"))]
    return errors[0] if errors else text


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"
