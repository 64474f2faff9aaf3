"""From a run's folder into the history: the same rows as a campaign puts there as it goes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

from harness.history.store import History
from harness.replays import CaseRun, load_cases
from harness.run_file import RUN_FILE, RunFile, read_run
from rppg_core.errors import UserError

FOLDER_OF_RUN = re.compile(r"(\d{8}T\d{6}\.\d{6})Z")


def import_run(history: History, folder: Path) -> int:
    """Put a run's records into the history in place of what it has of that run.

    Returns how many cases there are. Raises UserError where a record is broken; the history has
    then what it had.
    """
    run = read_run(folder)
    try:
        cases = load_cases(folder)
    except UserError:
        if run is None or any(folder.glob("*/**/*.json")):
            raise
        cases = []  # it was cut off before its first record
    with history.all_or_nothing():
        history.put_run(folder, run or RunFile(started_of(folder, cases)))
        history.forget_cases(folder)
        for one in cases:
            gates = run.gates.get(one.case) if run else ()
            history.put_case(folder, one, gates or (), complete=gates is not None)
    return len(cases)


def run_folders(results: Path) -> Iterator[Path]:
    """Yield the folders of a results folder that are runs."""
    for folder in sorted(path for path in results.iterdir() if path.is_dir()):
        if (folder / RUN_FILE).exists() or any(folder.glob("*/**/*.json")):
            yield folder


def started_of(folder: Path, cases: Sequence[CaseRun]) -> str:
    """Return when an old run was started, by its folder's name or else by its first record."""
    named = FOLDER_OF_RUN.fullmatch(folder.absolute().name)
    if named:
        found = datetime.strptime(named[1], "%Y%m%dT%H%M%S.%f").replace(tzinfo=timezone.utc)
        return found.isoformat()
    said = [str(one.record.raw.get("started_at", "")) for run in cases for one in run.replays]
    return min(filter(None, said), default="")
