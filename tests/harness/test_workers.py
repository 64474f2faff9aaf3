"""A helper of a process that is killed ends too."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

POOL = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from harness.workers import end_with_parent
if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=end_with_parent)
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""


def test_a_helper_ends_with_a_killed_parent(tmp_path):
    program = tmp_path / "pool.py"
    program.write_text(POOL)
    root = str(Path(__file__).parents[2])
    parent = subprocess.Popen(
        [sys.executable, str(program)],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ, PYTHONPATH=root),
    )
    with parent:
        helper = Path("/proc", parent.stdout.readline().strip(), "cmdline")
        assert b"spawn_main" in helper.read_bytes()
        parent.send_signal(signal.SIGKILL)
    end = time.monotonic() + 10
    while helper.exists() and helper.read_bytes() and time.monotonic() < end:
        time.sleep(0.1)
    assert not (helper.exists() and helper.read_bytes())
