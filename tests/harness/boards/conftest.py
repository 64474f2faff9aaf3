"""A private SSH server, boards on it, and a small package that replays as a job tells it to."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from harness.boards.local import LocalBoard
from harness.boards.loopback import PrivateSshd
from harness.boards.ssh import SshBoard
from harness.boards.ssh_link import SshTarget

PLAYER = '''
"""Does what each recording's path says, in the manner of the replay program."""
import json, os, subprocess, sys, time
from pathlib import Path

job = json.loads(Path(sys.argv[1]).read_text())
out = Path(job["out_dir"])


def say(**event):
    print(json.dumps(event), flush=True)


def record(name, path, status="ok"):
    path.write_text(json.dumps({"recording": name, "status": status, "pid": os.getpid()}))
    say(event="record", id=name, path=str(path), status=status)


status = 0
for number, item in enumerate(job["recordings"]):
    act, name = item["path"], item["id"]
    say(event="progress", id=name, frames=1, of=2)
    path = out / ("%d.json" % number)
    if act == "ok":
        record(name, path)
    elif act == "failed":
        record(name, path, "failed")
        status = 1
    elif act == "read":
        path.write_text(json.dumps({"text": Path(job["model"]["path"]).read_bytes().hex()}))
        say(event="record", id=name, path=str(path), status="ok")
    elif act == "slow":
        for frames in range(5):
            say(event="progress", id=name, frames=frames, of=5)
            time.sleep(0.2)
        record(name, path)
    elif act == "hang":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        say(event="pids", pids=[os.getpid(), child.pid])
        time.sleep(600)
    elif act == "litter":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        say(event="pids", pids=[child.pid])
        record(name, path)
    elif act == "stubborn":
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say(event="pids", pids=[os.getpid()])
        while True:
            time.sleep(60)
    elif act == "unusable":
        sys.stderr.write("replay: the model is not one\\n")
        sys.exit(2)
    elif act == "crash":
        raise RuntimeError("boom")
    elif act == "killed":
        os.kill(os.getpid(), 9)
    elif act == "segfault":
        os.kill(os.getpid(), 11)
    elif act == "full":
        sys.stderr.write("replay: /x: No space left on device; make room on the disk\\n")
        sys.exit(4)
    elif act == "hib":
        sys.stderr.write("E :237] HIB Error. hib_error_status = 0000000000000001\\n")
        sys.exit(1)
    elif act == "robbed":
        sys.stderr.write("replay: stopped: the lease is at generation 2, not 1\\n")
        sys.exit(3)
    elif act == "escape":
        record(name, out.parent / "job.json")
    elif act == "garbled":
        path.write_text("{")
        say(event="record", id=name, path=str(path), status="ok")
    elif act == "unwritten":
        say(event="record", id=name, path=str(path), status="ok")
    elif act == "chatty":
        print("hello from a library")
        sys.stderr.write("x" * 100000 + "\\n")
        record(name, path)
sys.exit(status)
'''


@pytest.fixture(scope="session", autouse=True)
def users_cache(tmp_path_factory):
    """Keep what the host remembers of its files out of the user's cache; yields the latter."""
    before = os.environ.get("XDG_CACHE_HOME")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield before


@pytest.fixture(scope="session")
def sshd():
    with PrivateSshd() as server:
        yield server


@pytest.fixture
def package(tmp_path):
    """Return a package whose ``replay`` module does as a job's recordings say."""
    folder = tmp_path / "host" / "player"
    (folder / "lightening").mkdir(parents=True)
    (folder / "__pycache__").mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "replay.py").write_text(textwrap.dedent(PLAYER))
    (folder / "lightening" / "big.py").write_text("import tensorflow")
    (folder / "__pycache__" / "x.pyc").write_bytes(b"x")
    return folder


@pytest.fixture
def target(sshd):
    return SshTarget(
        host="127.0.0.1",
        port=sshd.port,
        user=sshd.user,
        key=sshd.user_key,
        known_hosts=sshd.known_hosts,
    )


@pytest.fixture
def ssh_board(target, package, tmp_path):
    """Return an SSH board with a work folder of its own, connected."""
    with SshBoard(
        "coral01",
        target,
        python=sys.executable,
        workdir=str(tmp_path / "board dir's"),
        package_root=package,
    ) as board:
        yield board


@pytest.fixture
def local_board(package, tmp_path):
    with LocalBoard("here", package_root=package, workdir=tmp_path / "local") as board:
        yield board


@pytest.fixture(params=["local", "ssh"])
def board(request):
    return request.getfixturevalue(f"{request.param}_board")


@pytest.fixture
def job():
    """Return a function that makes a job of one recording per act."""

    def make(*acts, model="none"):
        recordings = [
            {"id": f"s{number} {act}", "path": act, "times_s": None}
            for number, act in enumerate(acts)
        ]
        return {
            "schema": "rppg-job/1",
            "recordings": recordings,
            "model": {"path": model, "name": "none"},
        }

    return make


def is_running(pid):
    """Say whether a process is there and not merely unburied."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def gone():
    """Return a function that waits, a little, for processes to be gone."""

    def check(pids, within_s=3.0):
        end = time.monotonic() + within_s
        while time.monotonic() < end and any(map(is_running, pids)):
            time.sleep(0.02)
        return not any(map(is_running, pids))

    return check


@pytest.fixture
def as_root(need):
    if os.geteuid() != 0:
        need("needs root, to mount a small file system")


@pytest.fixture
def small_disk(as_root, need, tmp_path):
    """Return a folder on a file system of 24 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(folder)], check=False
    )
    if mounted.returncode:
        need("this machine does not let root mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
