"""One emulated board for all tests that only use it; built and started once."""

import pytest

from harness.boards.virtual.board import VirtualBoard
from harness.boards.virtual.image import images_folder
from harness.boards.virtual.recipe import require_tools, sources
from rppg_core.errors import UserError


@pytest.fixture(scope="session")
def emulation(users_cache, need):
    """What makes and runs a board; its image is kept in the user's cache, for it takes minutes."""
    try:
        require_tools()
        sources()
    except UserError as missing:
        need(str(missing))
    with pytest.MonkeyPatch.context() as patch:
        if users_cache is None:
            patch.delenv("XDG_CACHE_HOME")
        else:
            patch.setenv("XDG_CACHE_HOME", users_cache)
        kept = images_folder()
    kept.mkdir(parents=True, exist_ok=True)
    images_folder().parent.mkdir(parents=True, exist_ok=True)
    images_folder().symlink_to(kept)


@pytest.fixture(scope="session")
def board(emulation):
    """A board that is on; leave it as it was found."""
    with VirtualBoard() as made:
        yield made
