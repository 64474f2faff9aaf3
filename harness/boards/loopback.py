"""An SSH board on this machine: a private server with throwaway keys, gone when it is closed."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.boards.base import PACKAGE_ROOT
from harness.boards.digests import user_cache
from harness.boards.errors import BoardError
from harness.boards.ssh import RemoteBoard
from harness.boards.ssh_link import SshTarget
from harness.boards.wire import Deadline, last_line
from rppg_core.errors import UserError

ADDRESS = "127.0.0.1"
START_S = 10.0
"""A server is up in about 0.15 s."""
STOP_S = 5.0
PORT_ATTEMPTS = 5
"""Another program may take the free port before the server does."""
POLL_S = 0.01
ADMIN_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/sbin")

# The server must not outlive the harness, whatever ends that: this shell waits for its standard
# input to close, which also happens when the harness is killed, and then clears up.
KEEPER = """
folder=$1; shift
"$@" & server=$!
{ while read -r _; do :; done; kill "$server"; } 2>/dev/null
wait "$server"
rm -rf -- "$folder"
"""

CONFIG = """\
ListenAddress {address}
Port {port}
HostKey "{folder}/host_key"
AuthorizedKeysFile "{folder}/user_key.pub"
PidFile none
StrictModes no
UsePAM {use_pam}
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowUsers {user}
UseDNS no
PrintMotd no
PrintLastLog no
X11Forwarding no
AllowTcpForwarding no
AllowAgentForwarding no
MaxStartups 100
MaxSessions 50
Subsystem sftp internal-sftp
SetEnv SHLVL=2
"""
# That last line keeps bash, which knows a login over SSH by its shell level, from reading the
# user's start-up files for every command: a board is not to depend on them, nor wait for them.


class PrivateSshd:
    """An SSH server for the current user alone; a context manager.

    It listens on a free port of 127.0.0.1. Its keys live in ``folder``, which goes with it, on
    ``close``, at the interpreter's exit, and also when the interpreter is killed.
    """

    def __init__(self, name: str = "loopback") -> None:
        self._name = name
        self._keeper: subprocess.Popen[bytes] | None = None
        self.user = _current_user()
        self.port = 0
        sshd = _find_sshd()
        try:
            for _ in range(PORT_ATTEMPTS):
                if self._start(sshd):
                    return
                self.close()
        except BaseException:
            self.close()
            raise
        raise self._failed("every port it was given was taken")

    @property
    def user_key(self) -> Path:
        """The key that is let in."""
        return self.folder / "user_key"

    @property
    def known_hosts(self) -> Path:
        """The file that vouches for the server's key."""
        return self.folder / "known_hosts"

    def close(self) -> None:
        """Stop the server and remove its folder; safe to call twice."""
        if self._keeper is not None and self._keeper.stdin is not None:
            self._keeper.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._keeper.wait(STOP_S)
            self._keeper = None
        if self.port:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> PrivateSshd:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, sshd: str) -> bool:
        """Start the server on some free port; False if another program took that port first."""
        self.folder = Path(tempfile.mkdtemp(prefix="rppg-sshd-"))
        self.port = _free_port()
        for name in ("host_key", "user_key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", name],
                cwd=self.folder,
                check=True,
                stdin=subprocess.DEVNULL,
            )
        host_key = (self.folder / "host_key.pub").read_text().strip()
        self.known_hosts.write_text(f"[{ADDRESS}]:{self.port} {host_key}\n")
        config = self.folder / "sshd_config"
        config.write_text(
            CONFIG.format(
                address=ADDRESS,
                port=self.port,
                folder=self.folder,
                user=self.user,
                use_pam="yes" if _is_locked(self.user) else "no",
            )
        )
        check = subprocess.run(
            [sshd, "-t", "-f", str(config)], capture_output=True, text=True, check=False
        )
        if check.returncode:
            raise self._failed(f"it refuses its configuration: {last_line(check.stderr)}")
        command = [sshd, "-D", "-f", str(config), "-E", str(self.folder / "log")]
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", str(self.folder), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self._wait_until_up()

    def _wait_until_up(self) -> bool:
        log = self.folder / "log"
        deadline = Deadline(START_S)
        said = ""
        while deadline.left_s:
            said = log.read_text(errors="replace") if log.exists() else ""
            if "Server listening" in said:
                return True
            if "Cannot bind" in said:
                return False
            time.sleep(POLL_S)
        raise self._failed(f"it is not up after {START_S:g} s ({last_line(said)})")

    def _failed(self, message: str) -> BoardError:
        return BoardError(
            message, board=self._name, doing="starting its SSH server", retryable=False
        )


class LoopbackBoard(RemoteBoard):
    """This machine as an SSH board; what it is sent stays in ``workdir`` for the next run."""

    kind = "loopback"

    def __init__(
        self,
        name: str = "loopback",
        *,
        python: str | None = None,
        workdir: str | None = None,
        threads: int = 1,
        runtime: str = "auto",
        package_root: Path = PACKAGE_ROOT,
    ) -> None:
        super().__init__(
            name,
            python=python or sys.executable,
            workdir=workdir or str(user_cache() / "boards" / name),
            threads=threads,
            runtime=runtime,
            package_root=package_root,
        )
        self._server: PrivateSshd | None = None

    @property
    def whereabouts(self) -> tuple[object, ...]:
        """The work folder, in which the lease lies."""
        return (self.kind, str(Path(self._workdir).expanduser().absolute()))

    def close(self) -> None:
        """Close the connection, stop the server and remove its keys."""
        super().close()
        if self._server is not None:
            self._server.close()
            self._server = None

    def _find(self) -> SshTarget:
        self._server = PrivateSshd(self.name)
        return SshTarget(
            host=ADDRESS,
            port=self._server.port,
            user=self._server.user,
            key=self._server.user_key,
            known_hosts=self._server.known_hosts,
        )


def _find_sshd() -> str:
    """Return the server's absolute path, which it needs to start itself again."""
    search = os.pathsep.join([os.environ.get("PATH", ""), *ADMIN_FOLDERS])
    sshd = shutil.which("sshd", path=search)
    if sshd is None or shutil.which("ssh-keygen") is None:
        raise UserError(
            "a loopback board needs an SSH server, and there is none: "
            "sudo apt-get install openssh-server"
        )
    if os.geteuid() == 0:  # where a server that runs as root drops its privileges
        Path("/run/sshd").mkdir(mode=0o755, parents=True, exist_ok=True)
    return sshd


def _current_user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError as error:
        raise UserError(
            f"a loopback board needs a user with a name, and user {os.geteuid()} has none; "
            "add it to /etc/passwd"
        ) from error


def _is_locked(user: str) -> bool:
    """Say whether a server would refuse the user for want of a password, unless PAM decides.

    Only a server that runs as root can read what says so.
    """
    try:
        lines = Path("/etc/shadow").read_text().splitlines()
    except OSError:
        return False
    return any(line.startswith(f"{user}:!") for line in lines)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])
