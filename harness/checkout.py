"""The commit that a run is of."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

BRANCH_OF_CI = ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME")
"""Where a CI service says it, which has no branch checked out."""
PATIENCE_S = 10.0


@dataclass(frozen=True)
class Checkout:
    """All None where a folder is in no git checkout. ``dirty``: files that git knows differ."""

    commit: str | None = None
    dirty: bool | None = None
    branch: str | None = None


def checkout_of(folder: Path) -> Checkout:
    """Return what git says of a folder."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return Checkout()
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    branch = _git(folder, "symbolic-ref", "--quiet", "--short", "HEAD")
    of_ci = next(filter(None, map(os.environ.get, BRANCH_OF_CI)), None)
    return Checkout(commit, None if changed is None else bool(changed), branch or of_ci)


def _git(folder: Path, *words: str) -> str | None:
    """Return what a git command prints; None where it fails or there is no git."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
