"""Every broken pipeline is caught by a gate and laid to its stage; the unbroken one is not."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAULTS = 9


@pytest.mark.board
def test_every_broken_pipeline_is_caught_and_its_stage_named():
    done = subprocess.run(
        [sys.executable, "benchmarks/seeded_faults.py", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{FAULTS + 1} of {FAULTS + 1} as they should be" in done.stdout
    assert "| none (control) | none |" in done.stdout
