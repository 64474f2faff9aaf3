"""The boards of one run: entries that are one board do not wait for each other."""

import pytest

from harness.boards.errors import BoardError
from harness.open_boards import OpenBoards
from rppg_core.errors import UserError


class Progress:
    """Nothing is to be said."""

    def say(self, line):
        raise AssertionError(line)


@pytest.fixture
def boards(tmp_path):
    """Return a function that opens the boards of a run; two of the four entries are one board."""
    opened = []

    def ask(*asked, lease_wait_s=0.0):
        file = tmp_path / "boards.yaml"
        file.write_text(
            f"cpu: {{kind: loopback, workdir: '{tmp_path}/w'}}\n"
            f"tpu: {{kind: loopback, workdir: '{tmp_path}/w'}}\n"
            "a: {kind: ssh, host: pi, user: mendel, port: 2222}\n"
            "b: {kind: ssh, host: pi, user: mendel, port: 2222}\n"
            "c: {kind: ssh, host: pi, user: mendel, port: 2222, workdir: /other}\n"
            "here: {kind: local}\nthere: {kind: local}\n"
        )
        opened.append(OpenBoards(file, asked, lease_wait_s))
        return opened[-1]

    yield ask
    for one in opened:
        one.close()


@pytest.mark.board
def test_two_names_of_one_board_take_turns(boards):
    run = boards("cpu", "tpu")
    cpu = run.target("cpu", Progress())
    tpu = run.target("tpu", Progress())
    assert tpu.lease_state()["holder"], "it has the lease"
    assert run.target("tpu", Progress()) is tpu
    cpu = run.target("cpu", Progress())
    assert cpu.lease_state()["generation"] == 3
    assert set(run.facts()) == {"cpu", "tpu"}
    with pytest.raises(BoardError, match="still busy"):
        boards("tpu").target("tpu", Progress())


def test_two_names_of_one_board_are_no_pool(boards):
    with pytest.raises(UserError, match=r"^a\+b: a and b are one board; leave one .*--board a,b$"):
        boards("a+b").unopened()
    with pytest.raises(UserError, match="cpu and tpu are one board"):
        boards("here+cpu+tpu").unopened()
    assert len(boards("a", "b").unopened()) == 2
    assert len(boards("a+c", "here+there").unopened()) == 4
