"""However a run ends, the place of its board is free afterwards, or found again."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.board
US = "ci/runner"

HOST = """
    import sys
    from pathlib import Path
    from harness.boards.inventory import load_boards
    from harness.boards.opening import open_board
    boards, package = map(Path, sys.argv[1:])
    say = lambda *words: print(*words, flush=True)
    board = open_board(load_boards(boards)["pi"])
    board.package_root = package
    job = {"recordings": [{"id": "a", "path": "hang"}], "model": {}}
    with board:
        say("held", board._hold._keeper._process.pid)
        board.replay(job, lambda event: say(event["event"]), 60.0)
"""


@pytest.fixture
def host(entry, place, package):
    """Another process of ours that replays on the board, and its keeper's number."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOST), str(entry(place)), str(package)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    keeper = int(process.stdout.readline().removeprefix("held "))
    assert any(line == "pids\n" for line in process.stdout)
    yield process, keeper
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_place_is_free_however_the_run_ends(farm, place, host, number):
    host[0].send_signal(number)
    assert farm.becomes(place, None)


def test_place_left_by_a_crash_is_taken_over(farm, place, host, open_place):
    process, keeper = host
    os.kill(keeper, signal.SIGKILL)
    process.kill()
    process.wait()
    assert farm.holder(place) == US
    seen = []
    board = open_place(place)
    board.acquire(1.0, seen.append)
    assert seen == ["pi: a run that ended suddenly left its place; taken over"]
    board.close()
    assert farm.holder(place) is None
