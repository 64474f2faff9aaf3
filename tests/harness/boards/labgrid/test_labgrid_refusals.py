"""What is wrong with a farm, a place or an entry is told in one line that says what to do."""

import socket

import pytest

from harness.boards.errors import BoardError
from harness.boards.labgrid import client
from rppg_core.errors import UserError

pytestmark = pytest.mark.board
OTHER = "desk/eve"


def refusal(board, kind):
    with pytest.raises(kind) as caught:
        board.connect()
    line = str(caught.value)
    assert line.startswith("pi: ")
    assert "\n" not in line
    return caught.value, line


def test_missing_place_is_named_with_those_there_are(farm, place, open_place):
    _, line = refusal(open_place(place + "x"), UserError)
    assert f"has no place '{place}x'; did you mean '{place}'?" in line


def test_part_of_a_name_is_no_name(farm, place, open_place):
    for part in ("pi", place[1:]):
        _, line = refusal(open_place(part), UserError)
        assert f"has no place {part!r}" in line
    assert farm.holder(place) is None


def test_alias_is_a_name(farm, place, open_place):
    farm.do(place, "add-alias", "coral-of-lab")
    with open_place("coral-of-lab") as board:
        assert board.facts()["place"] == place


def test_dead_coordinator(place, open_place):
    error, line = refusal(open_place(place, coordinator="127.0.0.1:1"), BoardError)
    assert "no labgrid coordinator answers at 127.0.0.1:1 (Connection refused" in line
    assert "is it running? Else correct 'coordinator' or LG_COORDINATOR" in line
    assert (error.kind, error.retryable) == ("unreachable", True)


def test_silent_coordinator(place, open_place, monkeypatch):
    monkeypatch.setattr(client, "ANSWER_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        error, line = refusal(open_place(place, coordinator=address), BoardError)
    assert f"no labgrid coordinator answers at {address} (it said nothing for 1 s)" in line
    assert error.kind == "unreachable"


def test_no_coordinator_named(place, open_place, monkeypatch):
    monkeypatch.delenv("LG_COORDINATOR")
    _, line = refusal(open_place(place), UserError)
    assert "Give 'coordinator' (HOST:PORT) in boards.yaml, or set LG_COORDINATOR" in line


def test_no_client(place, open_place, monkeypatch, tmp_path):
    board = open_place(place)
    monkeypatch.setenv("RPPG_LABGRID", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    _, line = refusal(board, UserError)
    assert "there is no labgrid-client; install labgrid in an environment of its own" in line
    assert "'client'" in line and "RPPG_LABGRID" in line


def test_client_may_be_named_and_must_be_one(farm, place, open_place, monkeypatch, tmp_path):
    monkeypatch.delenv("RPPG_LABGRID")
    with open_place(place, client=f"{farm.programs}/labgrid-client"):
        assert farm.holder(place) is not None
    wrong = tmp_path / "no-program"
    wrong.write_bytes(b"\x7fELF")
    wrong.chmod(0o755)
    _, line = refusal(open_place(place, client=wrong), UserError)
    assert f"{wrong} cannot be run (Exec format error); correct 'client'" in line
    wrong.write_text("#!/bin/sh\necho hello\n")
    _, line = refusal(open_place(place, client=wrong), BoardError)
    assert "not understood (it names no place)" in line


@pytest.mark.parametrize(
    ("match", "says"),
    [
        (None, "place {} has no NetworkService, so no address; its exporter has to export one"),
        ("lab/switched-off/*", "the NetworkService of place {} has no address; is its device on?"),
        ("lab/pair/*", "place {} has several: name one by 'service': first, second"),
    ],
)
def test_place_without_one_address_is_given_back(farm, place, open_place, match, says):
    other = farm.new_place(match)
    _, line = refusal(open_place(other), UserError)
    assert says.format(other) in line
    assert farm.holder(other) is None


def test_one_of_several_services(farm, place, open_place):
    other = farm.new_place("lab/pair/NetworkService")
    with open_place(other, service="second") as board:
        assert board.facts()["place"] == other
    _, line = refusal(open_place(other, service="third"), UserError)
    assert "has no third, so no address; it has: first, second" in line


def test_exporter_that_is_off(farm, place, open_place):
    other = farm.new_place("lab/unplugged/NetworkService")
    _, line = refusal(open_place(other), BoardError)
    assert "Match lab/unplugged/NetworkService has no matching remote resource" in line
    assert "is the exporter of this board running" in line
    assert farm.holder(other) is None


def test_board_that_another_place_uses(farm, place, open_place):
    """Two places may share a board; labgrid gives it to one of them at a time."""
    other = farm.new_place()
    farm.do(other, "acquire")
    error, line = refusal(open_place(place), BoardError)
    farm.do(other, "release")
    assert error.kind == "busy"
    assert "free, but something of it is in use by another place" in line


def test_reserved_place_is_not_taken_from_its_turn(farm, place, open_place):
    token = farm.client("reserve", "--shell", f"name={place}").stdout.strip().rpartition("=")[2]
    error, line = refusal(open_place(place), BoardError)
    farm.client("cancel-reservation", token)
    assert error.kind == "busy"
    assert "free, but reserved for another" in line


def test_board_behind_its_exporter_needs_a_jump(
    make_farm, resources, open_place, as_us, monkeypatch, tmp_path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    farm = make_farm()
    farm.export("lab", resources, "--isolated")
    board = open_place(farm.new_place(), coordinator=farm.address)
    _, line = refusal(board, UserError)
    assert "127.0.0.1 is reached through" in line and "ProxyJump" in line
