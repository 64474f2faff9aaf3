"""How a campaign gets on: a bar on a terminal, a line per recording in a log."""

from __future__ import annotations

import sys
import threading
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from harness.plain_text import printable
from harness.verdicts.thresholds import Case


class CampaignProgress:
    """Shows a campaign on `stream`; also shows the rendering of synthetic clips."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._console = Console(file=self._stream, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._count = self._of = 0
        self._one_at_a_time = threading.RLock()  # boards of a pool report from threads

    def start(self, case: Case, recordings: int) -> None:
        """Begin a case of so many recordings."""
        self._begin(str(case), recordings)

    def advance(self, case: Case, recording: str, share: float) -> None:
        """Move the bar within one recording."""
        with self._one_at_a_time:
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, completed=self._count + share)

    def done(self, case: Case, recording: str, outcome: str) -> None:
        """Say how one recording went."""
        self._step(f"{recording}: {outcome}")

    def rendered(self, ready: int, of: int, clip: str) -> None:
        """Show a synthetic clip as made."""
        if self._bar is None and self._of == 0:
            self._begin("rendering synthetic clips", of)
            self._count = max(ready - 1, 0)
        self._step(f"rendered {clip}")

    def say(self, line: str) -> None:
        """Print one line above the bar."""
        self._print(line)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None
        self._count = self._of = 0

    def _begin(self, title: str, of: int) -> None:
        self.close()
        self._of = of
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task(title, total=of)
            self._bar.start()
        else:
            self._print(f"{title}: {of} to do")

    def _step(self, line: str) -> None:
        with self._one_at_a_time:
            self._count += 1
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, completed=self._count)
            self._print(f"  {self._count}/{self._of} {line}")
            if self._count >= self._of:
                self.close()

    def _print(self, line: str) -> None:
        self._console.print(printable(line), markup=False)
