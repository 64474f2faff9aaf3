"""What installed packages add to `rppg`: found by real metadata on a real path."""

import subprocess
import sys
from importlib import metadata

import pytest

from rppg_core import cli, extensions, models
from rppg_core.errors import ModelError

COMMAND = """
def add(commands):
    added = commands.add_parser("greet", help="a greeting")
    added.set_defaults(command=lambda options: print("hello") or 5)
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder on the path with a package that adds a command."""
    (tmp_path / "greeter.py").write_text(COMMAND)
    (tmp_path / "greeter-1.dist-info").mkdir()
    (tmp_path / "greeter-1.dist-info" / "METADATA").write_text("Name: greeter\nVersion: 1\n")
    points = tmp_path / "greeter-1.dist-info" / "entry_points.txt"
    points.write_text("[rppg.commands]\ngreet = greeter:add\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return points


def test_a_command_of_another_package_is_found(package, capsys):
    assert cli.main(["greet"]) == 5
    assert capsys.readouterr().out == "hello\n"
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "a greeting" in capsys.readouterr().out


def test_known_commands_do_not_wait_for_others(package):
    package.write_text("[rppg.commands]\ngreet = nowhere:add\n")
    assert cli.main(["models"]) == 0
    with pytest.raises(ModuleNotFoundError):
        cli.main(["greet"])


def test_nothing_of_the_harness_is_imported():
    program = "import sys, rppg_core.cli as c; c.main(['models']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    assert "rppg_core.models" in loaded
    assert not [name for name in loaded if name.split(".")[0] == "harness"]


def test_the_project_registers_what_it_adds():
    points = {
        p.group: p.load()
        for p in metadata.distribution("rppg-bench").entry_points
        if p.group in (extensions.COMMANDS, extensions.CALIBRATION)
    }
    assert set(points) == {extensions.COMMANDS, extensions.CALIBRATION}


def test_full_integers_are_calibrated_by_whoever_offers_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", [])
    given = ["quantize", "--weights", "tscan-synthetic", "--variant", "int8"]
    assert cli.main([*given, "--out", str(tmp_path)]) == 2
    assert "need --calibration FILE (of `rppg-bench calibrate`)" in capsys.readouterr().err
    both = [*given, "--calibration", "c.npz", "--subjects", "a"]
    assert cli.main(both) == 2
    assert "leave out the dataset" in capsys.readouterr().err


def test_a_form_that_needs_calibration_is_not_made_unasked(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(
        ModelError, match="rppg quantize --weights tscan-synthetic --variant int8-n"
    ):
        models.tflite_file("tscan-synthetic", "int8-naive")
    assert not list(tmp_path.rglob("*.tflite"))


@pytest.mark.parametrize(
    ("named", "means"),
    [
        ("tscan-afrl", ("tscan-afrl", "float32")),
        ("tscan-afrl/int8", ("tscan-afrl", "int8")),
        ("auto/int8", ("auto", "int8")),
        ("some/where/int8.tflite", ("some/where/int8.tflite", "float32")),
    ],
)
def test_a_model_may_be_named_with_its_form(named, means):
    assert models.split_form(named) == means


def test_a_full_integer_pair_that_comes_along_needs_no_calibration(tmp_path, monkeypatch):
    files = []
    for name in ("toy-int8.motion.tflite", "toy-int8.appearance.tflite"):
        (tmp_path / name).write_bytes(name.encode())
        digest = models.sha256_of(tmp_path / name)
        files.append(models.ModelFile(name, "", digest, len(name)))
    entry = models.ModelEntry("toy", "bundled", tuple(files), "none", "two files")
    monkeypatch.setitem(models.REGISTRY, "toy", entry)
    monkeypatch.setenv("RPPG_MODELS", str(tmp_path))
    assert models.tflite_file("toy", "int8") == ("toy/int8", tmp_path / files[0].name)
