"""What a pytest session or a command was asked for, and whether that can be done at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from harness.pace import AT_ONCE, Pace
from harness.run_file import RUN_FILE
from rppg_core.errors import UserError


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    boards: tuple[str, ...]
    datasets: tuple[str, ...]
    variants: tuple[str, ...]
    model: str
    detector: str
    recordings: tuple[str, ...]
    results: Path
    boards_file: Path
    datasets_file: Path
    thresholds_file: Path
    timeout_s: float
    conditions: tuple[str, ...] = ()
    lease_wait_s: float = 600.0
    timing_retries: int = 2
    resume: Path | None = None
    baselines: Path = Path("benchmarks/baselines")
    update_baseline: bool = False
    require_baseline: bool = False
    root: Path = Path()
    command: tuple[str, ...] = ()
    history: Path | None = None
    pace: Pace = AT_ONCE
    reference: tuple[Path, ...] = ()

    def usual(self, file: Path) -> bool:
        """Whether a file is the project's own of its kind."""
        root = self.root.resolve()
        return file.resolve() in (root / "boards.yaml", root / "datasets.yaml")

    def check(self) -> None:
        """Refuse numbers and folders that cannot be used. Raises UserError."""
        if self.timing_retries < 0:
            raise UserError(f"--timing-retries {self.timing_retries}: 0 or more")
        if not self.timeout_s > 0:
            raise UserError(f"--replay-timeout {self.timeout_s:g}: more than 0 seconds")
        if not self.lease_wait_s >= 0:
            raise UserError(f"--lease-wait {self.lease_wait_s:g}: 0 seconds or more")
        if self.resume is not None:
            if not self.resume.is_dir():
                raise UserError(f"{self.resume}: no such folder; name the folder of a run")
            if run := next(self.resume.glob(f"*/{RUN_FILE}"), None):
                raise UserError(f"{self.resume}: has runs in it; name one, as {run.parent}")
        folder = self.resume or self.results
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=folder):
                pass
        except OSError as bad:
            raise UserError(f"{folder}: cannot be written to ({bad.strerror or bad})") from None
