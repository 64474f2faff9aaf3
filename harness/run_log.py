"""What a session writes down of itself as it goes. Nothing that goes wrong here stops a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from harness.campaign import Observer
from harness.checkout import checkout_of
from harness.history.store import History
from harness.replays import CaseRun, replayed
from harness.run_file import RunFile, alone, read_run, write_run
from harness.verdicts.outcome import GateResult
from harness.verdicts.thresholds import Case
from rppg_core import __version__
from rppg_core.errors import UserError
from rppg_core.replay import record_name


class RunLog:
    """Keeps one run's file and its part of the history.

    Several processes, and a resumed run, may add to the same run.

    Args:
        results: the run's folder.
        history: the file of the history.
        root: the folder of the project under test.
        command: what pytest was asked for.
    """

    def __init__(
        self, results: Path, history: Path, root: Path, command: tuple[str, ...] = ()
    ) -> None:
        self._results = results
        started = datetime.now(timezone.utc).isoformat()
        found = checkout_of(root)
        self._new = RunFile(
            started,
            commit=found.commit,
            dirty=found.dirty,
            branch=found.branch,
            command=command,
            version=__version__,
        )
        self._path = history
        self._history: History | None = None
        self._given_up = False
        self._planned: dict[Case, int] = {}
        self.troubles: list[str] = []
        """What could not be written down, a line each."""

    def begin(self, boards: Mapping[str, Any]) -> None:
        """The run starts; one that is resumed goes on with this commit and command."""

        def change(run: RunFile) -> RunFile:
            kept = {name: getattr(run, name) for name in ("started", "boards", "gates", "planned")}
            new = replace(self._new, **kept)
            return new.with_results(boards, {})

        self._write(change)

    def begins(self, case: Case, recordings: int) -> None:
        """A case begins, of so many recordings."""
        self._planned[case] = recordings
        self._write(lambda run: run.with_plan(case, recordings))

    def came_back(self, case: Case, recording: str) -> None:
        """A recording is through, and its record on disk unless it has none."""
        place = self._results / case.board / case.dataset / case.variant / record_name(recording)

        def put(history: History) -> None:
            content = json.loads(place.read_text(encoding="utf-8"))
            one = replayed(content["campaign"], content)
            synthetic = bool(content["campaign"]["synthetic"])
            run = CaseRun(case, synthetic, (one,), {}, 0, planned=self._planned.get(case))
            history.put_recording(self._results, run)

        if place.exists():
            self._fill(put)

    def judged(
        self,
        run: CaseRun,
        gates: tuple[GateResult, ...],
        boards: Mapping[str, Any] | None = None,
    ) -> None:
        """A case was replayed, and judged as far as ``gates`` say."""
        self._write(lambda old: old.with_results(boards or {}, {run.case: gates}))
        if run.replays:
            self._fill(lambda history: history.put_case(self._results, run, gates))

    def ended(self, case: Case, gates: tuple[GateResult, ...], boards: Mapping[str, Any]) -> None:
        """A case did not come to its end, as ``gates`` say; what it has is judged no further."""
        self._write(lambda old: old.with_results(boards, {case: gates}))

    def finish(self) -> None:
        """The run came to its end."""
        self._write(lambda run: replace(run, finished=True))
        self.close()

    def close(self) -> None:
        """Let go of the history."""
        if self._history is not None:
            self._history.close()
            self._history = None

    def _write(self, change: Callable[[RunFile], RunFile]) -> None:
        try:
            with alone(self._results):
                run = change(self._read() or self._new)
                write_run(self._results, run)
        except (OSError, ValueError) as bad:
            self._trouble(f"{self._results}: its run file cannot be written ({bad})")
        else:
            self._fill(lambda history: history.put_run(self._results, run))

    def _read(self) -> RunFile | None:
        try:
            return read_run(self._results)
        except UserError as bad:
            self._trouble(f"{bad}; it is written anew")
            return None

    def _fill(self, put: Callable[[History], None]) -> None:
        """Add to the history; the first trouble is the last try."""
        if self._given_up:
            return
        try:
            if self._history is None:
                self._history = History(self._path, create=True)
            put(self._history)
        except (UserError, OSError, KeyError, TypeError, ValueError) as bad:
            self._given_up = True
            self._trouble(
                f"history: {bad}; this run is not, or not wholly, in it: "
                f"`rppg-bench history import {self._results}` adds it"
            )

    def _trouble(self, line: str) -> None:
        if line not in self.troubles:
            self.troubles.append(line)


class Noted:
    """An observer that has each recording written down before another one is told."""

    def __init__(self, observer: Observer, log: RunLog) -> None:
        self._log = log
        self.advance, self.say = observer.advance, observer.say
        self._start, self._done = observer.start, observer.done

    def start(self, case: Case, recordings: int) -> None:
        """A case begins."""
        self._log.begins(case, recordings)
        self._start(case, recordings)

    def done(self, case: Case, recording: str, outcome: str) -> None:
        """A recording is through."""
        self._log.came_back(case, recording)
        self._done(case, recording, outcome)
