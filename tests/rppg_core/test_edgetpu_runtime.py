"""All of the Edge TPU's path that can be walked without the chip: what is missing is said."""

import os
import subprocess
import sys

import pytest

from rppg_core import edgetpu
from rppg_core.errors import ModelError, UserError
from rppg_core.runtime import make_interpreter
from rppg_core.tscan_int8 import partner_of

# A library like Google's, as far as it is asked: it counts devices, and refuses to open one.
LIBRARY = """
#include <stddef.h>
static int one;
void *edgetpu_list_devices(size_t *count) { *count = DEVICES; return DEVICES ? &one : NULL; }
void edgetpu_free_devices(void *devices) { (void)devices; }
void *tflite_plugin_create_delegate(char **k, char **v, size_t n, void (*say)(const char *)) {
    (void)k; (void)v; (void)n;
    if (say) say("planted");
    return NULL;
}
void tflite_plugin_destroy_delegate(void *delegate) { (void)delegate; }
"""
ASK = """
import sys
from rppg_core.errors import UserError
from rppg_core.runtime import make_interpreter
try:
    make_interpreter(sys.argv[1], sys.argv[2])
except UserError as bad:
    print(bad)
"""


@pytest.fixture
def compiled(tmp_path):
    """A file that says of itself what a compiled model does; no runtime gets to read it."""
    path = tmp_path / "x_edgetpu.tflite"
    path.write_bytes(b"TFL3" + edgetpu.OPERATOR)
    return path


@pytest.fixture
def library(tmp_path, need):
    def build(devices):
        source = tmp_path / "library.c"
        source.write_text(LIBRARY)
        target = tmp_path / edgetpu.LIBRARY
        command = ["cc", "-shared", "-fPIC", f"-DDEVICES={devices}", "-o", target, source]
        try:
            subprocess.run(command, check=True)
        except OSError:
            need("no C compiler")
        return tmp_path

    return build


def said(model, runtime, folder=None):
    environment = dict(os.environ, LD_LIBRARY_PATH=str(folder or ""))
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(model), runtime],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    (line,) = done.stdout.splitlines()
    return line


def test_missing_library(compiled):
    assert "no Edge TPU library (libedgetpu.so.1: cannot open" in said(compiled, "edgetpu")


@pytest.mark.board
def test_missing_device(compiled, library):
    assert said(compiled, "edgetpu", library(devices=0)).startswith("no Edge TPU found: plug it in")


@pytest.mark.board
def test_missing_package(compiled, library):
    """There is a device then, but nothing in this Python to hand it a model."""
    line = said(compiled, "edgetpu", library(devices=1))
    assert "install python3-pycoral, or tflite-runtime" in line


BOARD_PYTHON = "RPPG_PYTHON37"


@pytest.mark.board
def test_device_that_cannot_be_opened(compiled, library, need):
    python = os.environ.get(BOARD_PYTHON)
    if not python:
        need(f"{BOARD_PYTHON} names no Python 3.7 with tflite-runtime")
    environment = dict(os.environ, LD_LIBRARY_PATH=str(library(devices=1)))
    done = subprocess.run(
        [python, "-c", ASK, str(compiled), "edgetpu"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert "the Edge TPU cannot be opened; is another program using it" in done.stdout


def test_model_that_was_not_compiled(model_file):
    with pytest.raises(ModelError, match="not compiled for an Edge TPU; run edgetpu_compiler"):
        make_interpreter(model_file, "edgetpu")


def test_compiled_model_without_the_delegate():
    reason = "Encountered unresolved custom op: edgetpu-custom-op. Node number 0"
    assert "set 'delegate: edgetpu'" in edgetpu.explain(reason)


def test_model_of_a_newer_runtime():
    reason = (
        "Failed precondition: Package requires runtime version (14), which is newer than this "
        "runtime version (13).\nNode number 0 (EdgeTpuDelegateForCustomOp) failed to prepare."
    )
    line = edgetpu.explain(reason)
    assert line.startswith("compiled for Edge TPU runtime 14, this board has 13")
    assert "--min_runtime_version 13" in line
    assert edgetpu.explain("something else") == ""


def test_compiled_halves_find_each_other(int8_file, tmp_path):
    other = partner_of(int8_file)
    (tmp_path / "x.motion_edgetpu.tflite").write_bytes(int8_file.read_bytes())
    (tmp_path / "x.appearance_edgetpu.tflite").write_bytes(other.read_bytes())
    found = partner_of(tmp_path / "x.motion_edgetpu.tflite")
    assert found == tmp_path / "x.appearance_edgetpu.tflite"
    found.unlink()
    with pytest.raises(ModelError, match=r"x\.appearance_edgetpu\.tflite is not beside it"):
        partner_of(tmp_path / "x.motion_edgetpu.tflite")


def test_pycoral_is_never_taken_unasked(monkeypatch, model_file, tmp_path):
    """It would open the chip also for models that are not meant for it."""
    package = tmp_path / "pycoral" / "utils"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "edgetpu.py").write_text("def make_interpreter(_): raise SystemExit('opened')")
    monkeypatch.syspath_prepend(tmp_path)
    assert make_interpreter(model_file).name in ("tflite_runtime", "ai_edge_litert")
    with pytest.raises(UserError, match="not compiled"):
        make_interpreter(model_file, "pycoral")
    for name in [name for name in sys.modules if name.split(".")[0] == "pycoral"]:
        del sys.modules[name]
