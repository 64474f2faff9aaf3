"""What is sent to a board over SSH, and what is not."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.boards.errors import BoardError
from harness.boards.onboard.store import stamp_ns
from harness.boards.ssh import SshBoard
from rppg_core.errors import UserError

pytestmark = pytest.mark.board

HOSTILE_NAMES = [
    "two words.avi",
    'it\'s "quoted".avi',
    "a;touch PWNED;.avi",
    "$(touch PWNED)`touch PWNED`.avi",
    "new\nline.avi",
    "-rf.avi",
    "..avi",
    "Übung 脉搏.avi",
    "x" * 200 + ".avi",
    "a.avi;touch PWNED",
    os.fsdecode(b"not \xff utf-8.avi"),
]


def workdir(tmp_path):
    return tmp_path / "board dir's"


def test_facts(ssh_board):
    facts = ssh_board.facts()
    assert facts["machine"] == os.uname().machine
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["cpu_count"] == os.cpu_count()
    assert facts["memory_bytes"] > 2**28
    assert facts["cpu_model"]
    assert facts["kernel"]


def test_second_deploy_sends_nothing(ssh_board, package):
    first = ssh_board.deploy()
    assert (first.files, first.sent_files) == (2, 2)
    assert first.sent_bytes == sum(path.stat().st_size for path in package.glob("*.py"))
    second = ssh_board.deploy()
    assert (second.files, second.sent_files, second.sent_bytes) == (2, 0, 0)
    assert second.board_paths == first.board_paths


def test_deploy_leaves_out_what_a_board_has_no_use_for(ssh_board, package):
    tree = Path(ssh_board.deploy().board_paths[package])
    sent = sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file())
    assert sent == ["player/__init__.py", "player/replay.py"]


def test_changed_package_is_another_tree_and_only_the_change_is_sent(ssh_board, package):
    before = ssh_board.deploy().board_paths[package]
    (package / "__init__.py").write_text("changed = True\n")
    report = ssh_board.deploy()
    assert (report.sent_files, report.sent_bytes) == (1, 15)
    assert report.board_paths[package] != before


def test_same_content_is_sent_once(ssh_board, tmp_path):
    paths = [tmp_path / name for name in ("a.avi", "b.avi", "c.avi")]
    for path in paths:
        path.write_bytes(b"same")
    report = ssh_board.put(paths)
    assert (report.sent_files, report.sent_bytes) == (1, 4)
    assert len(set(report.board_paths.values())) == 1
    assert ssh_board.put(paths).sent_bytes == 0


def test_empty_file_and_no_file(ssh_board, tmp_path):
    empty = tmp_path / "empty.avi"
    empty.touch()
    assert Path(ssh_board.put([empty]).board_paths[empty]).read_bytes() == b""
    assert ssh_board.put([]).board_paths == {}


def test_missing_file_is_the_users_mistake(ssh_board, tmp_path):
    with pytest.raises(UserError, match=r"no\.avi: cannot be read \(No such file"):
        ssh_board.put([tmp_path / "no.avi"])


def test_put_file_is_what_the_replay_reads(ssh_board, job, tmp_path):
    content = os.urandom(300_000)
    path = tmp_path / "clip.avi"
    path.write_bytes(content)
    on_board = ssh_board.put([path]).board_paths[path]
    result = ssh_board.replay(job("read", model=on_board), lambda event: None, 20.0)
    assert bytes.fromhex(result.records[0]["text"]) == content


@pytest.mark.parametrize("touch", [True, False])
def test_damaged_file_in_the_store_is_noticed_and_sent_again(ssh_board, tmp_path, touch):
    path = tmp_path / "clip.avi"
    path.write_bytes(b"the right content")
    stored = Path(ssh_board.put([path]).board_paths[path])
    stored.chmod(0o644)
    stored.write_bytes(b"the wrong content" if touch else b"the right")
    report = ssh_board.put([path])
    assert report.sent_files == 1
    assert stored.read_bytes() == b"the right content"


@pytest.mark.parametrize("gone", [True, False])
def test_what_is_placed_is_not_looked_at_twice_but_a_replay_refuses_what_was_changed(
    ssh_board, tmp_path, job, monkeypatch, gone
):
    path = tmp_path / "clip.avi"
    path.write_bytes(b"the right content")
    first = ssh_board.place([path])
    stored = Path(first.board_paths[path])
    with monkeypatch.context() as patch:
        patch.setattr(ssh_board, "_open_wire", None)  # whoever asks the board anything fails
        again = ssh_board.place([path])
    assert again.board_paths == first.board_paths
    assert (first.sent_files, again.sent_files, again.files) == (1, 0, 1)
    stored.chmod(0o644)
    stored.unlink() if gone else stored.write_bytes(b"the wrong content")
    with pytest.raises(BoardError, match="is gone or was changed there") as refused:
        ssh_board.replay(job("read", model=str(stored)), lambda event: None, 20.0)
    assert (refused.value.kind, refused.value.retryable) == ("damaged", True)
    assert ssh_board.place([path]).sent_files == 1
    result = ssh_board.replay(job("read", model=str(stored)), lambda event: None, 20.0)
    assert bytes.fromhex(result.records[0]["text"]) == b"the right content"


def test_what_is_expected_is_looked_for_once_and_only_what_is_whole_counts(
    ssh_board, tmp_path, monkeypatch
):
    paths = [tmp_path / f"{name}.avi" for name in ("whole", "changed", "new", "never seen")]
    for path in paths:
        path.write_bytes(path.name.encode())
        os.utime(path, (1e9, 1e9))  # a file of just now is hashed every time
    placed = ssh_board.put(paths[:2]).board_paths
    changed = Path(placed[paths[1]])
    changed.chmod(0o644)
    changed.write_bytes(b"tampered.avi")
    ssh_board.put([tmp_path / "whole.avi"])  # forgets the rest
    ssh_board.expect([*paths[:3], tmp_path / "absent.avi"])
    with monkeypatch.context() as patch:
        patch.setattr(ssh_board, "_open_wire", None)  # whoever asks the board anything fails
        assert ssh_board.place(paths[:1]).board_paths == {paths[0]: placed[paths[0]]}
    assert ssh_board.place(paths[1:3]).sent_files == 2
    assert changed.read_bytes() == b"changed.avi"


def test_touched_but_whole_file_is_not_sent_again(ssh_board, tmp_path):
    path = tmp_path / "clip.avi"
    path.write_bytes(b"content")
    stored = Path(ssh_board.put([path]).board_paths[path])
    os.utime(stored)
    assert ssh_board.put([path]).sent_bytes == 0
    assert stored.stat().st_mtime_ns == stamp_ns(hashlib.sha256(b"content").hexdigest())


def test_damaged_tree_is_mended_without_sending(ssh_board, package, job):
    tree = Path(ssh_board.deploy().board_paths[package])
    (tree / "player" / "replay.py").unlink()
    assert ssh_board.deploy().sent_bytes == 0
    assert ssh_board.replay(job("ok"), lambda event: None, 20.0).exit_status == 0


def test_file_that_changes_while_it_is_sent_is_refused(ssh_board, tmp_path, monkeypatch):
    path = tmp_path / "clip.avi"
    path.write_bytes(b"before")
    send = ssh_board._send

    def send_changed(source, board_path, offset):
        source.write_bytes(b"after!")
        return send(source, board_path, offset)

    monkeypatch.setattr(ssh_board._store, "_send_file", send_changed)
    with pytest.raises(BoardError, match=r"clip\.avi arrived damaged, or changed") as caught:
        ssh_board.put([path])
    assert caught.value.retryable
    assert list(workdir(tmp_path).glob("incoming/*")) == []


def test_host_file_that_changed_is_sent_anew(ssh_board, tmp_path):
    path = tmp_path / "clip.avi"
    path.write_bytes(b"one")
    os.utime(path, (1, 1))
    ssh_board.put([path])
    path.write_bytes(b"two")
    report = ssh_board.put([path])
    assert report.sent_files == 1
    assert Path(report.board_paths[path]).read_bytes() == b"two"


def nothing_ran(tmp_path):
    places = (tmp_path, Path.home(), Path.cwd())
    return not list(tmp_path.rglob("PWNED*")) and not any((p / "PWNED").exists() for p in places)


def test_hostile_file_names_neither_run_nor_escape(ssh_board, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    paths = [folder / name for name in HOSTILE_NAMES]
    for path in paths:
        path.write_bytes(b"clip " + os.fsencode(path))
    places = ssh_board.put([*paths, folder]).board_paths
    tree = Path(places[folder])
    assert tree.parent == workdir(tmp_path) / "trees"
    for path in paths:
        stored = Path(places[path])
        assert stored.parent == workdir(tmp_path) / "store"
        assert stored.name.replace(".", "").isalnum()
        assert (tree / path.name).read_bytes() == stored.read_bytes() == path.read_bytes()
    assert nothing_ran(tmp_path)


def test_hostile_recording_ids_come_back_unharmed(ssh_board, job, tmp_path):
    asked = job(*["ok"] * len(HOSTILE_NAMES))
    ids = [f"../../{name}" for name in HOSTILE_NAMES]
    for recording, name in zip(asked["recordings"], ids, strict=True):
        recording["id"] = name
    result = ssh_board.replay(asked, lambda event: None, 20.0)
    assert [record["recording"] for record in result.records] == ids
    assert nothing_ran(tmp_path)


def test_folder_of_images_keeps_its_names(ssh_board, tmp_path):
    folder = tmp_path / "01-01"
    folder.mkdir()
    for number in range(5):
        (folder / f"Image{number}.png").write_bytes(b"%d" % (number // 2))
    report = ssh_board.put([folder])
    assert (report.files, report.sent_files) == (3, 3)
    there = Path(report.board_paths[folder])
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


def test_empty_folder_is_the_users_mistake(ssh_board, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="holds no files"):
        ssh_board.put([tmp_path / "none"])


def test_leftovers_of_dead_hosts_are_swept_but_not_fresh_ones(ssh_board, tmp_path, package):
    ssh_board.deploy()
    for kind in ("incoming", "jobs"):
        for age_s in (0, 2 * 86400):
            left = workdir(tmp_path) / kind / f"left-{age_s}"
            left.mkdir()
            os.utime(left, (left.stat().st_mtime - age_s,) * 2)
    ssh_board.deploy()
    assert [path.name for path in workdir(tmp_path).glob("incoming/*")] == ["left-0"]
    assert [path.name for path in workdir(tmp_path).glob("jobs/*")] == ["left-0"]


def test_home_is_expanded_on_the_board(target, package, tmp_path):
    inside_home = f"~/.cache/rppg-bench-test-{os.getpid()}"
    with SshBoard(
        "x", target, python=sys.executable, workdir=inside_home, package_root=package
    ) as board:
        tree = Path(board.deploy().board_paths[package])
    try:
        assert tree.is_relative_to(Path(inside_home).expanduser())
    finally:
        subprocess.run(["rm", "-rf", str(Path(inside_home).expanduser())], check=True)


@pytest.fixture
def full_board(target, package, small_disk):
    with SshBoard(
        "coral01", target, python=sys.executable, workdir=str(small_disk), package_root=package
    ) as board:
        yield board


def test_no_space_is_said_before_anything_is_sent(full_board, small_disk, tmp_path):
    path = tmp_path / "large.avi"
    path.write_bytes(os.urandom(20_000_000))
    with pytest.raises(BoardError) as caught:
        full_board.put([path])
    line = str(caught.value)
    assert line.startswith(f"coral01: no space in {small_disk}: 36.8 MB needed, 25.2 MB free")
    assert "set 'workdir' of this board to a larger disk" in line
    assert not caught.value.retryable
    assert list(small_disk.glob("*/*")) == []


def test_disk_that_fills_while_sending_is_said_and_nothing_half_sent_stays(
    full_board, small_disk, tmp_path, monkeypatch
):
    path = tmp_path / "large.avi"
    path.write_bytes(os.urandom(8_000_000))
    send = full_board._send

    def fill_then_send(source, board_path, offset):
        (small_disk / "other").write_bytes(bytes(20_000_000))
        return send(source, board_path, offset)

    monkeypatch.setattr(full_board._store, "_send_file", fill_then_send)
    with pytest.raises(BoardError, match=r"no space in .*24\.8 MB needed, 5\.2 MB free"):
        full_board.put([path])
    assert [p.name for p in small_disk.rglob("*") if p.is_file()] == ["other"]


def test_file_the_board_refuses_is_named(ssh_board, tmp_path, monkeypatch):
    path = tmp_path / "clip.avi"
    path.write_bytes(b"clip")
    send = ssh_board._send
    monkeypatch.setattr(
        ssh_board._store, "_send_file", lambda source, to, _: send(source, f"/nowhere/{to}")
    )
    with pytest.raises(BoardError, match=r"refused .*clip\.avi \(\[Errno 2\]"):
        ssh_board.put([path])


def test_work_folder_that_cannot_be_made_is_said_in_one_line(target, package):
    with (
        SshBoard("x", target, python=sys.executable, workdir="/proc/no", package_root=package) as b,
        pytest.raises(BoardError, match=r"x: .*/proc/no.* while deploying the pipeline") as caught,
    ):
        b.deploy()
    assert "\n" not in str(caught.value)


def test_host_remembers_hashes_of_settled_files(tmp_path):
    from harness.boards.digests import Digests

    settled, fresh = tmp_path / "settled", tmp_path / "fresh"
    settled.write_bytes(b"a")
    os.utime(settled, (1, 1))
    fresh.write_bytes(b"b")
    cache = tmp_path / "digests.json"
    digests = Digests(cache)
    expected = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in (settled, fresh)}
    assert {path: digests.sha256(path)[0] for path in expected} == expected
    digests.save()
    assert list(json.loads(cache.read_text())) == [str(settled)]
    kept = cache.read_text()
    cache.write_text(kept.replace(expected[settled], "0" * 64))
    assert Digests(cache).sha256(settled) == ("0" * 64, 1), "remembered"
    cache.write_text(kept.replace(expected[settled], "no hash"))
    assert Digests(cache).sha256(settled)[0] == expected[settled]
    cache.write_text("[not a cache")
    assert Digests(cache).sha256(settled)[0] == expected[settled]


@pytest.mark.parametrize("in_place", [True, False])
def test_file_of_the_same_size_and_age_is_another(tmp_path, in_place):
    """As `cp -p` leaves it, or rsync, or a build whose files are all of one time."""
    from harness.boards.digests import Digests

    model, other = tmp_path / "model.tflite", tmp_path / "other.tflite"
    for path, content in ((model, b"a"), (other, b"b")):
        path.write_bytes(content)
        os.utime(path, (1, 1))
    digests = Digests(tmp_path / "digests.json")
    first, _ = digests.sha256(model)
    time.sleep(0.02)
    if in_place:
        shutil.copy2(other, model)
    else:
        other.replace(model)
    assert digests.sha256(model)[0] != first
