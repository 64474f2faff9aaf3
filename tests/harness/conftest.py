"""A tiny campaign: two rendered clips, rules anyone meets, one model."""

import textwrap
from pathlib import Path

import pytest

from rppg_core import models

LENIENT = """
accuracy: [{max_mae_bpm: 60.0}]
latency: [{max_real_time_factor: 50.0}]
quantization: [{min_correlation: 0.9}]
"""
STRICT = """
accuracy: [{max_mae_bpm: 0.00001, max_group_mae_bpm: {low: 0.00001}}]
latency: [{max_real_time_factor: 0.00001, max_stage_ms_per_frame: {predict: 0.00001}}]
quantization: [{min_correlation: 0.9}]
"""


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> Path:
    """A folder that holds rendered clips for the session."""
    return tmp_path_factory.mktemp("clips")


@pytest.fixture
def project(pytester, clips, models_folder, monkeypatch):
    """A user's project: benchmarks of this one, datasets, boards and thresholds of its own."""
    monkeypatch.setenv("COLUMNS", "100")
    here = Path(__file__).parents[2]
    for name in ("test_accuracy.py", "test_latency.py", "test_quantization.py"):
        pytester.path.joinpath(name).write_text((here / "benchmarks" / name).read_text())
    write = pytester.path.joinpath
    write("datasets.yaml").write_text(
        f"tiny: {{kind: synthetic, clips: 2, seconds: 8, size: [320, 240], root: '{clips}'}}\n"
        "own: {kind: folder, root: own}\n"
    )
    write("boards.yaml").write_text("local: {kind: local}\nloopback: {kind: loopback}\n")
    write("lenient.yaml").write_text(textwrap.dedent(LENIENT))
    write("strict.yaml").write_text(textwrap.dedent(STRICT))
    write("broken.yaml").write_text("accuracy: [{max_mae: 1}]\nlatency: []\n")
    return pytester


@pytest.fixture
def tscan_file(models_folder) -> Path:
    """The float32 model of the published weights."""
    return models.tflite_file("tscan-afrl")[1]
