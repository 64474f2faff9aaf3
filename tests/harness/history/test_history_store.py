"""The history's file: filled twice it is the same, broken it is one line, and it never loses."""

import json
import shutil
import sqlite3
import subprocess
import sys
import threading

import pytest

from harness.cli import main as rppg_bench
from harness.history import schema, store
from harness.history.filling import import_run
from harness.history.store import History
from harness.history.trend import by_case, points
from harness.run_file import RUN_FILE, RunFile, write_run
from harness.verdicts.outcome import Outcome
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError


def dump(path):
    """Everything in it; the numbers of rows are no part of what it says."""
    with History(path) as history:
        said = {}
        for table in ("runs", "cases", "figures", "recordings", "gates"):
            found = history.select(f"SELECT * FROM {table}")
            hidden = {"id", "run", "case"}
            rows = [{k: v for k, v in dict(row).items() if k not in hidden} for row in found]
            said[table] = sorted(json.dumps(row, sort_keys=True) for row in rows)
    return said


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results" / "history.sqlite3"


def test_a_run_is_in_it_with_all_it_found(make_run, path):
    folder = make_run(variants=("float32", "int8"), slower=2.0)
    with History(path, create=True) as history:
        assert import_run(history, folder) == 2
        first, second = points(history, {"commit": "c0ffee"})
        assert not points(history, {"commit": "beef"})
        assert points(history, {"variant": "int*"}) == [second]
    assert (first.case.variant, second.case.variant) == ("float32", "int8")
    assert first.recordings == 3 and first.complete and first.outcome is Outcome.PASS
    assert first.figures["ms_per_frame"] == pytest.approx(10.0)
    assert first.figures["ms_per_frame.predict"] == pytest.approx(2.0)
    assert first.figures["share_percent.predict"] == pytest.approx(20.0)
    assert first.figures["p99_ms"] == pytest.approx(10.0)
    assert first.figures["real_time_factor"] == pytest.approx(0.3)
    assert first.figures["peak_memory_bytes"] == 100e6
    assert {"mae_bpm", "mae_bpm.low", "mae_bpm.middle", "mae_bpm.high"} <= set(first.figures)
    assert first.provenance["runtime"] == "litert 2"


def test_importing_twice_changes_nothing(make_run, path):
    folder = make_run()
    with History(path, create=True) as history:
        import_run(history, folder)
    once = dump(path)
    with History(path, create=True) as history:
        import_run(history, folder)
    assert dump(path) == once
    assert len(once["recordings"]) == 3 and len(once["gates"]) == 1


def test_an_import_that_fails_leaves_what_was_there(make_run, path):
    folder = make_run()
    with History(path, create=True) as history:
        import_run(history, folder)
        before = dump(path)
        record = next(folder.glob("local/**/*.json"))
        record.write_text(record.read_text()[:100])
        with pytest.raises(UserError, match="cannot be read as a record"):
            import_run(history, folder)
    assert dump(path) == before


def test_an_old_run_without_its_file_is_in_it_too(make_run, path):
    folder = make_run("20250102T030405.000006Z")
    (folder / RUN_FILE).unlink()
    with History(path, create=True) as history:
        import_run(history, folder)
        (one,) = points(history, {})
    assert one.started == "2025-01-02T03:04:05.000006+00:00"
    assert one.commit is None and one.outcome is None and one.complete


def test_rebuilding_gives_the_same_and_keeps_the_one_before(make_run, path, capsys):
    runs = [make_run(f"2026010{n}T000000.000000Z") for n in (1, 2, 3)]
    with History(path, create=True) as history:
        for folder in runs:
            import_run(history, folder)
    whole = dump(path)
    path.write_bytes(b"not a database" * 1000)
    results = str(path.parent)
    assert rppg_bench(["history", "--results", results]) == 2
    assert "rppg-bench history rebuild" in capsys.readouterr().err
    assert rppg_bench(["history", "rebuild", "--results", results]) == 0
    assert dump(path) == whole
    assert path.with_name("history.sqlite3.before").read_bytes().startswith(b"not a database")
    assert rppg_bench(["history", "rebuild", "--results", results]) == 0
    assert path.with_name("history.sqlite3.before").read_bytes().startswith(b"not a database")
    assert dump(path.with_name("history.sqlite3.before-2")) == whole
    record = next(runs[1].glob("local/**/*.json"))
    record.write_text("{")
    assert rppg_bench(["history", "rebuild", "--results", results]) == 1
    assert "left out" in capsys.readouterr().err
    assert len(dump(path)["runs"]) == 2


def broken(path, how):
    path.parent.mkdir(parents=True, exist_ok=True)
    if how == "no database":
        path.write_bytes(b"\0" * 5000 + b"x")
        return
    if how == "cut short":
        History(path, create=True).close()
        path.write_bytes(path.read_bytes()[:5000])
        return
    connection = sqlite3.connect(path)
    with connection:
        if how == "newer":
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            connection.execute("PRAGMA user_version = 99")
        else:
            connection.execute("CREATE TABLE cookies (id)")
    connection.close()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("no database", "broken"),
        ("cut short", "broken"),
        ("newer", "of version 99"),
        ("foreign", "another program's database"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_and_untouched(make_run, path, how, says, capsys):
    folder = make_run()
    broken(path, how)
    before = path.read_bytes()
    for more in ([], ["import", str(folder)]):
        assert rppg_bench(["history", *more, "--results", str(path.parent)]) == 2
        out, err = capsys.readouterr()
        assert not out and err.count("\n") == 1
        assert str(path) in err and says in err
    assert path.read_bytes() == before


def test_a_history_in_use_is_waited_for_and_then_said(make_run, path, monkeypatch):
    monkeypatch.setattr(store, "BUSY_S", 0.3)
    folder = make_run()
    History(path, create=True).close()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(UserError, match="in use by another process"):
        History(path, create=True)
    timer = threading.Timer(0.1, lambda: other.execute("COMMIT"))
    timer.start()
    with History(path, create=True) as history:
        assert import_run(history, folder) == 1
    timer.join()
    other.close()


def test_an_older_version_is_brought_up_to_date_with_all_that_is_in_it(make_run, path, monkeypatch):
    folder = make_run()
    with History(path, create=True) as history:
        import_run(history, folder)
    before = dump(path)
    added = "ALTER TABLE runs ADD COLUMN note TEXT;\nCREATE TABLE notes (id INTEGER);\n"

    def know(*steps):
        for module in (schema, store):
            monkeypatch.setattr(module, "STEPS", steps)

    known = schema.STEPS
    know(*known, added)
    with History(path) as history:
        assert history.select("SELECT note FROM runs")[0]["note"] is None
        assert history.select("PRAGMA user_version")[0][0] == len(known) + 1
    after = dump(path)
    rows = [json.loads(row) for row in after["runs"]]
    after["runs"] = [json.dumps({k: v for k, v in r.items() if k != "note"}) for r in rows]
    assert after == before
    know(*known, added, "CREATE TABLE more (id INTEGER);\nSELECT * FROM nowhere;\n")
    with pytest.raises(UserError, match="nowhere"):
        History(path)
    know(*known, added)
    with History(path) as history:
        assert not history.select("SELECT * FROM sqlite_master WHERE name = 'more'")


KILLED = """
import os, signal, sys
from pathlib import Path
from harness.history import store
from harness.history.filling import import_run
from harness.history.store import History

left = int(sys.argv[1])
execute = History._execute

def counted(self, *arguments):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return execute(self, *arguments)

History._execute = counted
with History(Path(sys.argv[2]), create=True) as history:
    import_run(history, Path(sys.argv[3]))
print("done")
"""


def test_a_process_killed_while_it_writes_leaves_all_or_nothing_of_a_run(make_run, path):
    first, second = make_run(), make_run("20260102T000000.000000Z", ("float32", "int8"))
    with History(path, create=True) as history:
        import_run(history, first)
    before, seen = dump(path), set()
    copy = path.with_name("copy.sqlite3")
    for statements in (0, 3, 20, 60, 110, 10_000):
        shutil.copy(path, copy)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(statements), str(copy), str(second)],
            capture_output=True,
            text=True,
            check=False,
        )
        after = dump(copy)
        seen.add("done" in done.stdout)
        assert (after == before) != ("done" in done.stdout)
        with History(copy, create=True) as history:
            import_run(history, second)
        whole = dump(copy)
        assert len(whole["runs"]) == 2 and len(whole["recordings"]) == 9
    assert seen == {True, False}


def test_a_case_that_was_cut_off_says_so(make_run, path, capsys):
    folder = make_run(finished=False)
    content = json.loads((folder / RUN_FILE).read_text())
    (folder / RUN_FILE).write_text(json.dumps({**content, "cases": []}))
    with History(path, create=True) as history:
        import_run(history, folder)
        (one,) = by_case(points(history, {})).popitem()[1]
    assert not one.complete
    assert rppg_bench(["history", "--results", str(path.parent)]) == 0
    assert "cut off" in capsys.readouterr().out


def test_a_run_cut_off_before_its_first_record_is_in_it(tmp_path, path):
    folder = tmp_path / "results" / "run"
    write_run(folder, RunFile("2026-01-01T00:00:00+00:00", version="1"))
    with History(path, create=True) as history:
        assert import_run(history, folder) == 0
        assert [row["finished"] for row in history.select("SELECT * FROM runs")] == [0]
    assert rppg_bench(["history", "rebuild", "--results", str(path.parent)]) == 0
    assert len(dump(path)["runs"]) == 1


def test_a_case_that_lacks_recordings_is_partial(make_run, path, capsys):
    case = Case("local", "made", "float32")
    whole = make_run(planned={case: 3})
    less = make_run("20260102T000000.000000Z", planned={case: 12}, slower=2.0)
    old = make_run("20260103T000000.000000Z", slower=3.0)
    with History(path, create=True) as history:
        for folder in (whole, less, old):
            import_run(history, folder)
        assert [one.whole for one in points(history, {})] == [True, False, True]
        assert [one.planned for one in points(history, {})] == [3, 12, None]
    assert rppg_bench(["history", "--results", str(path.parent)]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("26-")]
    assert "partial" in rows[1] and " 3/12 " in rows[1] and "+100" not in rows[1]
    assert "pass" in rows[0] and "pass" in rows[2] and "+200" in rows[2], "against the whole one"


def test_a_history_of_before_it_knew_what_was_planned(make_run, path):
    """The first version, with what was in it, is brought up to date and says nothing new."""
    folder = make_run()
    with History(path, create=True) as history:
        import_run(history, folder)
    connection = sqlite3.connect(path)
    with connection:
        for column in ("planned", "pace"):
            connection.execute(f"ALTER TABLE cases DROP COLUMN {column}")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    with History(path) as history:
        (one,) = points(history, {})
    assert one.whole and one.planned is None and one.pace == "fast" and one.figures["mae_bpm"] > 0
