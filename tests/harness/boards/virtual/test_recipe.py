"""What a board is made from: found on this host, or said in one line to be missing."""

import threading
import time

import pytest

from harness.boards.errors import BoardError
from harness.boards.virtual import image, recipe
from rppg_core.errors import UserError

STANZAS = """\
Types: deb deb-src
# a comment
URIs: http://one.example/debian
Suites: bookworm bookworm-updates
Components: main contrib

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb
URIs: http://other.example/apt
Suites: nodistro
Components: main
"""
LINES = """\
# deb http://commented.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://two.example/security bookworm-security main
deb-src http://source.example/debian bookworm main
"""


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """A folder in the place of this host's apt configuration."""
    (tmp_path / "sources.list.d").mkdir()
    monkeypatch.setattr(recipe, "APT_SOURCES", tmp_path)
    return tmp_path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return image.images_folder()


def test_packages_come_from_where_this_host_gets_its_own(apt):
    (apt / "sources.list.d" / "debian.sources").write_text(STANZAS)
    (apt / "sources.list").write_text(LINES)
    assert recipe.sources() == [
        "deb http://two.example/security bookworm-security main",
        "deb http://one.example/debian bookworm main",
        "deb http://one.example/debian bookworm-updates main",
    ]


def test_a_host_of_another_suite_is_told_what_to_add(apt):
    (apt / "sources.list").write_text("deb http://one.example/ubuntu noble main\n")
    with pytest.raises(UserError, match=r"bookworm.*add a mirror"):
        recipe.sources()


def test_all_missing_packages_are_named_at_once(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(recipe, "ADMIN_FOLDERS", ())
    with pytest.raises(UserError) as missing:
        recipe.require_tools()
    assert "apt-get install --no-install-recommends cpio e2fsprogs mmdebstrap" in str(missing.value)
    assert "\n" not in str(missing.value)


def test_the_scripts_packages_are_the_ones_that_are_needed():
    script = (recipe.GUEST.parents[3] / "scripts" / "system-packages").read_text()
    for program, package in recipe.TOOLS.items():
        assert f"{program}:{package}" in script


def test_what_an_image_is_made_from_names_it(monkeypatch):
    emulator = recipe.find_tool("qemu-system-aarch64")
    if emulator is None:
        monkeypatch.setattr(recipe, "emulator_version", lambda: "none")
    before = recipe.fingerprint()
    assert before == recipe.fingerprint()
    monkeypatch.setattr(recipe, "KERNEL_LINE", f"{recipe.KERNEL_LINE} debug")
    assert recipe.fingerprint() != before


@pytest.mark.virtual
def test_a_build_that_fails_is_one_line_and_leaves_nothing(emulation, apt, cache):
    (apt / "sources.list").write_text(f"deb file://{apt}/nowhere bookworm main\n")
    with pytest.raises(BoardError, match=r"mmdebstrap failed.*while building its image"):
        image.ensure_image()
    assert [path.name for path in cache.iterdir()] == ["lock"]


@pytest.mark.virtual
def test_of_two_that_need_an_image_one_builds_it(emulation, cache, monkeypatch):
    built = []

    def build(_base, final):
        built.append(final)
        time.sleep(0.3)
        final.mkdir()

    monkeypatch.setattr(image, "_build", build)
    threads = [threading.Thread(target=image.ensure_image) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
