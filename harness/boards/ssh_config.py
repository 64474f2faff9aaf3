"""Aliases of ``~/.ssh/config``, so that a board may be named as for ``ssh``."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Any

import paramiko

from harness.boards.ssh_link import SshTarget
from rppg_core.errors import UserError


def with_ssh_config(
    target: SshTarget, given: Collection[str], config: Path | None = None
) -> SshTarget:
    """Return the target with what the user's SSH configuration says of its host.

    ``given`` are the settings that stand in ``boards.yaml``, which win. Taken over are HostName,
    Port, User, IdentityFile, IdentitiesOnly, UserKnownHostsFile, ProxyCommand and ProxyJump.
    Raises ``UserError`` for a file that cannot be understood.
    """
    path = config or Path("~/.ssh/config").expanduser()
    if not path.is_file():
        return target
    try:
        found = paramiko.SSHConfig.from_path(str(path)).lookup(target.host)
    except (OSError, ValueError, paramiko.SSHException) as error:
        raise UserError(f"{path}: cannot be understood ({error}); mend or move it") from error
    changes: dict[str, Any] = {}
    if "hostname" in found:
        changes["host"] = found["hostname"]
    if "port" in found and "port" not in given:
        changes["port"] = int(found["port"])
    if "user" in found and "user" not in given:
        changes["user"] = found["user"]
    keys = [Path(name).expanduser() for name in found.get("identityfile", [])]
    if "key" not in given:
        changes["key"] = next((key for key in keys if key.is_file()), target.key)
        changes["agent_too"] = found.get("identitiesonly", "no").lower() != "yes"
    if "userknownhostsfile" in found and "known_hosts" not in given:
        changes["known_hosts"] = Path(found["userknownhostsfile"].split()[0])
    proxy = _proxy(found, changes.get("host", target.host), changes.get("port", target.port))
    return dataclasses.replace(target, proxy_command=proxy, **changes)


def _proxy(found: Any, host: str, port: int) -> str | None:
    command = found.get("proxycommand")
    if command and command.lower() != "none":
        return str(command)
    jump = found.get("proxyjump")
    if jump and jump.lower() != "none":
        *before, last = str(jump).split(",")  # a chain of hosts, the last one nearest the board
        through = f"-J {shlex.quote(','.join(before))} " if before else ""
        return f"ssh {through}-W {shlex.quote(f'[{host}]:{port}')} -- {shlex.quote(last)}"
    return None
