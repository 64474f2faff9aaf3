"""Packages for boards without a network: chosen for the board, sent once, unpacked apart."""

import zipfile
from pathlib import Path

import pytest

from harness.boards.onboard import packages
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


def unpack(root, wheels, budget_bytes=0):
    return packages.environment(
        {
            "root": str(root),
            "key": "a" * 64,
            "wheels": wheels,
            "budget_bytes": budget_bytes,
            "reserve_bytes": 0,
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
