"""A board of a labgrid farm: taken, used, lost and given back, by a real coordinator."""

import os
import threading
import time

import pytest

from harness.boards.errors import BoardError
from harness.boards.labgrid import hold

pytestmark = pytest.mark.board
US, OTHER = "ci/runner", "desk/eve"
LIMIT_S = 60.0
SECONDS_S = 8.0
"""Within seconds: a look every 3 s, its answer, and the end of the replay."""


def replay(board, job, act="ok", on_event=lambda event: None):
    return board.replay(job(act), on_event, LIMIT_S)


def test_place_is_ours_while_the_board_is_used_and_free_afterwards(farm, place, open_place, job):
    board = open_place(place)
    board.acquire(1.0, pytest.fail)
    board.connect()
    assert farm.holder(place) == US
    assert board.facts()["place"] == place
    assert replay(board, job).exit_status == 0
    board.hang_up()
    assert farm.holder(place) == US, "a lost link is no reason to lose the place"
    board.connect()
    board.close()
    assert farm.holder(place) is None


def test_free_place_is_taken_by_connecting(farm, place, open_place):
    with open_place(place):
        assert farm.holder(place) == US
    assert farm.holder(place) is None


def test_place_is_given_back_when_the_board_cannot_be_reached(farm, place, open_place):
    with pytest.raises(BoardError, match=r"127\.0\.0\.1:1 cannot be reached"):
        open_place(place, port=1).connect()
    assert farm.holder(place) is None


def test_busy_place_says_who_has_it_and_what_to_do(farm, place, open_place):
    farm.do(place, "acquire")
    seen = []
    with pytest.raises(BoardError) as caught:
        open_place(place).acquire(3.0, seen.append)
    assert caught.value.kind == "busy"
    line = str(caught.value)
    assert line.startswith(f"pi: still busy after 3 s (place {place} is held by {OTHER})")
    assert "--lease-wait" in line and "rppg-bench lease pi --break" in line
    assert seen == [f"pi: held by {OTHER}; waiting up to 3 s"]
    assert farm.holder(place) == OTHER
    assert place not in farm.client("reservations").stdout


def test_turn_comes_in_the_farms_own_line(farm, place, open_place):
    farm.do(place, "acquire")
    waits = threading.Event()
    board = open_place(place)
    thread = threading.Thread(target=board.acquire, args=(LIMIT_S, lambda line: waits.set()))
    thread.start()
    assert waits.wait(LIMIT_S)
    farm.do(place, "release")
    thread.join(LIMIT_S)
    assert farm.holder(place) == US
    assert place not in farm.client("reservations").stdout, "nobody is kept waiting afterwards"


@pytest.mark.parametrize("then", ["free", "acquired"])
def test_kicked_from_its_place_a_replay_stops_within_seconds(
    farm, place, open_place, job, gone, then
):
    board = open_place(place)
    kicked, pids = [], []

    def on_event(event):
        if event["event"] == "pids":
            pids.extend(event["pids"])
            farm.do(place, "release", "--kick")
            if then == "acquired":
                farm.do(place, "acquire")
            kicked.append(time.monotonic())

    board.connect()
    with pytest.raises(BoardError) as caught:
        replay(board, job, "hang", on_event)
    assert time.monotonic() - kicked[0] < SECONDS_S
    assert (caught.value.kind, caught.value.retryable) == ("lease", False)
    why = "kicked, or coordinator restarted" if then == "free" else f"now held by {OTHER}"
    line = f"pi: the place {place} was released from this run ({why}) while using it; start again"
    assert str(caught.value) == line
    assert gone(pids, within_s=SECONDS_S)
    for use in (board.facts, board.deploy, board.connect):
        with pytest.raises(BoardError, match="was released from this run"):
            use()
    board.close()
    assert farm.holder(place) == (None if then == "free" else OTHER), "it is not ours to release"


def test_same_user_who_takes_it_anew_is_told_apart(farm, place, open_place, monkeypatch):
    board = open_place(place)
    board.acquire(1.0, pytest.fail)
    farm.do(place, "release", who=US)
    farm.do(place, "acquire", who=US)
    end = time.monotonic() + SECONDS_S
    with pytest.raises(BoardError, match="was released from this run"):
        while time.monotonic() < end:
            board.acquire(1.0, pytest.fail)
            time.sleep(0.1)
    board.close()
    assert farm.holder(place) == US


def test_own_place_is_used_and_left_as_it_was(farm, place, open_place, job):
    farm.do(place, "acquire", who=US)
    seen = []
    board = open_place(place)
    board.acquire(1.0, seen.append)
    board.connect()
    assert replay(board, job).exit_status == 0
    board.close()
    assert seen == ["pi: you had acquired its place; used, and left so"]
    assert farm.holder(place) == US


def test_two_runs_of_one_user_do_not_share_a_place(farm, place, open_place):
    first, second, seen = open_place(place), open_place(place), []
    first.acquire(1.0, pytest.fail)
    with pytest.raises(BoardError) as caught:
        second.acquire(1.0, seen.append)
    assert caught.value.kind == "busy"
    assert f"process {os.getpid()}, a run of yours" in str(caught.value)
    assert len(seen) == 1
    first.close()
    second.acquire(1.0, pytest.fail)


def test_coordinator_that_stays_away_ends_the_run(
    make_farm, resources, open_place, monkeypatch, as_us, capsys
):
    monkeypatch.setattr(hold, "COORDINATOR_GONE_S", 2.0)
    farm = make_farm()
    farm.export("lab", resources)
    board = open_place(farm.new_place(), coordinator=farm.address)
    board.connect()
    farm.stop("coordinator")
    end = time.monotonic() + 2 * SECONDS_S
    with pytest.raises(BoardError) as caught:
        while time.monotonic() < end:
            board.facts()
            time.sleep(0.1)
    line = str(caught.value)
    assert "nobody knows whose the place is: no labgrid coordinator answers at" in line
    assert caught.value.kind == "lease"
    board.close()
    assert "pi: its place could not be given back; try labgrid-client -x" in capsys.readouterr().err
