"""`boards.yaml`: what it takes, and the one line for what it does not."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.boards.inventory import load_boards, pick_board
from harness.boards.labgrid.client import LabgridClient
from harness.boards.lease import whoami
from harness.boards.local import LocalBoard
from harness.boards.loopback import LoopbackBoard
from harness.boards.opening import open_board
from harness.boards.specs import LocalSpec, SshSpec
from harness.boards.ssh import SshBoard
from rppg_core.errors import UserError

PROJECT_FILE = Path(__file__).parents[3] / "boards.yaml"

FULL = """
coral01:
  kind: ssh
  host: 10.0.0.5
  port: 2222
  user: mendel
  key: ~/.ssh/coral01
  known_hosts: /etc/known
  python: /usr/bin/python3
  workdir: /data/bench
  threads: 4
  runtime: pycoral
  connect_timeout_s: 2.5
"""


@pytest.fixture
def load(tmp_path):
    def load_text(text):
        path = tmp_path / "boards.yaml"
        path.write_text(text, encoding="utf-8")
        return load_boards(path)

    return load_text


def failure(load, text):
    with pytest.raises(UserError) as caught:
        load(text)
    line = str(caught.value)
    assert "\n" not in line
    assert "boards.yaml" in line
    return line.partition("boards.yaml: ")[2]


def test_projects_own_file():
    boards = load_boards(PROJECT_FILE)
    assert set(boards) == {"local", "loopback", "virtual"}
    assert isinstance(open_board(boards["local"]), LocalBoard)
    assert isinstance(open_board(boards["loopback"]), LoopbackBoard)


def test_commented_example_holds(load):
    lines = PROJECT_FILE.read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("# coral01"))
    spec = load("\n".join(line[2:] for line in lines[start:]))["coral01"]
    assert isinstance(spec, SshSpec)
    assert set(SshSpec.model_fields) == spec.model_fields_set, "the example shows every setting"


def test_every_setting(load):
    spec = load(FULL)["coral01"]
    assert isinstance(spec, SshSpec)
    assert (spec.name, spec.host, spec.port, spec.connect_timeout_s) == (
        "coral01",
        "10.0.0.5",
        2222,
        2.5,
    )
    board = open_board(spec)
    assert isinstance(board, SshBoard)
    assert (board.name, board.kind, board.threads, board.runtime) == (
        "coral01",
        "ssh",
        4,
        "pycoral",
    )


def test_defaults(load):
    spec = load("b: {kind: ssh, host: h}")["b"]
    assert isinstance(spec, SshSpec)
    assert (spec.port, spec.python, spec.threads, spec.runtime) == (22, "python3", 1, "auto")
    assert isinstance(load("b: {kind: local}")["b"], LocalSpec)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("b: {kind: ssh}", "board 'b': field 'host': Field required"),
        (
            "b: {kind: ssh, host: h, prot: 22}",
            "field 'prot': there is no such setting for this kind; did you mean 'port'?",
        ),
        (
            "b:\n  kind: local\n\n  health:\n    max_temperature: 80",
            "line 5: board 'b': field 'health.max_temperature': there is no such setting for this "
            "kind; did you mean 'max_temperature_c'?",
        ),
        (
            "a: {kind: local}\nb:\n  kind: ssh\n  host: h\n  disk_budget: 4",
            "line 5: board 'b': field 'disk_budget': Value error, a size is written with its unit",
        ),
        (
            "b: {kind: ssh, host: h, disk_budget: 1 MB}",
            "greater than or equal to 64000000; give a size of 64 MB or more",
        ),
        ("b: {kind: local, disk_budget: 4 GB}", "field 'disk_budget': there is no such setting"),
        ("b:\n  kind: local\n  labels: [ok, 'not ok']", "line 3: board 'b': field 'labels.1'"),
        ("b:\n  kind: local\n  delegate: gpu", "line 3: board 'b': field 'delegate': Input should"),
        ("b:\n  kind: local\n  expect: {cpu: x}", "field 'expect.cpu': there is no such setting"),
        ("b: {kind: local, host: h}", "field 'host': there is no such setting for this kind"),
        ("b: {kind: serial}", "field 'kind': must be one of local, loopback, ssh"),
        ("b: {host: h}", "field 'kind': must be one of local, loopback, ssh"),
        ("b: {kind: ssh, host: h, port: 70000}", "field 'port': Input should be less than"),
        ("b: {kind: ssh, host: h, port: '22'}", "field 'port': Input should be a valid integer"),
        ("b: {kind: labgrid}", "board 'b': field 'place': Field required"),
        ("b: {kind: labgrid, place: +}", "give the name that labgrid-client places shows"),
        ("b: {kind: labgrid, place: -k}", "field 'place': String should match"),
        ("b: {kind: labgrid, place: p, host: h}", "field 'host': there is no such setting"),
        ("b: {kind: labgrid, place: p, coordinator: -x}", "field 'coordinator': String should"),
        ("b: {kind: ssh, host: -oProxyCommand=x}", "field 'host': String should match"),
        ("b: {kind: ssh, host: 'a b'}", "field 'host': String should match"),
        ("b: {kind: ssh, host: ''}", "field 'host': String should match"),
        ("b: {kind: local, threads: 0}", "field 'threads': Input should be greater"),
        ("b: {kind: local, threads: true}", "field 'threads': Input should be a valid integer"),
        ("b: {kind: local, runtime: tflite}", "field 'runtime': Value error, must be one of auto"),
        ("b: {kind: local, name: c}", "field 'name': remove it"),
        ('b: {kind: ssh, host: h, python: "a\\nb"}', "field 'python': String should match"),
        ("b: {kind: ssh, host: h, connect_timeout_s: 0}", "field 'connect_timeout_s': Input"),
        ("b: {kind: ssh, host: h, connect_timeout_s: .nan}", "field 'connect_timeout_s': Input"),
        ("b: local", "board 'b': expected settings such as 'kind: local'"),
        ("b:", "board 'b': expected settings such as 'kind: local'"),
        ("../b: {kind: local}", "board name '../b' must be letters"),
        ("1: {kind: local}", "board name 1 must be letters"),
        ("b: {kind: local}\nb: {kind: local}", "line 2: 'b' stands twice"),
        ("b: {kind: local, kind: ssh}", "line 1: 'kind' stands twice"),
        ("- kind: local", "expected boards"),
        ("", "expected boards"),
        ("b: {kind: local", "while parsing a flow mapping"),
        ("? [a]\n: b", "while constructing a mapping"),
        ("a: !!python/object/apply:os.system [id]", "could not determine a constructor"),
    ],
)
def test_mistake_is_one_line_with_board_and_field(load, text, says):
    assert says in failure(load, text)


def test_what_holds_for_a_board_of_any_kind(load):
    spec = load(
        """
b:
  kind: loopback
  delegate: edgetpu
  labels: [coral, lab-2]
  disk_budget: 1.5 GiB
  expect: {kernel: "4.14.*"}
  health: {max_load: 0.5, min_free_memory: 100 MB}
"""
    )["b"]
    settings = open_board(spec).settings
    assert (settings.delegate, settings.labels) == ("edgetpu", ("coral", "lab-2"))
    assert settings.disk_budget_bytes == 3 * 2**29
    assert (settings.health.max_load, settings.health.min_free_memory) == (0.5, 100_000_000)
    facts = {"cpu_model": "x", "kernel": "4.14.98-imx"}
    assert settings.expect.mismatch(facts) == ""
    wrong = settings.expect.mismatch({"kernel": "5.10.0"})
    assert wrong == "kernel is '5.10.0', expected '4.14.*'"


def test_host_may_be_an_alias_of_the_users_ssh_configuration(load, tmp_path, monkeypatch):
    (tmp_path / ".ssh").mkdir()
    key = tmp_path / ".ssh" / "coral_key"
    key.touch()
    (tmp_path / ".ssh" / "config").write_text(
        "Host coral\n HostName 10.1.2.3\n Port 2200\n User mendel\n"
        f" IdentityFile {key}\n ProxyJump gate,yard\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    target = open_board(load("b: {kind: ssh, host: coral}")["b"])._target
    assert (target.host, target.port, target.user, target.key) == (
        "10.1.2.3",
        2200,
        "mendel",
        key,
    )
    assert target.proxy_command == "ssh -J gate -W '[10.1.2.3]:2200' -- yard"
    given = load("b: {kind: ssh, host: coral, port: 22, user: pi, key: ~/k}")["b"]
    target = open_board(given)._target
    assert (target.host, target.port, target.user, str(target.key)) == (
        "10.1.2.3",
        22,
        "pi",
        "~/k",
    )
    assert open_board(load("b: {kind: ssh, host: other}")["b"])._target.proxy_command is None


def test_user_without_a_name_is_told_to_give_one(load, monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)

    def nobody(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", nobody)
    with pytest.raises(UserError, match=r"^b: .*; set 'user' of this board$"):
        open_board(load("b: {kind: ssh, host: h}")["b"])
    assert open_board(load("b: {kind: ssh, host: h, user: pi}")["b"])._target.user == "pi"
    assert whoami().startswith(f"uid-{os.getuid()}@")
    assert LabgridClient("b", "place").me.endswith(f"/uid-{os.getuid()}")


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml: cannot be read \(No such file"):
        load_boards(tmp_path / "none.yaml")


def test_unknown_board_names_those_there_are(load):
    boards = load("b: {kind: local}\na: {kind: local}")
    assert pick_board(boards, "a").name == "a"
    with pytest.raises(UserError, match=r"^no board 'c'; there are: a, b$"):
        pick_board(boards, "c")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_garbage_is_never_a_traceback(tmp_path, garbage):
    path = tmp_path / "boards.yaml"
    path.write_bytes(garbage if isinstance(garbage, bytes) else garbage.encode("utf-8"))
    with pytest.raises(UserError) as caught:
        load_boards(path)
    assert "\n" not in str(caught.value)
