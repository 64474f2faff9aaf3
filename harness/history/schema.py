"""The tables of the history. A step is never changed once released: a new one is added below it."""

from __future__ import annotations

import sqlite3

from rppg_core.errors import UserError

APPLICATION_ID = 0x72505047  # "rPPG", which tells the file from other programs' databases

FIRST = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,          -- of the run's folder
    folder TEXT NOT NULL,
    started TEXT NOT NULL,              -- ISO 8601, UTC
    finished INTEGER,                   -- NULL: an old run that does not say it
    commit_id TEXT,
    dirty INTEGER,
    branch TEXT,
    command TEXT NOT NULL,              -- JSON: pytest's arguments
    version TEXT NOT NULL,
    boards TEXT NOT NULL                -- JSON: facts by name
);
CREATE TABLE cases (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    board TEXT NOT NULL,
    dataset TEXT NOT NULL,
    variant TEXT NOT NULL,
    model TEXT NOT NULL,
    model_sha256 TEXT NOT NULL,
    detector TEXT NOT NULL,
    complete INTEGER NOT NULL,          -- 0: cut off, or still going on
    synthetic INTEGER NOT NULL,
    unit TEXT NOT NULL,                 -- of the times: ms or minstr
    labels TEXT NOT NULL,
    runtime TEXT NOT NULL,
    threads TEXT NOT NULL,
    machine TEXT NOT NULL,
    cpu TEXT NOT NULL,
    kernel TEXT NOT NULL,
    python TEXT NOT NULL,
    numpy TEXT NOT NULL,
    opencv TEXT NOT NULL,
    UNIQUE (run, board, dataset, variant, model, model_sha256, detector)
);
CREATE TABLE figures (
    "case" INTEGER NOT NULL REFERENCES cases ON DELETE CASCADE,
    name TEXT NOT NULL,
    value REAL NOT NULL,
    low REAL,                           -- 95 % interval over subjects
    high REAL,
    PRIMARY KEY ("case", name)
) WITHOUT ROWID;
CREATE TABLE recordings (
    "case" INTEGER NOT NULL REFERENCES cases ON DELETE CASCADE,
    recording TEXT NOT NULL,
    subject TEXT NOT NULL,
    replayed_on TEXT,
    reference_bpm REAL NOT NULL,
    estimate_bpm REAL,                  -- NULL: failed, as the error says
    snr_db REAL,
    media_s REAL,
    per_frame REAL,                     -- in the unit of the case; NULL: not timed, or invalid
    real_time_factor REAL,
    error TEXT,
    invalid TEXT,                       -- why its times do not count
    PRIMARY KEY ("case", recording)
) WITHOUT ROWID;
CREATE TABLE gates (
    "case" INTEGER NOT NULL REFERENCES cases ON DELETE CASCADE,
    place INTEGER NOT NULL,
    gate TEXT NOT NULL,
    figure REAL,
    threshold REAL,
    outcome TEXT NOT NULL,
    message TEXT NOT NULL,
    baseline REAL,
    low REAL,                           -- interval of the difference from the baseline
    high REAL,
    stage TEXT,
    PRIMARY KEY ("case", place)
) WITHOUT ROWID;
CREATE INDEX cases_by_name ON cases (board, dataset, variant);
"""

PLANNED = "ALTER TABLE cases ADD COLUMN planned INTEGER;\n"
"""How many recordings were to be replayed; NULL: an older run, which does not say it."""

PACE = "ALTER TABLE cases ADD COLUMN pace TEXT;\n"
"""How frames came, by the records; NULL: not yet known, `history rebuild` reads it."""

STEPS: tuple[str, ...] = (FIRST, PLANNED, PACE)
"""Step n makes version n + 1 of version n."""


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of a history; 0 of an empty file. Raises UserError if it is none."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise UserError("another program's database; name another file with --history")
    if version > len(STEPS):
        raise UserError(
            f"of version {version}, this program knows {len(STEPS)}; use the newer one, or name "
            "another file with --history"
        )
    return int(version)


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Make the tables, or those that are missing: all steps or none."""
    if version_of(connection) == len(STEPS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        start = version_of(connection)  # another process may have done it meanwhile
        for step in STEPS[start:]:
            for statement in _statements(step):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """Return the statements of a script; executing it whole would end the transaction."""
    found, begun = [], ""
    for line in script.splitlines(keepends=True):
        begun += line
        if sqlite3.complete_statement(begun):
            found.append(begun)
            begun = ""
    return found
