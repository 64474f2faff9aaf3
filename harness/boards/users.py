"""The name of whoever runs this, which a container's user may not have."""

from __future__ import annotations

import getpass
import os


def user_name() -> str | None:
    """Return the user's name, None where neither the environment nor the system has one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the first up to Python 3.12
        return None


def shown_user() -> str:
    """Return the user's name, or number, to be shown to others."""
    return user_name() or f"uid-{os.getuid()}"
