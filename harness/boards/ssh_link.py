"""The SSH connection to a board (fabric): checked host keys and a deadline on every step."""

from __future__ import annotations

import base64
import contextlib
import logging
import shlex
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fabric
import paramiko
from paramiko.ssh_exception import (
    AuthenticationException,
    BadHostKeyException,
    PasswordRequiredException,
    SSHException,
)

from harness.boards.errors import BoardError
from harness.boards.ssh_wire import SshWire
from harness.boards.wire import Wire
from rppg_core.errors import UserError

SSH_PORT = 22
KEEPALIVE_S = 10
LINK_DEAD_S = 25.0
"""A link that does not acknowledge what was sent for so long is given up."""
STALL_S = 30.0
"""Longest wait for one step of a file transfer, or for a channel to open."""
SEND_BYTES = 1 << 18

# paramiko's thread logs tracebacks of errors that are raised here too, in one line.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class SshTarget:
    """Whom to connect to, and as whom; without a key, the agent's and the user's are tried.

    With ``agent_too`` those of the agent are tried after the key.
    """

    host: str
    user: str
    port: int = SSH_PORT
    key: Path | None = None
    known_hosts: Path = Path("~/.ssh/known_hosts")
    connect_timeout_s: float = 10.0
    proxy_command: str | None = None
    agent_too: bool = False


class SshLink:
    """One connection; all its errors say which board and what was being done.

    ``~/.ssh/config`` is not read here (see ``ssh_config``), and what the target says is all there
    is: with a key given, an agent is asked for that key alone, where the file needs a passphrase.
    """

    def __init__(self, board: str, target: SshTarget) -> None:
        self.address = f"{target.host}:{target.port}"
        self._board = board
        self._host = target.host
        self._port = target.port
        self._user = target.user
        self._key = target.key.expanduser() if target.key else None
        self._known_hosts = target.known_hosts.expanduser()
        self._connect_timeout_s = target.connect_timeout_s
        self._proxy_command = target.proxy_command
        self._agent_too = target.agent_too
        self._connection: fabric.Connection | None = None
        self._upload: Any = None
        self._sending = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Say whether the connection is up, as far as is known without using it."""
        return self._connection is not None and bool(self._connection.is_connected)

    def open(self) -> None:
        """Connect, and check both sides' keys."""
        self.close()
        if self._key is not None and not self._key.is_file():
            raise UserError(f"{self._board}: there is no key {self._key}; correct 'key'")
        try:
            self._connection = self._connect(
                {"key_filename": [str(self._key)] if self._key else []}
            )
        except PasswordRequiredException as error:
            unlocked = _from_agent(self._key) if self._key else None
            if unlocked is None:
                raise self._locked() from error
            self._connection = self._connect({"pkey": unlocked})

    def _connect(self, keys: dict[str, Any]) -> fabric.Connection:
        """Connect with these keys; ``PasswordRequiredException`` is the caller's."""
        opened = self._open_socket()
        connection = fabric.Connection(
            self._host,
            user=self._user,
            port=self._port,
            config=fabric.Config(overrides={"load_ssh_configs": False}),
            connect_timeout=self._connect_timeout_s,
            connect_kwargs={
                "sock": opened,
                **keys,
                "allow_agent": self._key is None or self._agent_too,
                "look_for_keys": self._key is None,
                "banner_timeout": self._connect_timeout_s,
                "auth_timeout": self._connect_timeout_s,
                "channel_timeout": STALL_S,
            },
        )
        connection.client.set_missing_host_key_policy(_Refuse())
        with contextlib.suppress(FileNotFoundError):
            connection.client.load_system_host_keys(str(self._known_hosts))
        try:
            with self._explained():
                connection.open()
        except BaseException:
            connection.client.close()
            opened.close()
            raise
        connection.transport.set_keepalive(KEEPALIVE_S)
        return connection

    def close(self) -> None:
        """Close the connection, if there is one; never raises."""
        self._upload = None
        if self._connection is not None:
            with contextlib.suppress(OSError, EOFError, SSHException):
                self._connection.close()
            self._connection = None

    def cut(self) -> None:
        """Break the connection, in any thread: whoever uses it finds it lost."""
        connection = self._connection
        if connection is not None:
            connection.transport.close()

    def shell_command(self) -> list[str]:
        """Return the ``ssh`` command that opens a shell with the same keys and checks."""
        command = ["ssh", "-p", str(self._port), "-o", "StrictHostKeyChecking=yes"]
        command += ["-o", f"UserKnownHostsFile={_option(self._known_hosts)}"]
        if self._key:
            command += ["-i", str(self._key), "-o", "IdentitiesOnly=yes"]
        if self._proxy_command:
            command += ["-o", f"ProxyCommand={self._proxy_command}"]
        return [*command, "-l", self._user, "--", self._host]

    def start(self, command: str, doing: str) -> Wire:
        """Start a command of the board's shell."""
        with self._using(doing) as connection:
            channel = connection.create_session()
            channel.settimeout(STALL_S)
            channel.exec_command(command)
        return SshWire(channel)

    def send(self, path: Path, board_path: str, offset: int = 0) -> int:
        """Copy a file to the board, from ``offset`` on; return the bytes that were sent.

        ``OSError`` if the board refuses it. Its channel is its own: this may run beside ``fetch``.
        """
        with (
            self._sending,  # an SFTP channel is one thread's at a time
            path.open("rb") as source,
            self._using("sending files") as connection,
        ):
            if self._upload is None:
                self._upload = paramiko.SFTPClient.from_transport(connection.transport)
                self._upload.get_channel().settimeout(STALL_S)
            source.seek(offset)
            with self._upload.open(board_path, "r+b" if offset else "wb") as target:
                target.set_pipelined(True)
                target.seek(offset)
                while chunk := source.read(SEND_BYTES):
                    target.write(chunk)
            return int(self._upload.stat(board_path).st_size or 0) - offset

    def fetch(self, board_path: str) -> bytes:
        """Return the content of a file; ``OSError`` if there is none."""
        with self._using("fetching records") as connection:
            connection.sftp().get_channel().settimeout(STALL_S)
            with connection.sftp().open(board_path, "rb") as source:
                if not stat.S_ISREG(source.stat().st_mode or 0):
                    raise OSError("not a file")
                source.prefetch()
                data: bytes = source.read()
        return data

    @contextlib.contextmanager
    def _using(self, doing: str) -> Iterator[fabric.Connection]:
        """Let through what the board refuses (``OSError``); a link that broke is another thing."""
        if self._connection is None:
            raise self._failed(f"not connected to {self.address}", doing)
        try:
            yield self._connection
        except TimeoutError as error:
            raise self._lost(f"no answer within {STALL_S:.0f} s", doing) from error
        except (SSHException, EOFError, ConnectionError) as error:
            raise self._lost(str(error) or type(error).__name__, doing) from error
        except OSError as error:
            if not self.is_open:
                raise self._lost(str(error), doing) from error
            raise

    def _lost(self, reason: str, doing: str) -> BoardError:
        return self._failed(f"the connection to {self.address} was lost ({reason})", doing)

    def _failed(self, message: str, doing: str, hint: str = "") -> BoardError:
        return BoardError(
            message,
            board=self._board,
            doing=doing,
            retryable=True,
            hint=hint,
            kind="unreachable",
        )

    def _open_proxy(self, command: str) -> Any:
        try:
            return paramiko.ProxyCommand(command)
        except OSError as error:
            raise UserError(
                f"{self._board}: the ProxyCommand of ~/.ssh/config cannot be started ({error})"
            ) from error

    def _open_socket(self) -> Any:
        """Connect by TCP, so that a name, a refusal and silence are told apart."""
        if self._proxy_command:
            return self._open_proxy(self._proxy_command)
        hint = "is it powered and on the network?"
        try:
            opened = socket.create_connection((self._host, self._port), self._connect_timeout_s)
        except (socket.gaierror, UnicodeError) as error:
            raise UserError(
                f"{self._board}: no such host {self._host!r}; correct 'host' of this board"
            ) from error
        except TimeoutError as error:
            raise self._unanswered(hint) from error
        except OSError as error:
            raise self._failed(
                f"{self.address} cannot be reached ({error.strerror})",
                "connecting",
                "is its SSH server running?" if isinstance(error, ConnectionError) else hint,
            ) from error
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # requests are short
        if sys.platform == "linux":
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(LINK_DEAD_S * 1000))
        return opened

    def _unanswered(self, hint: str) -> BoardError:
        return self._failed(
            f"no answer from {self.address} within {self._connect_timeout_s:g} s",
            "connecting",
            hint,
        )

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SSH says about keys and silence into what a person can do about it."""
        scan = f"ssh-keyscan -p {self._port} {shlex.quote(self._host)}"
        known = shlex.quote(str(self._known_hosts))
        entry = self._host if self._port == SSH_PORT else f"[{self._host}]:{self._port}"
        try:
            yield
        except _UnknownHostKeyError as error:
            raise UserError(
                f"{self._board}: {self.address} is not in {self._known_hosts}; "
                f"if its key really is {error}, add it: {scan} >> {known}"
            ) from error
        except BadHostKeyException as error:
            raise UserError(
                f"{self._board}: {self.address} shows another host key than {self._known_hosts} "
                f"has ({error.key.fingerprint}); if the board was set up anew, remove the old one: "
                f"ssh-keygen -f {known} -R {shlex.quote(entry)}"
            ) from error
        except PasswordRequiredException:
            raise
        except AuthenticationException as error:
            raise self._refused() from error
        except (TimeoutError, EOFError, OSError) as error:
            raise self._unanswered(f"is it an SSH server? ({error or 'closed'})") from error
        except SSHException as error:
            raise self._unsecured(error) from error
        except ValueError as error:  # what paramiko makes of a file that is no key
            raise UserError(f"{self._board}: {self._key} is no private key ({error})") from error

    def _locked(self) -> UserError:
        known_by = shlex.quote(f"{self._key}.pub")
        return UserError(
            f"{self._board}: the key {self._key} has a passphrase; add it to ssh-agent: "
            f"ssh-add {shlex.quote(str(self._key))} (it is known there by {known_by})"
        )

    def _refused(self) -> UserError:
        also = " and those of the agent" if self._agent_too else ""
        shown = f"the key {self._key}{also}" if self._key else "every key of the agent and ~/.ssh"
        return UserError(
            f"{self._board}: {self._user}@{self.address} refuses {shown}; add the public half "
            "to ~/.ssh/authorized_keys there, or correct 'user' and 'key'"
        )

    def _unsecured(self, error: SSHException) -> Exception:
        text = str(error)
        if "No authentication methods" in text:  # there was no key to try
            return self._refused()
        if "banner" in text or "Timeout" in text or "No existing session" in text:
            return self._unanswered("something accepts connections there, is it an SSH server?")
        if self._key and ("key" in text or "OPENSSH" in text) and "file" in text:
            return UserError(f"{self._board}: {self._key} is no private key ({text})")
        return self._failed(f"no SSH session with {self.address} ({text})", "connecting")


def _from_agent(key: Path) -> paramiko.PKey | None:
    """Return the agent's copy of a key, found by the public half beside its file."""
    try:
        public = base64.b64decode(Path(f"{key}.pub").read_text().split()[1])
        held = paramiko.Agent().get_keys()
    except (OSError, ValueError, IndexError, SSHException):
        return None
    return next((one for one in held if one.asbytes() == public), None)


def _option(path: Path) -> str:
    """Return a path as ssh's options take it: one word, no percent sign left to be expanded."""
    return '"' + str(path).replace("%", "%%") + '"'


class _UnknownHostKeyError(SSHException):  # type: ignore[misc]
    pass


class _Refuse(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
    """Like ``RejectPolicy``, with an error that can be told from others."""

    def missing_host_key(self, client: object, hostname: str, key: paramiko.PKey) -> None:
        raise _UnknownHostKeyError(f"{key.get_name()} {key.fingerprint}")
