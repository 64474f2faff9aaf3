"""From what ``boards.yaml`` says of a board to the board."""

from __future__ import annotations

from pathlib import Path

from harness.boards.base import PACKAGE_ROOT, Board
from harness.boards.labgrid.board import LabgridBoard
from harness.boards.labgrid.client import LabgridClient
from harness.boards.labgrid.place import Service
from harness.boards.local import LocalBoard
from harness.boards.loopback import LoopbackBoard
from harness.boards.specs import (
    BoardSpec,
    LabgridSpec,
    LocalSpec,
    LoopbackSpec,
    SshSpec,
    VirtualSpec,
)
from harness.boards.ssh import SshBoard
from harness.boards.ssh_config import with_ssh_config
from harness.boards.ssh_link import SSH_PORT, SshTarget
from harness.boards.users import user_name
from harness.boards.virtual.board import VirtualBoard
from rppg_core.errors import UserError


def open_board(spec: BoardSpec) -> Board:
    """Return the board a spec describes, not yet connected."""
    board = _make(spec)
    board.settings = spec.settings()
    return board


def _package(spec: LocalSpec) -> Path:
    """The pipeline that a board of this machine runs."""
    if spec.package is None:
        return PACKAGE_ROOT
    package = Path(spec.package).expanduser()
    if not (package / "replay.py").is_file():
        raise UserError(f"{spec.name}: package {package}: no pipeline; name a rppg_core folder")
    return package.resolve()


def _make(spec: BoardSpec) -> Board:
    if isinstance(spec, LocalSpec):
        return LocalBoard(
            spec.name,
            python=spec.python,
            threads=spec.threads,
            runtime=spec.runtime,
            package_root=_package(spec),
        )
    if isinstance(spec, LoopbackSpec):
        return LoopbackBoard(
            spec.name,
            python=spec.python,
            workdir=spec.workdir,
            threads=spec.threads,
            runtime=spec.runtime,
        )
    if isinstance(spec, VirtualSpec):
        return VirtualBoard(
            spec.name, runtime=spec.runtime, instructions_per_ms=spec.instructions_per_ms
        )
    if isinstance(spec, LabgridSpec):
        return _labgrid(spec)
    return SshBoard(
        spec.name,
        _target(spec),
        python=spec.python,
        workdir=spec.workdir,
        threads=spec.threads,
        runtime=spec.runtime,
    )


def _labgrid(spec: LabgridSpec) -> LabgridBoard:
    return LabgridBoard(
        spec.name,
        LabgridClient(spec.name, spec.place, coordinator=spec.coordinator, client=spec.client),
        lambda service: _target(spec, service),
        service=spec.service,
        python=spec.python,
        workdir=spec.workdir,
        threads=spec.threads,
        runtime=spec.runtime,
    )


def _target(spec: SshSpec | LabgridSpec, service: Service | None = None) -> SshTarget:
    """Return whom to connect to: what the board's entry says, then what ``~/.ssh/config`` does.

    What a place says of its board is as good as if it stood in the entry.
    """
    host = spec.host if isinstance(spec, SshSpec) else ""
    port, user, given = spec.port, spec.user, set(spec.model_fields_set)
    if service is not None:
        host, port = service.address, port or service.port
        user = user or service.username or None
        given |= {"port", "user"} if user else {"port"}
    target = SshTarget(
        host=host,
        port=port or SSH_PORT,
        user=user or user_name() or "",
        key=Path(spec.key) if spec.key else None,
        known_hosts=Path(spec.known_hosts),
        connect_timeout_s=spec.connect_timeout_s,
    )
    found = with_ssh_config(target, given)
    if not found.user:
        raise UserError(f"{spec.name}: this user has no name; set 'user' of this board")
    return found
