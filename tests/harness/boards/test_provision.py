"""Packages for boards without a network: chosen for the board, sent once, unpacked apart."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from harness.boards.deploy import Store
from harness.boards.digests import Digests
from harness.boards.onboard import packages
from harness.boards.onboard.cache import make_room, used_bytes
from harness.boards.onboard.checks import edge_tpus
from harness.boards.onboard.packages import COMPLETE
from harness.boards.onboard.store import sha256_of
from harness.boards.provision import NUMPY, OPENCV, pip_arguments, resolve, wanted
from rppg_core.errors import UserError

CORAL = {
    "machine": "aarch64",
    "libc": ["glibc", "2.28"],
    "python": [3, 7],
    "implementation": "cpython",
    "abiflags": "m",
    "bits": 64,
}
RASPBERRY = {**CORAL, "libc": ["glibc", "2.36"], "python": [3, 11], "abiflags": ""}


def test_what_the_distribution_has_is_used():
    mendel = {"numpy": "1.16.2", "cv2": "", "tflite_runtime": "2.5.0", "pycoral": "2.0.0"}
    assert wanted(mendel, "auto") == []
    without_opencv = {name: mendel[name] for name in mendel if name != "cv2"}
    assert wanted(without_opencv, "auto") == [[OPENCV]]
    assert wanted({**mendel, "numpy": "1.13.3"}, "auto") == [[NUMPY]]


def test_version_is_that_of_the_package_and_not_of_a_namesake(tmp_path):
    """NumPy of a distribution may come without a version of its own."""
    for name in ("numpy", "cv2", "tflite_runtime"):
        (tmp_path / f"{name}.py").touch()
    infos = ("numpydoc-1.1.0.dist-info", "tflite_runtime_extra-9.dist-info")
    for info in (*infos, "opencv_python_headless-4.5.1.48.dist-info"):
        (tmp_path / info).mkdir()

    def probe():
        names = ["numpy", "cv2", "tflite_runtime"]
        command = [sys.executable, "-S", "-c", packages.PROBE, *names]
        return json.loads(subprocess.check_output(command, env={"PYTHONPATH": str(tmp_path)}))

    assert probe() == {"numpy": "", "cv2": "4.5.1.48", "tflite_runtime": ""}
    (tmp_path / "numpy-1.16.2.egg-info").mkdir()
    (tmp_path / "TFLite.Runtime-2.5.0.post1.dist-info").mkdir()
    assert probe() == {"numpy": "1.16.2", "cv2": "4.5.1.48", "tflite_runtime": "2.5.0.post1"}


def test_runtime_comes_with_the_numpy_it_was_made_for():
    first, second = wanted({"numpy": "1.16.2", "cv2": "4.5"}, "auto")
    assert first == [NUMPY, "tflite-runtime"]
    assert "ai-edge-litert" in second
    with pytest.raises(UserError, match="has no pycoral, and it is not to be had as a wheel"):
        wanted({"numpy": "1.16.2"}, "pycoral")


def test_wheels_are_chosen_for_the_boards_platform():
    coral = pip_arguments(CORAL, "coral")
    assert {"--python-version=3.7", "--abi=cp37m", "--platform=manylinux_2_28_aarch64"} < set(coral)
    assert "--platform=manylinux_2_29_aarch64" not in coral, "its glibc could not load them"
    assert not any("x86_64" in argument for argument in coral)
    assert {"--abi=cp311", "--platform=manylinux_2_36_aarch64"} < set(pip_arguments(RASPBERRY, "r"))
    thirty_two = pip_arguments({**RASPBERRY, "bits": 32}, "r")
    assert "--platform=manylinux_2_36_armv7l" in thirty_two
    with pytest.raises(UserError, match=r"b: packages can be sent to a CPython on glibc only"):
        pip_arguments({**CORAL, "libc": ["musl", "1.2"]}, "b")


def test_what_cannot_be_had_is_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(UserError) as caught:
        resolve([["tflite-runtime"]], CORAL, "coral")
    line = str(caught.value)
    assert line.startswith("coral: no packages for its Python 3.7 on aarch64, glibc 2.28 (ERROR:")
    assert "\n" not in line
    assert list((tmp_path / "rppg-bench" / "wheels").iterdir()) == [], "nothing half-done stays"


def in_store(root, members):
    (root / "store").mkdir(parents=True, exist_ok=True)
    archive = root / "store" / "new"
    with zipfile.ZipFile(archive, "w") as out:
        for name, text in members.items():
            out.writestr(name, text)
    digest = sha256_of(archive)
    archive.rename(root / "store" / f"{digest}.whl")
    return [digest, ".whl", (root / "store" / f"{digest}.whl").stat().st_size]


def unpack(root, wheels, budget_bytes=0, key="a" * 64):
    return packages.environment(
        {
            "root": str(root),
            "key": key,
            "wheels": wheels,
            "budget_bytes": budget_bytes,
            "reserve_bytes": 0,
            "keep": [],
        }
    )["path"]


def test_environment_is_unpacked_once_and_only_whole(tmp_path):
    wheel = in_store(tmp_path, {"pkg/__init__.py": "x = 1"})
    assert unpack(tmp_path, [["b" * 64, ".whl", 1]]) is None, "the wheel is not there"
    folder = Path(unpack(tmp_path, [wheel]))
    assert (folder / "pkg" / "__init__.py").read_text() == "x = 1"
    (folder / COMPLETE).unlink()  # as if the power went while it was unpacked
    (folder / "pkg" / "__init__.py").write_text("half")
    assert (Path(unpack(tmp_path, [wheel])) / "pkg" / "__init__.py").read_text() == "x = 1"


def test_environment_is_on_the_disk_before_it_counts_as_whole(tmp_path, monkeypatch):
    wheel, synced = in_store(tmp_path, {"pkg/__init__.py": "x = 1"}), []

    def sync():
        (built,) = (tmp_path / "incoming").iterdir()
        synced.append(sorted(path.name for path in built.iterdir()))

    monkeypatch.setattr(os, "sync", sync)
    assert (Path(unpack(tmp_path, [wheel])) / COMPLETE).exists()
    assert synced == [["pkg"]]


def test_environment_used_longest_ago_makes_way(tmp_path):
    folders = []
    for key in "abc":
        wheel = in_store(tmp_path, {"pkg/data": key * 10**6})
        folders.append(Path(unpack(tmp_path, [wheel], key=key * 64)))
        (tmp_path / "store" / "".join(wheel[:2])).unlink()
    assert unpack(tmp_path, [], key="a" * 64) == str(folders[0])
    budget = used_bytes(tmp_path) + 4096
    assert make_room(tmp_path, 8192, budget, set()) == 0
    assert [folder.exists() for folder in folders] == [True, False, True]
    assert make_room(tmp_path, 2 * 10**6, budget, {"a" * 64}) == 0
    assert [folder.exists() for folder in folders] == [True, False, False]
    assert list((tmp_path / "incoming").iterdir()) == []


def test_environment_in_use_stays(tmp_path, monkeypatch):
    """What a board's replays import from is named in every request that may make room."""
    asked = []

    def ask(request, doing):
        asked.append(request)
        return {"root": "/w", "missing": [], "begun": [], "short_bytes": 0, "free_bytes": 10**9}

    store = Store(board="b", workdir="/w", ask=ask, send=None, digests=Digests(tmp_path / "d"))
    (tmp_path / "clip.avi").touch()
    store.environment = "a" * 64
    store.put([tmp_path / "clip.avi"])
    assert "a" * 64 in asked[0]["keep"]


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "a/../../escaped"])
def test_package_that_would_write_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="files outside of it"):
        unpack(tmp_path, [in_store(tmp_path, {name: "x"})])
    assert not list(tmp_path.rglob("escaped"))


def test_environment_respects_the_disk_budget(tmp_path):
    wheel = in_store(tmp_path, {"pkg/data": "x" * 10**6})
    with pytest.raises(ValueError, match="raise 'disk_budget'"):
        unpack(tmp_path, [wheel], budget_bytes=10**6)
    assert list((tmp_path / "incoming").iterdir()) == []


def test_edge_tpus_are_told_by_their_device_files(tmp_path):
    usb = tmp_path / "sys" / "bus" / "usb" / "devices" / "1-1"
    usb.mkdir(parents=True)
    (tmp_path / "dev").mkdir()
    look = (tmp_path / "sys", tmp_path / "dev")
    (usb / "idVendor").write_text("18d1\n")
    (usb / "idProduct").write_text("0000\n")
    assert edge_tpus(*look) == []
    (usb / "idProduct").write_text("9302\n")
    (tmp_path / "dev" / "apex_0").touch()
    assert edge_tpus(*look) == [f"PCI, {tmp_path / 'dev' / 'apex_0'}", "USB"]
