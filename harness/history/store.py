"""The file of the history: opened, written, read. Whatever is wrong with it is a UserError.

It is an index. Raw samples stay in the records, and it can be made again from those. It has a
rollback journal, not a write-ahead log: a copy of the one file is then a copy of the history.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.history import rows
from harness.history.schema import STEPS, bring_up_to_date, version_of
from harness.replays import CaseRun
from harness.run_file import RunFile
from harness.verdicts.outcome import GateResult
from rppg_core.errors import UserError

HISTORY_FILE = "history.sqlite3"
BUSY_S = 5.0
"""How long another process may write before it is too much."""
REMEDY = "move it away, then `rppg-bench history rebuild` makes it again from the records"
CASE_KEY = ("board", "dataset", "variant", "model", "model_sha256", "detector")


class History:
    """One file. May be used from several threads; use as a context manager, or close it."""

    def __init__(self, path: Path, create: bool = False) -> None:
        """Open a history, with `create` to write to it. Raises UserError where it is none."""
        self.path = path
        self._alone = threading.RLock()
        self._changing = False
        if not create and not path.exists():
            raise UserError(f"{path}: no history there; `rppg-bench history rebuild` makes one")
        with self._told():
            if create:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                f"file:{quote(str(path.absolute()))}?mode={'rwc' if create else 'rw'}",
                uri=True,
                timeout=BUSY_S,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            with self._told():
                self._connection.row_factory = sqlite3.Row
                self._connection.execute("PRAGMA foreign_keys = ON")
                if create or version_of(self._connection):
                    bring_up_to_date(self._connection)
                if version_of(self._connection) != len(STEPS):
                    raise UserError(f"empty; {REMEDY}")
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def put_run(self, folder: Path, run: RunFile) -> None:
        """Add a run, or what is new of it; an old one without its file has an empty version."""
        values = {
            "name": run_name(folder),
            "folder": str(folder.absolute()),
            "started": run.started,
            "finished": run.finished if run.version else None,
            "commit_id": run.commit,
            "dirty": run.dirty,
            "branch": run.branch,
            "command": json.dumps(run.command),
            "version": run.version,
            "boards": json.dumps(run.boards, sort_keys=True),
        }
        with self._change():
            self._upsert("runs", values, ("name",))

    def put_case(
        self, folder: Path, run: CaseRun, gates: tuple[GateResult, ...], complete: bool = True
    ) -> None:
        """Add a case with all that belongs to it, in place of what was there of it."""
        with self._change():
            case = self._case(folder, run, complete)
            for table, found in (
                ("figures", rows.figure_rows(run)),
                ("recordings", rows.recording_rows(run)),
                ("gates", rows.gate_rows(gates)),
            ):
                self._execute(f'DELETE FROM {table} WHERE "case" = ?', (case,))
                for row in found:
                    self._insert(table, {"case": case, **row})

    def put_recording(self, folder: Path, run: CaseRun) -> None:
        """Add what came back of a case that goes on."""
        with self._change():
            case = self._case(folder, run, complete=False)
            for row in rows.recording_rows(run):
                self._upsert("recordings", {"case": case, **row}, ("case", "recording"))

    def forget_cases(self, folder: Path) -> None:
        """Take out the cases of a run, to put in what its records say now."""
        with self._change():
            self._execute(
                "DELETE FROM cases WHERE run IN (SELECT id FROM runs WHERE name = ?)",
                (run_name(folder),),
            )

    def select(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return the rows of a query."""
        with self._alone, self._told():
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Do several changes as one; another process waits meanwhile."""
        with self._change():
            yield

    def _case(self, folder: Path, run: CaseRun, complete: bool) -> int:
        found = self._execute("SELECT id FROM runs WHERE name = ?", (run_name(folder),)).fetchone()
        if found is None:
            raise UserError(f"{self.path}: has no run {folder.name}; {REMEDY}")
        key = ("run", *CASE_KEY)
        values = {"run": found["id"], **rows.case_row(run, complete)}
        self._upsert("cases", values, key)
        where = " AND ".join(f"{name} = ?" for name in key)
        query = f"SELECT id FROM cases WHERE {where}"
        return int(self._execute(query, [values[name] for name in key]).fetchone()["id"])

    def _insert(self, table: str, values: rows.Row, more: str = "") -> None:
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" * len(values))
        self._execute(f"INSERT INTO {table} ({names}) VALUES ({marks}) {more}", [*values.values()])

    def _upsert(self, table: str, values: rows.Row, key: Sequence[str]) -> None:
        keys = ", ".join(f'"{name}"' for name in key)
        new = ", ".join(f'"{name}" = excluded."{name}"' for name in values if name not in key)
        self._insert(table, values, f"ON CONFLICT ({keys}) DO UPDATE SET {new}")

    def _execute(self, query: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self._connection.execute(query, values)

    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._alone, self._told():
            if self._changing:
                yield  # a part of a larger change
                return
            self._execute("BEGIN IMMEDIATE")
            self._changing = True
            try:
                yield
                self._execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk has ended it already
                    self._execute("ROLLBACK")
                raise
            finally:
                self._changing = False

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except UserError as bad:
            said = str(bad).removeprefix(f"{self.path}: ")
            raise UserError(f"{self.path}: {said}") from None
        except sqlite3.DatabaseError as bad:
            raise UserError(f"{self.path}: {_reason(bad)}") from None
        except OSError as bad:
            raise UserError(f"{self.path}: cannot be written ({bad.strerror})") from None


def run_name(folder: Path) -> str:
    """Return the name that a run has in the history: that of its folder."""
    return folder.absolute().name


def _reason(bad: sqlite3.DatabaseError) -> str:
    text = str(bad)
    if "locked" in text:
        return f"in use by another process for over {BUSY_S:g} s; try again"
    if "not a database" in text or "malformed" in text:
        return f"broken ({text}); {REMEDY}"
    return f"cannot be used ({text})"
