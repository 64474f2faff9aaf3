"""One emulated board for all tests that only use it; built and started once."""

import pytest

from harness.boards.virtual.board import VirtualBoard
from harness.boards.virtual.recipe import require_tools
from rppg_core.errors import UserError


@pytest.fixture(scope="session")
def emulation(need):
    """The programs that make and run a board."""
    try:
        require_tools()
    except UserError as missing:
        need(str(missing))


@pytest.fixture(scope="session")
def board(emulation):
    """A board that is on; leave it as it was found."""
    with VirtualBoard() as made:
        yield made
