"""The pipeline runs on a board's Python 3.7, and gives there what it gives here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rppg_core
from rppg_core.records import read_record
from rppg_core.replay import JOB_SCHEMA

PACKAGE = Path(rppg_core.__file__).parent
BOARD_PYTHON = "RPPG_PYTHON37"  # an interpreter with numpy, opencv and tflite-runtime
SOURCES = sorted(PACKAGE.glob("*.py"))


def test_the_sources_need_no_later_python():
    options = ["--target=3.7-", "--no-tips", "--violations", "--eval-annotations"]
    found = subprocess.run(
        [sys.executable, "-c", "import vermin; vermin.main()", *options, *map(str, SOURCES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr


IMPORT_ALL = """
import sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    __import__("rppg_core." + name)
allowed = {"rppg_core", "numpy", "cv2"}
loaded = {name.split(".")[0] for name in sys.modules}
print(" ".join(sorted(loaded & {"scipy", "tensorflow", "matplotlib", "harness", "pytest"})))
"""


def test_a_replay_needs_nothing_a_board_lacks(tmp_path):
    names = [path.stem for path in SOURCES if path.stem not in ("__init__", "lightening")]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, str(PACKAGE.parent), *names],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.split() == []


@pytest.fixture(scope="module")
def board_python(need):
    named = os.environ.get(BOARD_PYTHON)
    if not named:
        return need(f"{BOARD_PYTHON} names no Python 3.7 with numpy, opencv and tflite-runtime")
    version = subprocess.run(
        [named, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert version.stdout.strip() == "3.7", f"{BOARD_PYTHON} is Python {version.stdout.strip()}"
    return named


@pytest.mark.board
def test_python_37_gives_the_same_heart_rate(
    board_python, tmp_path, real_clip, model_file, short_clip, faceless_clip
):
    job = {
        "schema": JOB_SCHEMA,
        "recordings": [
            {"id": "real", "path": str(real_clip)},
            {"id": "name", "path": str(short_clip)},
            {"id": "nul", "path": "a\0b.mp4"},
            {"id": "long", "path": "/" + "x" * 300},
            {"id": "nobody", "path": str(faceless_clip)},
        ],
        "model": {"path": str(model_file), "name": "tscan-afrl/float32"},
        "detector": {"name": "haar"},
    }
    records = {}
    for name, python in {"board": board_python, "here": sys.executable}.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({**job, "out_dir": str(tmp_path / name)}))
        done = subprocess.run(
            [python, "-m", "rppg_core.replay", str(path)],
            capture_output=True,
            text=True,
            check=False,
            cwd=PACKAGE.parent,
        )
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr
        read = [read_record(path) for path in (tmp_path / name).iterdir()]
        records[name] = {record.recording: record for record in read}
    assert records["board"]["real"].raw["host"]["python"].startswith("3.7")
    assert records["here"]["real"].bpm == pytest.approx(53, abs=2)
    for recording in ("real", "name"):
        there, here = (records[where][recording] for where in ("board", "here"))
        assert there.bpm == pytest.approx(here.bpm, abs=0.1)
        assert there.times_s == pytest.approx(here.times_s, abs=1e-3)
    for recording in ("nul", "long", "nobody"):
        there, here = (records[where][recording] for where in ("board", "here"))
        assert not there.ok
        assert there.raw["error"]["kind"] == here.raw["error"]["kind"]
