"""The program ``labgrid-client``: where it is, and how it is run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rppg_core.errors import UserError

PROGRAM = "labgrid-client"
FOLDER_VARIABLE = "RPPG_LABGRID"
COORDINATOR_VARIABLE = "LG_COORDINATOR"
UNWANTED = ("LG_ENV", "LG_PLACE", "PLACE", "LG_STATE", "STATE", "LG_INITIAL_STATE", "LG_TOKEN")
"""What would have the client do more than it is told."""


def find_client(board: str, given: str | None) -> str:
    """Return the path of the client; raises ``UserError`` where there is none."""
    folder = os.environ.get(FOLDER_VARIABLE)
    wanted = str(Path(given).expanduser()) if given else PROGRAM
    found = shutil.which(wanted, path=folder) if folder and not given else None
    found = found or shutil.which(wanted)
    if found is None:
        raise UserError(
            f"{board}: there is no {wanted}; install labgrid in an environment of its own and name "
            f"its {PROGRAM} by 'client', or its folder by {FOLDER_VARIABLE}"
        )
    return found


def find_coordinator(board: str, given: str | None) -> str:
    """Return the coordinator's address; raises ``UserError`` where nobody says which it is."""
    found = given or os.environ.get(COORDINATOR_VARIABLE)
    if not found:
        raise UserError(
            f"{board}: which coordinator? Give 'coordinator' (HOST:PORT) in boards.yaml, or set "
            f"{COORDINATOR_VARIABLE}"
        )
    return found


def client_environment() -> dict[str, str]:
    """Return what the client runs in; one whose reader died ends with its next line."""
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    return {**kept, "PYTHONUNBUFFERED": "1"}


def run_client(
    board: str, command: Sequence[str], limit_s: float
) -> subprocess.CompletedProcess[str]:
    """Run the client to its end, in a session of its own: an interrupt is ours to act on.

    Raises ``UserError`` if it cannot be started, ``TimeoutExpired`` where it took too long.
    """
    try:
        return subprocess.run(
            command,
            env=client_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
            start_new_session=True,
        )
    except OSError as error:
        raise UserError(
            f"{board}: {command[0]} cannot be run ({error.strerror}); correct 'client'"
        ) from error
