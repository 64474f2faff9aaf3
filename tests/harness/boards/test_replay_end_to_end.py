"""The real replay program, model and clip, on this machine and over SSH."""

import os
from pathlib import Path

import pytest

from harness.boards.local import LocalBoard
from harness.boards.loopback import LoopbackBoard
from rppg_core.records import INSTRUCTIONS

pytestmark = [pytest.mark.board, pytest.mark.lightening]
TRUE_BPM, TOLERANCE_BPM = 53.0, 2.0
LIMIT_S = 120.0
OLD_PYTHONS = sorted(Path.home().glob(".pyenv/versions/3.7.*/bin/python"))


@pytest.fixture(scope="module")
def model(users_cache, models_folder):
    """Return the published TS-CAN as TFLite, kept in the user's cache, for making it takes time."""
    from rppg_core.models import tflite_file

    with pytest.MonkeyPatch.context() as patch:
        if users_cache is None:
            patch.delenv("XDG_CACHE_HOME")
        else:
            patch.setenv("XDG_CACHE_HOME", users_cache)
        return tflite_file("tscan-afrl")[1]


def replay(board, model, clip):
    """Return what it cost to put the inputs there, and the record."""
    sent_bytes = board.deploy().sent_bytes
    report = board.put([model, clip])
    job = {
        "schema": "rppg-job/1",
        "recordings": [{"id": "evm", "path": report.board_paths[clip], "times_s": None}],
        "model": {"path": report.board_paths[model], "name": "tscan-afrl/float32"},
        "detector": {"name": "haar", "files": {}},
        "settings": {},
        "runtime": board.runtime,
        "threads": board.threads,
    }
    events = []
    result = board.replay(job, events.append, LIMIT_S)
    assert (result.exit_status, result.stderr_tail.count("Traceback")) == (0, 0)
    assert events[-1]["event"] == "record"
    return sent_bytes + report.sent_bytes, result.records[0]


def test_same_heart_rate_on_this_machine_and_over_ssh(model, real_clip, tmp_path):
    with LocalBoard(workdir=tmp_path / "local") as board:
        sent_bytes, here = replay(board, model, real_clip)
        assert sent_bytes == 0
    assert here["result"]["bpm"] == pytest.approx(TRUE_BPM, abs=TOLERANCE_BPM)
    for again in (False, True):
        with LoopbackBoard(workdir=str(tmp_path / "loopback")) as board:
            sent_bytes, there = replay(board, model, real_clip)
        assert (sent_bytes == 0) is again
        assert there["result"]["bpm"] == pytest.approx(here["result"]["bpm"], abs=1e-6)


def test_video_that_is_none_is_a_failed_record(model, tmp_path):
    clip = tmp_path / "clip.avi"
    clip.write_bytes(os.urandom(1000))
    with LoopbackBoard(workdir=str(tmp_path / "loopback")) as board:
        report = board.put([model, clip])
        job = {
            "schema": "rppg-job/1",
            "recordings": [{"id": "x", "path": report.board_paths[clip], "times_s": None}],
            "model": {"path": report.board_paths[model], "name": "m"},
            "detector": {"name": "haar"},
        }
        result = board.replay(job, lambda event: None, LIMIT_S)
    assert result.exit_status == 1
    assert result.records[0]["status"] == "failed"


def test_unusable_model_is_said_in_one_line(tmp_path, real_clip):
    wrong = tmp_path / "wrong.tflite"
    wrong.write_bytes(b"no model")
    with LoopbackBoard(workdir=str(tmp_path / "loopback")) as board:
        report = board.put([wrong])
        job = {
            "schema": "rppg-job/1",
            "recordings": [{"id": "x", "path": "/none", "times_s": None}],
            "model": {"path": report.board_paths[wrong], "name": "m"},
            "detector": {"name": "haar"},
        }
        result = board.replay(job, lambda event: None, LIMIT_S)
    assert result.exit_status == 2
    assert result.stderr_tail.strip().splitlines()[-1].startswith("replay: ")


def test_bare_python_37_is_given_what_it_lacks(model, real_clip, tmp_path, users_cache, need):
    """Mendel's Python, with nothing installed: the wheels are resolved here and sent."""
    if not OLD_PYTHONS:
        need("no Python 3.7 of pyenv's on this machine")
    options = {"python": str(OLD_PYTHONS[-1]), "workdir": str(tmp_path / "mendel")}
    with pytest.MonkeyPatch.context() as patch:
        if users_cache is None:
            patch.delenv("XDG_CACHE_HOME")
        else:
            patch.setenv("XDG_CACHE_HOME", users_cache)
        with LoopbackBoard("mendel", **options) as board:
            _, record = replay(board, model, real_clip)
            assert board.deploy().sent_bytes == 0
    assert record["host"]["python"].startswith("3.7.")
    assert record["runtime"]["name"] == "tflite_runtime"
    assert record["result"]["bpm"] == pytest.approx(TRUE_BPM, abs=TOLERANCE_BPM)


def test_doctor_says_what_is_well_and_what_is_not(model, tmp_path, capsys):
    from harness.cli import main

    boards = tmp_path / "boards.yaml"
    boards.write_text(
        f"here: {{kind: loopback, workdir: {tmp_path / 'w'}, expect: {{kernel: '0.*'}}}}\n"
        "shut: {kind: ssh, host: 127.0.0.1, port: 1}\n"
    )

    def doctor(name):
        status = main(["doctor", name, "--boards", str(boards)])
        lines = capsys.readouterr().out.splitlines()
        return status, {line[6:18].strip(): (line[:4].strip(), line[19:]) for line in lines}

    status, found = doctor("here")
    assert status == 1
    assert found["expected"][0] == "fail"
    assert found["self-test"][0] == "ok"
    assert "truth 63.5 (synthetic)" in found["self-test"][1]
    asked = {"packages", "disk", "memory", "governor", "temperature", "load", "clock", "lease"}
    assert asked < set(found)
    assert found["packages"][0] == found["lease"][0] == "ok"
    status, found = doctor("shut")
    assert (status, list(found)) == (1, ["connect"])


def test_doctor_tests_a_board_whose_clock_counts_instructions():
    from harness.doctor import examine

    class Counting(LocalBoard):
        timings_unit = INSTRUCTIONS

    with Counting() as board:
        (line,) = (one for one in examine(board) if one.what == "self-test")
    assert line.verdict == "ok"
    assert "its clock counts instructions" in line.found
