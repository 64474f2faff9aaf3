"""Any folder of videos with a CSV that says, for each, the heart rate.

The CSV needs the columns `file` (relative to the folder) and `bpm`; `subject` is optional, and
every further column becomes a condition of the recording.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from harness.datasets.base import (
    PLAUSIBLE_BPM,
    Dataset,
    Labels,
    Recording,
    Signals,
    natural_key,
)
from harness.datasets.conventions import LISTED
from rppg_core.errors import UserError

DEFAULT_CSV = "labels.csv"
FILE_COLUMN, BPM_COLUMN, SUBJECT_COLUMN = "file", "bpm", "subject"


@dataclass(frozen=True)
class _Row:
    recording: Recording
    bpm: float


class FolderDataset(Dataset):
    """Videos listed in a CSV; a recording's id is its file as listed."""

    kind = "folder"
    conventions = (LISTED,)

    def __init__(self, name: str, root: Path, csv_name: str = DEFAULT_CSV) -> None:
        super().__init__(name, root)
        self.csv_path = root / csv_name

    def recordings(self) -> list[Recording]:
        """List the rows of the CSV."""
        found = [row.recording for row in self._rows.values()]
        return sorted(found, key=lambda recording: natural_key(recording.id))

    def labels(self, recording: Recording) -> Labels:
        """Give the heart rate that the CSV lists."""
        bpm = self._rows[recording.id].bpm
        return Labels(reference_bpm=bpm, convention=LISTED, references={LISTED: bpm})

    def signals(self, recording: Recording) -> Signals:
        """The heart rate that the CSV lists, as one reading for all of the recording."""
        return Signals(hr_bpm=np.array([self._rows[recording.id].bpm]))

    @cached_property
    def _rows(self) -> dict[str, _Row]:
        if not self.root.is_dir():
            raise UserError(f"dataset {self.name}: no folder {self.root}; correct its root")
        rows: dict[str, _Row] = {}
        listed: set[Path] = set()
        for number, cells in _read_csv(self.csv_path):
            row = _parse_row(cells, self.root, f"{self.csv_path}, line {number}")
            video = row.recording.video.resolve()
            if video in listed:
                raise UserError(
                    f"{self.csv_path}, line {number}: {row.recording.id!r} is listed twice"
                )
            listed.add(video)
            rows[row.recording.id] = row
        if not rows:
            raise UserError(f"{self.csv_path}: no recording listed; add one row for each video")
        return rows


def _read_csv(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Rows with their line numbers; UserError unless every row has a cell for every column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, skipinitialspace=True, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(header, path)
            rows = []
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(header):
                    raise UserError(
                        f"{path}, line {reader.line_num}: {len(cells)} cells for {len(header)} "
                        "columns; quote a name that holds a comma"
                    )
                values = [cell.strip() for cell in cells]
                rows.append((reader.line_num, dict(zip(header, values, strict=True))))
            return rows
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; list the videos there in the columns {FILE_COLUMN},{BPM_COLUMN}"
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as UTF-8 CSV ({error})") from None


def _check_header(header: list[str], path: Path) -> None:
    if not any(header):
        raise UserError(f"{path}: empty; its first line must be {FILE_COLUMN},{BPM_COLUMN}")
    for column in (FILE_COLUMN, BPM_COLUMN):
        if column not in header:
            raise UserError(f"{path}: no column {column!r}; its columns are {', '.join(header)!r}")
    if len(set(header)) != len(header):
        raise UserError(f"{path}: a column name occurs twice in {', '.join(header)!r}")


def _parse_row(cells: dict[str, str], root: Path, where: str) -> _Row:
    file = cells[FILE_COLUMN]
    video = root / file
    try:
        present = bool(file) and video.is_file()
    except (OSError, ValueError):  # a name the file system cannot hold
        present = False
    if not present:
        raise UserError(f"{where}: {file!r} is not a file in {root}")
    subject = cells.get(SUBJECT_COLUMN) or file
    known = (FILE_COLUMN, BPM_COLUMN, SUBJECT_COLUMN)
    conditions = {column: cell for column, cell in cells.items() if column not in known and cell}
    recording = Recording(id=file, subject=subject, video=video, conditions=conditions)
    return _Row(recording, _parse_bpm(cells[BPM_COLUMN], where))


def _parse_bpm(text: str, where: str) -> float:
    try:
        bpm = float(text)
    except ValueError:
        raise UserError(f"{where}: {text!r} is not a heart rate in bpm") from None
    low, high = PLAUSIBLE_BPM
    if not low <= bpm <= high:  # also false for nan
        raise UserError(f"{where}: {text} bpm is outside {low:g}-{high:g}")
    return bpm
