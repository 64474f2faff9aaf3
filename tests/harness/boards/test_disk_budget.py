"""A board's disk is small: what was used longest ago goes, and the budget holds at every moment."""

import os
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.boards.errors import BoardError
from harness.boards.onboard.cache import make_room, remember_use, used_bytes
from harness.boards.settings import BoardSettings
from harness.boards.ssh import SshBoard
from rppg_core.errors import UserError

MB = 10**6
BUDGET_BYTES = 8 * MB
RESERVE_BYTES = MB


@pytest.fixture
def root(tmp_path):
    for kind in ("store", "trees", "incoming"):
        (tmp_path / kind).mkdir()
    return tmp_path


def stored(root, name, size_bytes=8192):
    (root / "store" / name).write_bytes(bytes(size_bytes))
    remember_use(root, [name])


def test_least_recently_used_goes_first_and_what_is_kept_stays(root):
    for name in "abcd":
        stored(root, name)
    remember_use(root, ["a"])
    budget = used_bytes(root) + 4096
    assert make_room(root, 8192, budget, {"b"}) == 0
    assert sorted(path.name for path in (root / "store").iterdir()) == ["a", "b", "d"]
    assert make_room(root, 10**9, budget, {"b"}) > 0
    assert [path.name for path in (root / "store").iterdir()] == ["b"]


def test_tree_goes_before_the_files_it_keeps_alive(root):
    stored(root, "a", 100_000)
    (root / "trees" / "t").mkdir()
    os.link(root / "store" / "a", root / "trees" / "t" / "x.png")
    remember_use(root, ["a", "t"])
    stored(root, "b")
    before = used_bytes(root)
    assert make_room(root, 50_000, before, set()) == 0
    assert before - used_bytes(root) >= 100_000
    assert [path.name for path in (root / "store").iterdir()] == ["b"]
    assert list((root / "trees").iterdir()) == []


def test_nothing_goes_while_there_is_room(root):
    stored(root, "a")
    assert make_room(root, 10_000, used_bytes(root) + 10_000, set()) == 0
    assert make_room(root, 10_000, 0, set()) == 0
    assert (root / "store" / "a").exists()


class Watch(threading.Thread):
    """Measures a folder until it is told to stop."""

    def __init__(self, folder):
        super().__init__()
        self.most_bytes = self.looks = 0
        self._folder, self._over = folder, threading.Event()

    def run(self):
        while not self._over.wait(0.01):
            self.most_bytes = max(self.most_bytes, used_bytes(self._folder))
            self.looks += 1

    def stop(self):
        self._over.set()
        self.join()


@pytest.fixture
def small(target, package, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.boards.deploy.RESERVE_BYTES", RESERVE_BYTES)
    workdir = tmp_path / "board"
    workdir.mkdir()
    with SshBoard(
        "pi", target, python=sys.executable, workdir=str(workdir), package_root=package
    ) as b:
        b.settings = BoardSettings(disk_budget_bytes=BUDGET_BYTES)
        yield b, workdir


def videos(folder, count, size_bytes):
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.avi" for number in range(count)]
    for path in paths:
        path.write_bytes(os.urandom(size_bytes))
    return paths


@pytest.mark.board
def test_ten_times_the_budget_goes_through_it_and_never_exceeds_it(small, job, tmp_path):
    board, workdir = small
    paths = [*videos(tmp_path, 4, 3400_000), *videos(tmp_path / "large", 10, 6700_000)]
    assert sum(path.stat().st_size for path in paths) >= 10 * BUDGET_BYTES
    watch = Watch(workdir)
    watch.start()
    ahead_bytes = 0
    board.deploy()
    try:
        for path, following in zip(paths, [*paths[1:], None], strict=True):
            on_board = board.put([path]).board_paths[path]
            if following in paths[:4]:
                board.send_ahead([following])
            if path in paths[:2]:
                asked = job("slow", model=on_board)
                assert board.replay(asked, lambda event: None, 20.0).exit_status == 0
            assert Path(on_board).read_bytes() == path.read_bytes()
            ahead_bytes += board.settle()
    finally:
        watch.stop()
    assert watch.looks > 50
    assert watch.most_bytes <= BUDGET_BYTES
    assert ahead_bytes == sum(path.stat().st_size for path in paths[1:4])


@pytest.mark.board
def test_file_that_the_budget_cannot_hold_is_the_users_to_mend(small, tmp_path):
    board, workdir = small
    large, fits = videos(tmp_path, 1, 9 * MB)[0], tmp_path / "fits.avi"
    fits.write_bytes(b"x")
    with pytest.raises(UserError, match=r"disk budget of 8\.0 MB .*; raise 'disk_budget'"):
        board.put([large])
    assert board.put([fits]).sent_files == 1
    assert list((workdir / "incoming").iterdir()) == []


@pytest.mark.board
def test_what_is_in_use_is_not_displaced_by_what_is_sent_ahead(small, tmp_path):
    board, _ = small
    board.settings = replace(board.settings, disk_budget_bytes=5 * MB)
    first, second = videos(tmp_path, 2, 3 * MB)
    on_board = board.put([first]).board_paths[first]
    board.send_ahead([second])
    assert board.settle() == 1, "there was no room for both, so it was left"
    assert Path(on_board).exists()
    assert board.put([second]).sent_files == 1
    assert not Path(on_board).exists()


@pytest.mark.board
@pytest.mark.parametrize("damaged", [False, True])
def test_transfer_that_broke_off_goes_on_where_it_was(
    target, package, tmp_path, monkeypatch, damaged
):
    clip = videos(tmp_path, 1, 8 * MB)[0]
    workdir = tmp_path / "board"

    def board():
        return SshBoard(
            "pi", target, python=sys.executable, workdir=str(workdir), package_root=package
        )

    from harness.boards import ssh_link

    with board() as first:
        first.put([])
        sent = first._link.send

        def cut(path, board_path, offset):
            """Cut the connection, for real, once a part has arrived."""
            monkeypatch.setattr(ssh_link, "SEND_BYTES", 1 << 16)

            def watch():
                while not (Path(board_path).exists() and Path(board_path).stat().st_size > MB):
                    time.sleep(0.001)
                first._link._connection.transport.sock.close()

            threading.Thread(target=watch, daemon=True).start()
            return sent(path, board_path, offset)

        monkeypatch.setattr(first._store, "_send_file", cut)
        with pytest.raises(BoardError) as caught:
            first.put([clip])
        assert caught.value.retryable
    (part,) = (workdir / "incoming").iterdir()
    begun = -1
    while begun != part.stat().st_size:  # the board may still write what it was sent
        begun = part.stat().st_size
        time.sleep(0.3)
    assert MB < begun < 8 * MB
    if damaged:
        with part.open("r+b") as file:
            file.write(b"damage")
    with board() as second:
        report = second.put([clip])
    assert report.sent_bytes == 8 * MB - begun + (8 * MB if damaged else 0)
    assert Path(report.board_paths[clip]).read_bytes() == clip.read_bytes()
    assert list((workdir / "incoming").iterdir()) == []
