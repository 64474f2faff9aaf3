"""The records of a run on this machine: what came back stays, and need not be made again.

A record is written, whole and synced, as soon as it is back. It carries the hash of all that it
was made from; on resuming, a record with the same hash stands for a replay.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.boards.base import Board
from harness.boards.deploy import package_files
from harness.boards.digests import Digests
from harness.datasets.base import Labels, Recording
from rppg_core.records import parse_record, write_json
from rppg_core.replay import record_name


class Journal:
    """The folder of one case's records."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, recording: str, content: Mapping[str, Any]) -> None:
        """Keep a record, also through a crash of this machine."""
        write_json(self.folder / record_name(recording), content)

    def find(self, recording: str, made_from: Container[str]) -> dict[str, Any] | None:
        """Return the recording's record if it is there, whole, and made from one of these."""
        path = self.folder / record_name(recording)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            parse_record(content)
            campaign = content["campaign"]
            same = campaign["recording"] == recording and campaign["made_from"] in made_from
        except Exception:  # whatever is wrong with it, it is made anew
            return None
        return content if same else None


class Origin:
    """What all records of a case are made from, but for the recording itself."""

    def __init__(self, board: Board, files: Iterable[Path], **settings: Any) -> None:
        digests = Digests()
        code = package_files(board.package_root)
        self._common = {
            "files": [digests.sha256(path)[0] for path in files],
            "pipeline": {name: digests.sha256(path)[0] for name, path in code.items()},
            "runtime": board.runtime,
            "threads": board.threads,
            "delegate": board.settings.delegate,
            **settings,
        }
        digests.save()

    def of(self, recording: Recording, truth: Labels) -> str:
        """Return the hash of what the recording's record is made from.

        The video counts by its size and time of change: a large data set takes long to read.
        """
        video = recording.video
        members = sorted(video.iterdir()) if video.is_dir() else [video]
        stats = [(path.name, path.stat()) for path in members]
        times = truth.frame_times_s
        content = {
            **self._common,
            "recording": recording.id,
            "video": [(name, found.st_size, found.st_mtime_ns) for name, found in stats],
            "times_s": None if times is None else times.tolist(),
            "reference_bpm": truth.reference_bpm,
            "labels": truth.convention,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
