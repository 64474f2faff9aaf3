import stat

import pytest

from rppg_core.errors import UserError
from rppg_core.lightening.edgetpu import compile_model, find_compiler, parse_log

LOG = """Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 312 ms.

Input model: model.tflite
Output model: model_edgetpu.tflite
Number of Edge TPU subgraphs: 1
Total number of operations: 11

Operator                       Count      Status

CONV_2D                        6          Mapped to Edge TPU
TANH                           4          Mapped to Edge TPU
AVERAGE_POOL_2D                1          Mapped to Edge TPU
Compilation child process completed within timeout period.
"""
LEFT = LOG.replace(
    "1          Mapped", "1          More than one subgraph is not supported\nDIV 2  Mapped"
)


def fake_compiler(folder, log):
    """A program of the compiler's manners: it prints `log` and copies its input."""
    (folder / "log").write_text(log)
    path = folder / "edgetpu_compiler"
    path.write_text(f'#!/bin/sh\ncat "{folder}/log"\ncp "$4" "$3/model_edgetpu.tflite"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_table_of_operators_is_read():
    log = parse_log(LOG)
    assert log.version == "16.0.384591198"
    assert [row[:2] for row in log.rows] == [("CONV_2D", 6), ("TANH", 4), ("AVERAGE_POOL_2D", 1)]
    assert log.on_cpu == ()


def test_operators_left_on_the_cpu_are_named(tmp_path):
    with pytest.raises(UserError, match=r"on the CPU: 1 AVERAGE_POOL_2D \(More than one"):
        compile_model(fake_compiler(tmp_path, LEFT), b"model")


def test_a_compiled_model_comes_back(tmp_path):
    assert compile_model(fake_compiler(tmp_path, LOG), b"model") == b"model"


def test_other_words_are_no_log(tmp_path):
    with pytest.raises(UserError, match="it said: Invalid model"):
        compile_model(fake_compiler(tmp_path, "ERROR\nInvalid model"), b"model")


def test_without_the_compiler_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"not on PATH.*use int8"):
        find_compiler()
    fake_compiler(tmp_path, LOG)
    assert find_compiler() == str(tmp_path / "edgetpu_compiler")
