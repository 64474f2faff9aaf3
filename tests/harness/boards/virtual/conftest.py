"""One emulated board for all tests that only use it; built and started once."""

import pytest

from harness.boards.virtual.board import VirtualBoard
from harness.boards.virtual.recipe import require_tools, sources
from rppg_core.errors import UserError


@pytest.fixture(scope="session")
def emulation(need):
    """What makes and runs a board: programs, and a mirror of its packages."""
    try:
        require_tools()
        sources()
    except UserError as missing:
        need(str(missing))


@pytest.fixture(scope="session")
def board(emulation):
    """A board that is on; leave it as it was found."""
    with VirtualBoard() as made:
        yield made
