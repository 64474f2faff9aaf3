"""The agent's own rules: what it takes for whole, and where it writes."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.boards.onboard import store
from harness.boards.wire import AGENT_SOURCE, agent_arguments, encode

DIGESTS = st.binary().map(lambda data: hashlib.sha256(data).hexdigest())
OLD_PYTHONS = sorted(Path.home().glob(".pyenv/versions/3.7.*/bin/python"))


@given(DIGESTS)
def test_stamp_fits_every_file_system(digest):
    seconds, rest = divmod(store.stamp_ns(digest), 10**9)
    assert rest == 0
    assert seconds % 2 == 0
    assert 0 < seconds < 2**31


@given(st.text())
def test_no_name_leaves_its_tree(name):
    folder = Path("/board/trees/x")
    try:
        inside = store._inside(folder, name)
    except ValueError:
        return
    assert folder in inside.parents
    assert ".." not in inside.parts


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a\0b"])
def test_path_out_of_a_tree_is_refused(name):
    with pytest.raises(ValueError, match="not a path inside a tree"):
        store._inside(Path("/board"), name)


@pytest.mark.parametrize("name", ["..", "../x", "x" * 64, "a" * 63, "a" * 64 + "\n"])
def test_store_takes_hashes_alone(name, tmp_path):
    with pytest.raises(ValueError, match="not a name of the store"):
        store.stored(tmp_path, name, "")


@pytest.mark.parametrize("suffix", ["/x", ".a/b", ".", ".a b", ".a\n", "avi", "." + "a" * 17])
def test_store_takes_plain_suffixes_alone(suffix, tmp_path):
    with pytest.raises(ValueError, match="not a name of the store"):
        store.stored(tmp_path, "a" * 64, suffix)


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_only_the_right_content_is_intact(content, other):
    import tempfile

    digest = hashlib.sha256(content).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(other)
        assert store.is_intact(path, digest, len(content)) == (content == other)


NOTHING = {
    "arrived": [],
    "files": [],
    "trees": {},
    "keep": [],
    "budget_bytes": 0,
    "reserve_bytes": 0,
}


def sync(root, **request):
    return store.sync({"root": str(root), **NOTHING, **request})


def test_transfer_is_taken_in_only_when_whole(tmp_path):
    digest = hashlib.sha256(b"content").hexdigest()
    sync(tmp_path)
    for content, missing in ((b"CONTENT", [0]), (b"content", [])):
        (tmp_path / "incoming" / "t-0").write_bytes(content)
        files = [[digest, ".avi", 7]]
        answer = sync(tmp_path, arrived=[["t-0", digest, ".avi"]], files=files)
        assert answer["missing"] == missing
        assert list((tmp_path / "incoming").iterdir()) == []
    assert (tmp_path / "store" / f"{digest}.avi").read_bytes() == b"content"
    assert answer["free_bytes"] > 0


def test_arrived_name_cannot_reach_outside(tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    digest = hashlib.sha256(b"mine").hexdigest()
    with pytest.raises(OSError, match="No such file"):
        sync(tmp_path / "root", arrived=[["../../outside", digest, ""]])
    assert outside.exists()


def test_tree_is_made_where_links_cannot_be(tmp_path, monkeypatch):
    """FAT, for one, has no hard links."""

    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    digest = hashlib.sha256(b"x").hexdigest()
    sync(tmp_path)
    (tmp_path / "incoming" / "t").write_bytes(b"x")
    request = {"files": [[digest, ".py", 1]], "trees": {"0" * 64: [["p/a.py", 0]]}}
    sync(tmp_path, arrived=[["t", digest, ".py"]], **request)
    copied = tmp_path / "trees" / ("0" * 64) / "p" / "a.py"
    assert copied.read_bytes() == b"x"
    before = copied.stat().st_ino
    sync(tmp_path, **request)
    assert copied.stat().st_ino == before


@pytest.mark.board
def test_runs_on_the_oldest_python(tmp_path, need):
    if not OLD_PYTHONS:
        need("no Python 3.7 of pyenv's on this machine")
    for request in (
        {"op": "facts"},
        {"op": "sync", "root": str(tmp_path), **NOTHING},
    ):
        done = subprocess.run(
            [OLD_PYTHONS[-1], *agent_arguments(request)],
            input=AGENT_SOURCE + encode(request),
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert b'"agent": "done"' in done.stdout


@pytest.mark.board
def test_host_that_goes_before_it_asked_ends_the_agent():
    for sent in (b"", AGENT_SOURCE[:100], AGENT_SOURCE, AGENT_SOURCE + b'{"op'):
        done = subprocess.run(
            [sys.executable, *agent_arguments({"op": "facts"})],
            input=sent,
            capture_output=True,
            check=False,
            timeout=20,
        )
        assert done.returncode == 1
