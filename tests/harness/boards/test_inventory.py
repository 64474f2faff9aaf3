"""`boards.yaml`: what it takes, and the one line for what it does not."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.boards.inventory import LocalSpec, SshSpec, load_boards, open_board, pick_board
from harness.boards.local import LocalBoard
from harness.boards.loopback import LoopbackBoard
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
        ("b: {kind: ssh, host: h, prot: 22}", "field 'prot': there is no such setting"),
        ("b: {kind: local, host: h}", "field 'host': there is no such setting for this kind"),
        ("b: {kind: serial}", "field 'kind': must be one of local, loopback, ssh"),
        ("b: {host: h}", "field 'kind': must be one of local, loopback, ssh"),
        ("b: {kind: ssh, host: h, port: 70000}", "field 'port': Input should be less than"),
        ("b: {kind: ssh, host: h, port: '22'}", "field 'port': Input should be a valid integer"),
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
