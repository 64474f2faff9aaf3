"""A farm for the session, its places at the private sshd, and boards at these."""

import os
import sys
from pathlib import Path

import pytest
import yaml
from labgrid_farm import RESOURCES, US, Farm

from harness.boards.inventory import load_boards
from harness.boards.opening import open_board


@pytest.fixture(scope="session")
def programs(need):
    """The folder of labgrid's programs, in an environment of their own."""
    folder = os.environ.get("RPPG_LABGRID", "")
    if not (Path(folder) / "labgrid-coordinator").is_file():
        need("RPPG_LABGRID names no folder with labgrid's programs")
    return folder


@pytest.fixture
def make_farm(programs, tmp_path_factory):
    """Return a function that starts a farm of its own, for tests that break it."""
    made = []

    def start():
        made.append(Farm(programs, tmp_path_factory.mktemp("farm")))
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.stop_all()


@pytest.fixture(scope="session")
def resources(sshd):
    return RESOURCES.format(port=sshd.port, user=sshd.user)


@pytest.fixture(scope="session")
def farm(programs, resources, tmp_path_factory):
    made = Farm(programs, tmp_path_factory.mktemp("farm"))
    try:
        made.start()
        made.export("lab", resources)
        yield made
    finally:
        made.stop_all()


@pytest.fixture
def as_us(monkeypatch):
    """Be one user of one host to labgrid, whatever this machine is called."""
    host, user = US.split("/")
    monkeypatch.setenv("LG_HOSTNAME", host)
    monkeypatch.setenv("LG_USERNAME", user)


@pytest.fixture
def place(farm, as_us, monkeypatch):
    """A free place at the private sshd, its coordinator known to the environment."""
    monkeypatch.setenv("LG_COORDINATOR", farm.address)
    name = farm.new_place()
    yield name
    farm.client("-p", name, "release", "--kick")
    farm.do(name, "delete")


@pytest.fixture
def entry(sshd, tmp_path):
    """Return a function that writes a boards.yaml with one board at a place; returns the file."""

    def write(place, **more):
        path = tmp_path / "boards.yaml"
        settings = {
            "kind": "labgrid",
            "place": place,
            "key": sshd.user_key,
            "known_hosts": sshd.known_hosts,
            "python": sys.executable,
            "workdir": tmp_path / "w",
            **more,
        }
        shown = {
            name: value if isinstance(value, int) else str(value)
            for name, value in settings.items()
        }
        path.write_text(yaml.safe_dump({"pi": shown}))
        return path

    return write


@pytest.fixture
def open_place(entry, package):
    """Return a function that opens the board of a place; it replays as its job's paths say."""
    made = []

    def start(place, **more):
        board = open_board(load_boards(entry(place, **more))["pi"])
        board.package_root = package
        made.append(board)
        return board

    yield start
    for board in made:
        board.close()
