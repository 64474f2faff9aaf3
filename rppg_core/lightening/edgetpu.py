"""The Edge TPU compiler, where it is installed: int8 models in, models for the accelerator out."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rppg_core.errors import UserError

COMPILER = "edgetpu_compiler"
COMPILE_TIMEOUT_S = 300.0
MAPPED = "Mapped to Edge TPU"
_ROW = re.compile(r"^([A-Z][A-Z0-9_]+)\s+(\d+)\s+(\S.*?)\s*$", re.MULTILINE)
_VERSION = re.compile(r"^Edge TPU Compiler version (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class CompilerLog:
    """What the compiler said: (operator, count, status) rows of its table."""

    version: str
    rows: tuple[tuple[str, int, str], ...]

    @property
    def on_cpu(self) -> tuple[tuple[str, int, str], ...]:
        """The rows of operators that stay on the CPU, each with the reason."""
        return tuple(row for row in self.rows if row[2] != MAPPED)


def find_compiler() -> str:
    """The compiler's path. Raises UserError where it is not installed."""
    found = shutil.which(COMPILER)
    if found is None:
        raise UserError(
            f"int8-edgetpu needs {COMPILER}, which is not on PATH: install it from Coral's "
            "packages (x86-64 Linux only), or use int8, which runs on a CPU"
        )
    return found


def parse_log(text: str) -> CompilerLog:
    """The compiler's output, run with `-s`. Raises UserError where it is none."""
    rows = tuple((name, int(count), status) for name, count, status in _ROW.findall(text))
    version = _VERSION.search(text)
    if version is None or not rows:
        said = (text.strip().splitlines() or ["nothing"])[-1]
        raise UserError(f"{COMPILER} gave no table of operators; it said: {said}")
    return CompilerLog(version[1], rows)


def compile_model(compiler: str, tflite: bytes) -> bytes:
    """The bare model `tflite` compiled. Raises UserError, also for operators left on the CPU."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.tflite"
        source.write_bytes(tflite)
        command = [compiler, "-s", "-o", folder, str(source)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=COMPILE_TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired) as bad:
            raise UserError(f"{compiler} could not be run: {bad}") from None
        log = parse_log(done.stdout + done.stderr)
        left = ", ".join(f"{count} {name} ({why})" for name, count, why in log.on_cpu)
        if left:
            raise UserError(f"{COMPILER} {log.version} leaves on the CPU: {left}")
        compiled = source.with_name("model_edgetpu.tflite")
        if done.returncode != 0 or not compiled.is_file():
            raise UserError(f"{COMPILER} {log.version} wrote no model")
        return compiled.read_bytes()
