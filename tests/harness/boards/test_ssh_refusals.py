"""Connections that must not come about, and the line that says what to do."""

import dataclasses
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.boards.errors import BoardError
from harness.boards.ssh import SshBoard
from harness.boards.ssh_config import with_ssh_config
from harness.boards.ssh_link import SshTarget
from rppg_core.errors import UserError

pytestmark = pytest.mark.board


def failure(target, kind, **options):
    """Return the one line that connecting ends with."""
    board = SshBoard("coral01", target, **options)
    with pytest.raises(kind) as caught:
        board.connect()
    board.close()
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("coral01: ")
    return line


@pytest.fixture
def other_key(tmp_path):
    path = tmp_path / "other_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def test_wrong_key(target, other_key):
    line = failure(dataclasses.replace(target, key=other_key), UserError)
    assert f"refuses the key {other_key}" in line
    assert "authorized_keys" in line


def test_given_key_is_the_only_one_tried(target, other_key, sshd, monkeypatch, tmp_path):
    """The right key lies where it would be found by itself; it must not be used."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_ed25519").write_bytes(sshd.user_key.read_bytes())
    (home / ".ssh" / "id_ed25519").chmod(0o600)
    monkeypatch.setenv("HOME", str(home))
    failure(dataclasses.replace(target, key=other_key), UserError)
    with SshBoard("x", dataclasses.replace(target, key=None)):
        pass


def test_no_key_at_all(target, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    line = failure(dataclasses.replace(target, key=None), UserError)
    assert "refuses every key of the agent and ~/.ssh" in line


def test_key_that_is_not_there(target, tmp_path):
    line = failure(dataclasses.replace(target, key=tmp_path / "nokey"), UserError)
    assert line == f"coral01: there is no key {tmp_path / 'nokey'}; correct 'key'"


def test_key_file_that_is_none(target, tmp_path):
    (tmp_path / "text").write_text("hello")
    line = failure(dataclasses.replace(target, key=tmp_path / "text"), UserError)
    assert "is no private key" in line


def test_key_with_a_passphrase(target, tmp_path):
    path = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", path], check=True)
    line = failure(dataclasses.replace(target, key=path), UserError)
    assert f"has a passphrase; add it to ssh-agent: ssh-add {path} " in line


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """Return the socket of an ssh-agent that no other program knows."""
    with subprocess.Popen(
        ["ssh-agent", "-D", "-a", tmp_path / "agent"], stdout=subprocess.DEVNULL
    ) as process:
        while not (tmp_path / "agent").exists():
            time.sleep(0.02)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        yield tmp_path / "agent"
        process.terminate()


@pytest.fixture
def locked_key(agent, sshd, tmp_path):
    """Return the file of the user's key, which needs a passphrase and is held by the agent."""
    path = tmp_path / "locked"
    path.write_bytes(sshd.user_key.read_bytes())
    path.chmod(0o600)
    subprocess.run(["ssh-add", "-q", path], check=True)
    change = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", path]
    subprocess.run(change, check=True, stdout=subprocess.DEVNULL)
    return path


@pytest.mark.parametrize(
    ("only", "public"), [("no", False), ("no", True), ("yes", True), ("yes", False)]
)
def test_key_of_the_users_configuration_may_be_held_by_an_agent(
    locked_key, target, sshd, tmp_path, only, public
):
    if public:
        locked_key.with_name("locked.pub").write_text(Path(f"{sshd.user_key}.pub").read_text())
    config = tmp_path / "config"
    config.write_text(f"Host *\n IdentityFile {locked_key}\n IdentitiesOnly {only}\n")
    plain = dataclasses.replace(target, key=None)
    found = with_ssh_config(plain, {"port", "user", "known_hosts"}, config)
    assert found.key == locked_key
    if only == "yes" and not public:
        line = failure(found, UserError)
        assert "has a passphrase" in line and f"by {locked_key}.pub" in line
        return
    with SshBoard("x", found):
        pass


def test_agent_is_asked_for_the_boards_own_key_alone(locked_key, target, sshd, tmp_path):
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", other], check=True)
    assert "has a passphrase" in failure(dataclasses.replace(target, key=other), UserError)
    locked_key.with_name("locked.pub").write_text(Path(f"{sshd.user_key}.pub").read_text())
    with SshBoard("x", dataclasses.replace(target, key=locked_key)):
        pass


def test_unknown_host_key_says_how_to_add_it(target, tmp_path):
    known = tmp_path / "my hosts"
    line = failure(dataclasses.replace(target, known_hosts=known), UserError)
    assert "ssh-ed25519 SHA256:" in line
    remedy = line.partition("add it: ")[2]
    subprocess.run(remedy, shell=True, check=True, capture_output=True)
    with SshBoard("x", dataclasses.replace(target, known_hosts=known)):
        pass


def test_wrong_host_key_is_refused_and_can_be_removed(target, tmp_path, other_key):
    known = tmp_path / "hosts"
    public = Path(f"{other_key}.pub").read_text()
    known.write_text(f"[127.0.0.1]:{target.port} {public}")
    wrong = dataclasses.replace(target, known_hosts=known)
    line = failure(wrong, UserError)
    assert "another host key" in line
    subprocess.run(line.rpartition(": ")[2], shell=True, check=True, capture_output=True)
    assert "is not in" in failure(wrong, UserError)


def test_unknown_host_name():
    line = failure(SshTarget("no-such-board.invalid", "me"), UserError)
    assert "no such host 'no-such-board.invalid'; correct 'host'" in line


def test_refused_port(target):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = failure(dataclasses.replace(target, port=port), BoardError)
    assert f"127.0.0.1:{port} cannot be reached (Connection refused) while connecting" in line


def test_peer_that_never_speaks(target, capfd):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        start = time.monotonic()
        quick = dataclasses.replace(target, port=port, connect_timeout_s=1.0)
        line = failure(quick, BoardError)
        assert time.monotonic() - start < 4.0
    assert f"no answer from 127.0.0.1:{port} within 1 s while connecting" in line
    assert capfd.readouterr() == ("", "")


def test_address_that_swallows_packets(target):
    """A listener whose queue is full drops what comes, as an address without a host does."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        time.sleep(0.1)
        line = failure(dataclasses.replace(target, port=port, connect_timeout_s=0.5), BoardError)
        for filler in fillers:
            filler.close()
    assert "within 0.5 s while connecting; is it powered and on the network?" in line


def test_peer_that_is_no_ssh_server(target):
    with socket.create_server(("127.0.0.1", 0)) as web:

        def answer():
            client, _ = web.accept()
            with client:
                client.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        port = web.getsockname()[1]
        quick = dataclasses.replace(target, port=port, connect_timeout_s=2.0)
        assert "is it an SSH server?" in failure(quick, BoardError)


@pytest.mark.parametrize("python", ["python9", "/no/such python; touch PWNED", "~/no/python"])
def test_board_without_its_python(target, python, package, tmp_path):
    with (
        SshBoard("coral01", target, python=python, package_root=package) as board,
        pytest.raises(UserError, match="its Python cannot be started") as caught,
    ):
        board.facts()
    assert "set 'python' of this board" in str(caught.value)
    assert not (Path.home() / "PWNED").exists()


def test_board_with_an_old_python(target, package, tmp_path):
    old = tmp_path / "python2"
    old.write_text(
        f"#!/bin/sh\nexec {sys.executable} -c "
        '\'import sys; sys.version_info = (2, 7, 18); sys.argv = ["-c", *sys.argv[4:]];'
        ' exec(sys.orig_argv[5])\' "$@"\n'
    )
    old.chmod(0o755)
    with (
        SshBoard("coral01", target, python=str(old), package_root=package) as board,
        pytest.raises(UserError, match=r"Python 2\.7 is too old, the pipeline needs 3\.7"),
    ):
        board.facts()


def test_call_without_a_connection(target):
    with pytest.raises(BoardError, match="not connected"):
        SshBoard("coral01", target).facts()


def test_connection_that_dies_under_a_call(package, job, tmp_path):
    """The server goes away in the middle of a replay, and with it the connection."""
    from harness.boards.loopback import PrivateSshd

    with PrivateSshd() as server:
        target = SshTarget(
            "127.0.0.1", server.user, server.port, server.user_key, server.known_hosts
        )
        options = {"python": sys.executable, "workdir": str(tmp_path), "package_root": package}
        board = SshBoard("coral01", target, **options)
        board.connect()
        pids = []

        def cut(event):
            if event["event"] == "pids":
                pids.extend(event["pids"])
                board._link._connection.transport.sock.shutdown(socket.SHUT_RDWR)

        start = time.monotonic()
        with pytest.raises(BoardError, match="the connection was lost") as caught:
            board.replay(job("hang"), cut, 60.0)
        assert caught.value.retryable
        assert time.monotonic() - start < 15.0
        with pytest.raises(BoardError):
            board.facts()
        board.connect()
        assert board.facts()
        board.close()


RELAY = """
import os, select, socket, sys
link = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while True:
    for end in select.select([0, link], [], [])[0]:
        data = os.read(0, 65536) if end == 0 else link.recv(65536)
        if not data:
            sys.exit()
        link.sendall(data) if end == 0 else os.write(1, data)
"""


def test_board_behind_a_proxy_command(target, tmp_path):
    script = tmp_path / "relay.py"
    script.write_text(RELAY)
    command = f"{sys.executable} {script} {target.host} {target.port}"
    with SshBoard("x", dataclasses.replace(target, proxy_command=command)) as board:
        assert board.facts()["python"]
    line = failure(dataclasses.replace(target, proxy_command="/no/such/program"), UserError)
    assert "the ProxyCommand of ~/.ssh/config cannot be started" in line
