"""A campaign fills the history as it goes; killed anywhere, it is readable and can be resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_history_store import dump

from harness.cli import main as rppg_bench
from harness.history.store import History
from harness.run_file import read_run

pytestmark = pytest.mark.board

HERE = Path(__file__).parents[3]
COMMON = ("test_accuracy.py", "--dataset=tiny", "--detector=haar", "--thresholds=lenient.yaml")
# What is written last before the campaign is killed, and what of it the history then has: rows of
# recordings, whether the case is complete, verdicts.
POINTS = {
    "plan": (0, None, 0),
    "half a record": (0, None, 0),
    "first record": (0, None, 0),
    "first row": (1, False, 0),
    "half a case": (2, False, 0),
    "case": (2, True, 0),
    "verdict": (2, True, 1),
}

KILLER = """
import os, signal
from pathlib import Path
from harness import run_log
from harness.history.store import History
from harness.journal import Journal

point = os.environ["KILLED_AFTER"]
seen = []

def killed(cls, name, *points):
    whole = getattr(cls, name)
    def then(*arguments, **more):
        done = whole(*arguments, **more)
        seen.append(name)
        place = min(seen.count(name), len(points)) - 1
        if points[place] == point:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    setattr(cls, name, then)

def killed_before(owner, name, which, then):
    whole = getattr(owner, name)
    def first(*arguments, **more):
        if point == then and which(*arguments):
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*arguments, **more)
    setattr(owner, name, first)

is_record = lambda source, target: "local" in Path(target).parts
killed_before(os, "replace", is_record, "half a record")
killed_before(Path, "replace", is_record, "half a record")
at_case = lambda self, query, *more: "figures" in query and "INSERT" in query
killed_before(History, "_execute", at_case, "half a case")
killed(run_log.RunLog, "begins", "plan", "-")
killed(Journal, "write", "first record", "-")
killed(History, "put_recording", "first row", "-")
killed(History, "put_case", "case", "verdict")
"""


def campaign(project, *more, killed_after=None):
    search = os.pathsep.join((".", str(HERE)))
    environment = {**os.environ, "KILLED_AFTER": killed_after or "", "PYTHONPATH": search}
    command = [sys.executable, "-m", "pytest", *COMMON, *more]
    if killed_after:
        command += ["-p", "killer"]
    return subprocess.run(
        command, cwd=project.path, env=environment, capture_output=True, text=True, check=False
    )


def answers(folder):
    """What a run says of accuracy: all of it must be the same however often it was killed."""
    found = {}
    for path in sorted(folder.rglob("*.json")):
        record = json.loads(path.read_text())
        if "campaign" not in record:
            continue
        result, campaign = record["result"], record["campaign"]
        same = ("bpm", "snr_db", "derivative", "pulse", "boxes", "lost_frames", "time_s")
        found[campaign["recording"]] = {name: result[name] for name in same} | {
            "reference": campaign["reference_bpm"], "truth": campaign["truth"],
            "model": record["model"], "video": campaign["video"],
        }  # fmt: skip
    return found


def errors(history):
    """The accuracy figures of the newest run in a history."""
    with History(history) as opened:
        rows = opened.select(
            'SELECT figures.name, value, low, high FROM figures JOIN cases ON cases.id = "case" '
            "WHERE run = (SELECT max(id) FROM runs) AND figures.name NOT GLOB '*ms*' "
            "AND figures.name NOT GLOB 'share*' AND figures.name NOT GLOB '*factor' "
            "AND figures.name NOT GLOB 'peak*' ORDER BY figures.name"
        )
    return [tuple(row) for row in rows]


def readable(folder, capsys):
    """Whatever was killed can be shown, and is never taken for whole."""
    capsys.readouterr()
    records = list(folder.glob("local/**/*.json"))
    for command in ("report", "export", "targets", "compare"):
        more = {
            "export": ["--format=csv"],
            "targets": ["--no-picture"],
            "compare": [str(folder), "--format=json"],
        }
        status = rppg_bench([command, str(folder), *more.get(command, [])])
        out, err = capsys.readouterr()
        assert status == (0 if records else 2), out + err
        if records and not read_run(folder).gates:
            assert "partial" in out + err
            assert command != "compare" or '"pass"' not in out


def test_killed_at_any_point_it_is_readable_and_goes_on(project, capsys):
    """One campaign, killed and resumed again and again until it is through."""
    calm = campaign(project, "--results=calm")
    assert calm.returncode == 0, calm.stdout + calm.stderr
    project.path.joinpath("killer.py").write_text(KILLER)
    history, where, kept = project.path / "out" / "history.sqlite3", "--results=out", {}
    for point, expected in POINTS.items():
        done = campaign(project, where, killed_after=point)
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
        (folder,) = project.path.glob("out/2*")
        where = f"--resume={folder}"
        assert not read_run(folder).finished
        with History(history) as opened:
            (run,) = opened.select("SELECT finished FROM runs")
            rows = len(opened.select("SELECT * FROM recordings"))
            gates = len(opened.select("SELECT * FROM gates"))
            complete = [bool(row["complete"]) for row in opened.select("SELECT * FROM cases")]
        assert (rows, *(complete or [None]), gates) == expected and not run["finished"]
        assert rppg_bench(["history", f"--history={history}"]) == (0 if complete else 2)
        readable(folder, capsys)
        records = {path: path.read_bytes() for path in folder.glob("local/**/*.json")}
        assert kept.items() <= records.items(), "what came back is not touched"
        kept = records
    done = campaign(project, where)
    assert done.returncode == 0 and done.stderr.count(" kept: ") == 2, done.stdout + done.stderr
    assert read_run(folder).finished
    (undisturbed,) = project.path.glob("calm/2*")
    assert len(answers(folder)) == 2 and answers(folder) == answers(undisturbed)
    assert errors(history) == errors(project.path / "calm" / "history.sqlite3") != []
    compared = ["compare", str(undisturbed), str(folder), "--format", "json"]
    capsys.readouterr()
    rppg_bench(compared)
    lines = json.loads(capsys.readouterr().out)
    said = {one["what"]: one["remark"] for one in lines}
    assert said["error, all"] == "equal" and "recordings" not in said

    filled = dump(history)
    assert rppg_bench(["history", "rebuild", "--results", str(history.parent)]) == 0
    assert dump(history) == filled, "filled as it went, it is the same as from the records"
    capsys.readouterr()

    bad = project.path / "bad"
    bad.write_bytes(b"x" * 9000)
    done = campaign(project, where, "--history=bad")
    assert done.returncode == 0, "no history stops a run"
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("history: "))
    assert (
        line.startswith("history: bad: broken (") and f"rppg-bench history import {folder}" in line
    )
    assert bad.read_bytes() == b"x" * 9000


SHARES = (0.5, 0.7, 0.9)


def test_killed_from_outside_at_any_time_it_comes_to_the_same(project, capsys):
    """Killed by the clock, wherever that is, and resumed: nothing else than an undisturbed run."""
    start = time.monotonic()
    calm = campaign(project, "--results=calm", "--variant=float32,int8")
    took_s = time.monotonic() - start
    assert calm.returncode == 0, calm.stdout + calm.stderr
    where, history = "--results=out", project.path / "out" / "history.sqlite3"
    command = [sys.executable, "-m", "pytest", *COMMON, "--variant=float32,int8"]
    for share in SHARES:
        running = subprocess.Popen(
            [*command, where], cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(HERE)},
        )  # fmt: skip
        try:
            running.communicate(timeout=share * took_s)
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()
        for folder in project.path.glob("out/2*"):
            where = f"--resume={folder}"
        if history.exists():
            with History(history) as opened:
                assert len(opened.select("SELECT * FROM runs")) <= 1
                assert opened.select("PRAGMA integrity_check")[0][0] == "ok"
    done = campaign(project, where, "--variant=float32,int8")
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,), (undisturbed,) = project.path.glob("out/2*"), project.path.glob("calm/2*")
    for variant in ("float32", "int8"):
        ours, theirs = (answers(one / "local" / "tiny" / variant) for one in (folder, undisturbed))
        assert ours == theirs
    assert errors(history) == errors(project.path / "calm" / "history.sqlite3")
    filled = dump(history)
    assert rppg_bench(["history", "rebuild", "--results", str(history.parent)]) == 0
    assert dump(history) == filled
