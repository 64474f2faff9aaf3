"""One job per board at a time, whoever asks, whatever becomes of the holder."""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from benchmarks.fault_list import Cable
from harness.boards import wire
from harness.boards.errors import BoardError
from harness.boards.loopback import LoopbackBoard
from harness.boards.onboard import keeping
from harness.boards.onboard import lease as onboard
from harness.boards.onboard.answers import BEAT_S
from harness.boards.onboard.lease import LapsedError, LeaseError, LeaseFile
from harness.boards.onboard.store import open_root
from harness.boards.recovery import recover
from harness.boards.ssh import SshBoard
from harness.boards.wire import AGENT_SOURCE
from harness.doctor import examine

LIMIT_S = 20.0


@pytest.fixture
def file(tmp_path):
    return LeaseFile(tmp_path)


def test_one_holder_and_a_queue_in_order(file):
    assert file.try_to_take("a", "A")["holder"]["id"] == "a"
    for other in ("b", "c", "b"):
        state = file.try_to_take(other, other.upper())
        assert state["holder"]["id"] == "a"
    assert [entry["id"] for entry in state["queue"]] == ["b", "c"]
    assert onboard.waiting(state, "c")["position"] == 2
    file.leave("a", 1)
    assert file.try_to_take("c", "C")["holder"] is None, "it is b's turn"
    assert file.try_to_take("b", "B")["generation"] == 2


def test_who_comes_back_does_not_wait_for_itself_nor_is_released_by_its_past(file):
    file.try_to_take("a", "A")
    file.try_to_take("b", "B")
    again = file.try_to_take("a", "A")
    assert (again["holder"]["id"], again["generation"]) == ("a", 2)
    file.leave("a", 1)  # what its broken connection left behind on the board
    assert file.read()["holder"]["id"] == "a"


def test_taken_away_is_noticed_by_its_generation(file):
    generation = file.try_to_take("a", "A")["generation"]
    file.renew("a", generation)
    file.take_away("boss")
    for look in (file.check, file.renew):
        with pytest.raises(LeaseError, match="taken by boss"):
            look("a", generation)
    assert file.try_to_take("a", "A")["generation"] == generation + 2
    with pytest.raises(LeaseError):
        file.check("a", generation)


def test_given_up_is_no_theft_and_an_older_theft_is_forgotten(file):
    file.take_away("boss")
    generation = file.try_to_take("a", "A")["generation"]
    file.leave("a", generation)
    with pytest.raises(LapsedError, match=r"given up, its host was silent$"):
        file.check("a", generation)
    file.try_to_take("b", "B")
    with pytest.raises(LapsedError, match=r"was silent; B has it now$"):
        file.check("a", generation)
    file.take_away("boss")
    with pytest.raises(LeaseError, match="taken by boss"):
        file.check("a", generation)


def test_holder_that_stood_still_with_its_board_goes_on(file, monkeypatch):
    generation = file.try_to_take("a", "A")["generation"]
    monkeypatch.setattr(onboard, "EXPIRES_S", 0.05)
    time.sleep(0.1)
    file.renew("a", generation)
    time.sleep(0.1)
    file.try_to_take("b", "B")
    with pytest.raises(LapsedError):
        file.renew("a", generation)


def test_host_gives_a_board_up_before_the_board_gives_up_its_lease():
    """Both ends have a beat in which they cannot know; then the host has to connect again."""
    soonest_s = keeping.LEASE_SILENCE_S - wire.BEAT_S
    latest_s = wire.BOARD_SILENCE_S + BEAT_S
    assert soonest_s - latest_s >= 10.0


def test_silent_holder_and_holder_of_before_a_restart_are_gone(file, monkeypatch):
    file.try_to_take("a", "A")
    monkeypatch.setattr(onboard, "EXPIRES_S", 0.05)
    time.sleep(0.1)
    assert file.try_to_take("b", "B")["holder"]["id"] == "b"
    monkeypatch.setattr(onboard, "EXPIRES_S", 1000.0)
    assert file.try_to_take("c", "C")["holder"]["id"] == "b"
    monkeypatch.setattr(onboard, "boot_id", lambda: "another start")
    assert file.show()["holder"] is None
    assert file.try_to_take("c", "C")["generation"] == 3


def test_wall_clock_plays_no_part(file, monkeypatch):
    file.try_to_take("a", "A")
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert file.try_to_take("b", "B")["holder"]["id"] == "a"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"generation": "x"}'])
def test_damaged_state_is_an_empty_one(file, text):
    file.path.write_text(text)
    assert file.try_to_take("a", "A")["holder"]["id"] == "a"


def contend(root, name, taken):
    file = LeaseFile(Path(root))
    for _ in range(25):
        while True:
            state = file.try_to_take(name, name)
            if state["holder"] and state["holder"]["id"] == name:
                break
            time.sleep(0.001)
        taken.put((state["generation"], (Path(root) / "inside").exists()))
        (Path(root) / "inside").touch()
        (Path(root) / "inside").unlink()
        file.leave(name, state["generation"])


@pytest.mark.board
def test_no_two_processes_ever_hold_it(tmp_path):
    context = multiprocessing.get_context("fork")
    taken = context.Queue()
    workers = [
        context.Process(target=contend, args=(str(tmp_path), str(n), taken)) for n in range(3)
    ]
    for worker in workers:
        worker.start()
    seen = [taken.get(timeout=60) for _ in range(75)]
    for worker in workers:
        worker.join()
    assert sorted(generation for generation, _ in seen) == list(range(1, 76))
    assert not any(inside for _, inside in seen)


HOST = """
    import sys
    from pathlib import Path
    from harness.boards.loopback import LoopbackBoard
    package, workdir, act, wait_s = sys.argv[1:]
    say = lambda *words: print(*words, flush=True)
    job = {"recordings": [{"id": "a", "path": act}], "model": {}}
    try:
        with LoopbackBoard("pi", package_root=Path(package), workdir=workdir) as board:
            board.acquire(float(wait_s), lambda line: say("wait", line))
            say("held", board._lease.generation)
            board.replay(job, lambda event: say("event", event.get("pids", "")), 60.0)
            say("done")
    except Exception as error:
        say("error", getattr(error, "kind", "?"), error)
"""


class Host:
    """Another CI host that wants the board."""

    def __init__(self, package, workdir, act="hang", wait_s=LIMIT_S):
        arguments = map(str, (package, workdir, act, wait_s))
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(HOST), *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )

    def until(self, word):
        """The first line that begins so."""
        for line in self.process.stdout:
            if line.startswith(word):
                return line.strip()
        raise AssertionError(f"it ended without {word!r}")

    def pids(self):
        return json.loads(self.until("event [").removeprefix("event "))


@pytest.fixture
def host(package, tmp_path):
    started = []

    def start(*more):
        started.append(Host(package, tmp_path / "w", *more))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()
        one.process.stdout.close()


@pytest.fixture
def visitor(package, tmp_path):
    with LoopbackBoard("pi", package_root=package, workdir=str(tmp_path / "w")) as board:
        yield board


@pytest.mark.board
def test_killed_holder_makes_way_for_the_next(host, gone):
    first = host()
    assert first.until("held") == "held 1"
    pids = first.pids()
    second = host("ok")
    assert "place 1 in the queue" in second.until("wait")
    start = time.monotonic()
    os.kill(first.process.pid, signal.SIGKILL)
    assert second.until("held") == "held 2"
    assert time.monotonic() - start < 5.0
    assert gone(pids)
    second.until("done")


@pytest.mark.board
def test_stolen_lease_stops_the_loser_within_seconds(host, visitor, gone):
    loser = host()
    loser.until("held")
    pids = loser.pids()
    assert visitor.lease_state()["holder"]["who"].startswith(f"{os.environ.get('USER', '')}")
    start = time.monotonic()
    visitor.lease_state(take_away=True)
    line = loser.until("error")
    assert time.monotonic() - start < 6.0
    assert line.startswith("error lease pi: the lease of this board was taken by ")
    assert gone(pids, within_s=0.5)
    visitor.acquire(1.0, pytest.fail)
    assert visitor.replay(
        {"recordings": [{"id": "a", "path": "ok"}], "model": {}}, lambda event: None, LIMIT_S
    ).records


@pytest.mark.board
def test_lease_given_up_for_silence_is_taken_again(visitor, job, tmp_path, monkeypatch):
    """The host may hear of it from the replay, or from the one who kept the lease for it."""
    changed = AGENT_SOURCE.replace(b"LEASE_SILENCE_S = 45.0", b"LEASE_SILENCE_S = 3.0")
    assert changed != AGENT_SOURCE
    monkeypatch.setattr("harness.boards.wire.AGENT_SOURCE", changed)
    LeaseFile(make_root(tmp_path / "w")).take_away("someone in June")
    visitor.acquire(1.0, pytest.fail)
    with pytest.raises(BoardError, match="lease of this board was given up") as caught:
        for _ in range(4):
            visitor.replay(job("slow", "slow"), lambda event: None, LIMIT_S)
    assert (caught.value.kind, caught.value.retryable) == ("unreachable", True)
    monkeypatch.setattr("harness.boards.wire.AGENT_SOURCE", AGENT_SOURCE)
    recover(visitor, caught.value, "", 1.0, pytest.fail)
    assert len(visitor.replay(job("ok"), lambda event: None, LIMIT_S).records) == 1


@pytest.mark.board
def test_nothing_is_changed_without_the_lease_while_another_holds_it(host, visitor, job, tmp_path):
    visitor.deploy()
    host().until("held")
    before = sorted((tmp_path / "w").glob("[st]*/*"))
    clip = tmp_path / "clip.avi"
    clip.touch()
    attempts = (
        visitor.deploy,
        lambda: visitor.put([clip]),
        lambda: visitor.replay(job("ok"), pytest.fail, LIMIT_S),
    )
    for attempt in attempts:
        with pytest.raises(BoardError, match=r"held by .* try again later") as caught:
            attempt()
        assert (caught.value.kind, caught.value.retryable) == ("busy", False)
    assert sorted((tmp_path / "w").glob("[st]*/*")) == before, "store and trees"


@pytest.mark.board
def test_doctor_of_a_board_in_use_sends_nothing(host, visitor, monkeypatch):
    host().until("held")
    monkeypatch.setattr(visitor, "runtime", "pycoral")
    monkeypatch.setattr(visitor, "deploy", pytest.fail)
    found = {line.what: line for line in examine(visitor)}
    assert [found[what].verdict for what in ("packages", "lease")] == ["warn", "warn"]
    assert "sent once its lease is to be had" in str(found["packages"])
    assert "held by" in found["lease"].found and "self-test" not in found


@pytest.fixture
def full_disk(small_disk):
    """Return a work folder on a disk without any room, and a function that makes some."""
    work, filler = small_disk / "w", small_disk / "filler"
    LeaseFile(open_root(str(work))).try_to_take("of before", "X")
    LeaseFile(work).leave("of before", 1)
    fill(filler)
    return work, filler.unlink


def fill(path):
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as out:
        while True:
            out.write(bytes(4096))


def test_lease_is_to_be_had_on_a_full_disk(full_disk):
    work, make_room = full_disk
    file = LeaseFile(work)
    generation = file.try_to_take("a", "A")["generation"]
    for _ in range(3):
        file.renew("a", generation)
    (work / "lease.ballast").unlink(missing_ok=True)
    fill(work / "more")
    with pytest.raises(OSError, match="No space left"):
        file.renew("a", generation)
    make_room()
    file.renew("a", generation)
    assert (work / "lease.ballast").stat().st_size == onboard.BALLAST_BYTES


@pytest.mark.board
def test_room_is_made_on_a_full_disk_for_who_has_the_lease(small_disk, package, job):
    work = small_disk / "w"
    store = open_root(str(work)) / "store"
    LeaseFile(work).try_to_take("of before", "X")
    LeaseFile(work).leave("of before", 1)
    fill(store / "old.avi")
    with LoopbackBoard("pi", package_root=package, workdir=str(work)) as board:
        board.acquire(1.0, pytest.fail)
        board.deploy()
        assert not (store / "old.avi").exists()
        assert board.replay(job("ok"), lambda event: None, LIMIT_S).records
        fill(store / "other.avi")
        board.deploy()
        assert not (store / "other.avi").exists(), "all is there, but no room for records"


@pytest.mark.board
def test_full_disk_is_told_from_a_board_in_use(full_disk, package):
    work, _ = full_disk
    (work / "lease.ballast").unlink()
    fill(work / "more")
    with LoopbackBoard("pi", package_root=package, workdir=str(work)) as board:
        with pytest.raises(BoardError, match=r"No space left .*; make room there") as caught:
            board.acquire(1.0, pytest.fail)
        assert caught.value.kind == "out of disk"
        *_, last = examine(board)
    assert (last.verdict, last.what) == ("fail", "lease")
    assert "make room there" in last.remedy


@pytest.mark.board
def test_crash_of_a_replay_leaves_link_and_lease_as_they_are(host, visitor, job):
    visitor.acquire(1.0, pytest.fail)
    waiter = host("ok")
    assert "place 1 in the queue" in waiter.until("wait")
    link = visitor._open
    with pytest.raises(BoardError, match="killed") as caught:
        visitor.replay(job("killed"), lambda event: None, LIMIT_S)
    recover(visitor, caught.value, "", 1.0, pytest.fail)
    assert visitor._open is link
    assert len(visitor.lease_state()["queue"]) == 1
    assert len(visitor.replay(job("ok"), lambda event: None, LIMIT_S).records) == 1


@pytest.mark.board
def test_crash_over_a_link_that_is_gone_as_well_connects_again(visitor, job):
    visitor.acquire(1.0, pytest.fail)
    with pytest.raises(BoardError, match="killed") as caught:
        visitor.replay(job("killed"), lambda event: None, LIMIT_S)
    visitor._link.cut()
    recover(visitor, caught.value, "", 1.0, pytest.fail)
    assert len(visitor.replay(job("ok"), lambda event: None, LIMIT_S).records) == 1


@pytest.mark.faults
def test_link_that_stalls_for_20_s_costs_no_lease(sshd, target, package, job, tmp_path):
    cable = Cable(sshd.port)
    key = sshd.known_hosts.read_text().split(" ", 1)[1]
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{cable.port} {key}")
    through = dataclasses.replace(target, port=cable.port, known_hosts=known_hosts)
    work = str(tmp_path / "w")
    with SshBoard("pi", through, python=sys.executable, workdir=work, package_root=package) as pi:
        pi.acquire(1.0, pytest.fail)
        pi.deploy()
        plug = threading.Timer(23.0, cable.plug)
        pull = threading.Timer(3.0, cable.pull)
        pull.start()
        plug.start()
        acts = ["slow"] * 30  # a second each
        assert len(pi.replay(job(*acts), lambda event: None, 60.0).records) == len(acts)


def make_root(folder):
    folder.mkdir()
    return folder


@pytest.mark.board
def test_command_shows_holder_and_queue_and_takes_it_away(host, tmp_path, capsys):
    from harness.cli import main

    boards = tmp_path / "boards.yaml"
    boards.write_text(f"pi: {{kind: loopback, workdir: {tmp_path / 'w'}}}\nme: {{kind: local}}\n")
    first = host()
    first.until("held")
    host("ok").until("wait")
    assert main(["lease", "pi", "--boards", str(boards)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert f"(process {first.process.pid})" in shown[0]
    assert shown[1].startswith("  1. ")
    assert main(["lease", "pi", "--break", "--boards", str(boards)]) == 0
    first.until("error lease")
    assert main(["lease", "me", "--boards", str(boards)]) == 2


@pytest.mark.board
def test_busy_board_says_who_has_it_and_what_to_do(host, visitor):
    host().until("held")
    seen = []
    with pytest.raises(BoardError) as caught:
        visitor.acquire(1.0, seen.append)
    assert caught.value.kind == "busy"
    line = str(caught.value)
    assert line.startswith("pi: still busy after 1 s (held by ")
    assert "rppg-bench lease pi --break" in line
    assert len(seen) == 1
    assert visitor.lease_state()["queue"] == []


@pytest.mark.board
def test_work_under_a_lease_that_is_gone_is_refused_by_the_board(visitor, tmp_path, monkeypatch):
    visitor.acquire(1.0, pytest.fail)
    monkeypatch.setattr(visitor._lease, "check", lambda: None)  # a host that did not notice yet
    LeaseFile(tmp_path / "w").take_away("boss")
    clip = tmp_path / "clip.avi"
    clip.touch()
    with pytest.raises(BoardError, match="taken by boss") as caught:
        visitor.put([clip])
    assert caught.value.kind == "lease"
    assert list((tmp_path / "w" / "store").iterdir()) == []


@pytest.mark.board
def test_holder_whose_keeper_died_on_the_board_loses_it(visitor, tmp_path, monkeypatch):
    changed = AGENT_SOURCE.replace(b"EXPIRES_S = 15.0", b"EXPIRES_S = 3.0")
    assert changed != AGENT_SOURCE
    monkeypatch.setattr("harness.boards.wire.AGENT_SOURCE", changed)
    visitor.acquire(1.0, pytest.fail)
    keepers = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cwd")
        if below(int(path.parent.name), visitor._server._keeper.pid)
        and b"sys.version_info" in path.with_name("cmdline").read_bytes()
    ]
    os.kill(max(keepers), signal.SIGKILL)
    file = LeaseFile(tmp_path / "w")
    assert file.read()["holder"] is not None
    time.sleep(3.2)
    monkeypatch.setattr(onboard, "EXPIRES_S", 3.0)
    assert file.try_to_take("b", "B")["holder"]["id"] == "b"
    with pytest.raises(BoardError, match="agent ended with status 137"):
        visitor.deploy()


def below(pid, ancestor):
    while pid > 1:
        if pid == ancestor:
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False
