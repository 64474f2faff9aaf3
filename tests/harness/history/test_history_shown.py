"""The trend in a terminal, as JSON and as CSV: only what was measured alike is compared."""

import csv
import io
import json

import pytest

from harness.cli import main as rppg_bench
from harness.history.filling import import_run
from harness.history.store import History
from harness.history.trend import pace_of

PACED = ("--pace", "realtime", "--minutes=30")


@pytest.fixture
def shown(make_run, tmp_path, monkeypatch, capsys):
    """`shown(runs, *options)` is what `history` says of runs made with these arguments."""
    monkeypatch.setenv("COLUMNS", "80")

    def show(runs, *options):
        results = tmp_path / "results"
        with History(results / "history.sqlite3", create=True) as history:
            for day, about in enumerate(runs, 1):
                import_run(history, make_run(f"202601{day:02}T000000.000000Z", **about))
        assert rppg_bench(["history", "--results", str(results), *options]) == 0
        return capsys.readouterr().out

    (tmp_path / "results").mkdir()
    return show


def rows_of(out):
    return [line.split() for line in out.splitlines() if line.startswith("26-")]


def test_a_run_of_another_pace_is_not_compared(shown):
    runs = [{}, {"command": PACED, "slower": 3.0}, {"slower": 2.0}, {"command": PACED}]
    out = shown(runs)
    rows = rows_of(out)
    changes = [row[7] for row in rows]
    assert changes == ["-", "-", "+100", "-66.7"], "since the last one of its pace"
    below = [line.strip() for line in out.splitlines() if line.startswith("realtime")]
    assert below == ["realtime 30 min"] * 2 and max(map(len, out.splitlines())) <= 80
    assert all(row[-1] == "pass" for row in rows)
    assert "frame  ▁ █  fast, 3 recordings" in out
    assert "frame   █ ▁ realtime 30 min, 3 recordings" in out
    assert "since the last run above of the same pace and recordings" in out
    assert "from 2026-01-02 00:00 with another pace" in out


def test_the_records_say_the_pace_where_the_command_does_not(shown):
    said = {"pace": "2x", "sustained": {"asked_minutes": 5.0, "minutes": []}}
    slow = {"said": said, "slower": 2.0}
    out = shown([{}, slow, {}])
    assert [row[7] for row in rows_of(out)] == ["-", "-", "+0.0"]
    assert out.count("\n2x 5 min ") == 1 and "with another pace" in out


def test_a_run_of_other_recordings_is_not_compared(shown):
    out = shown([{}, {"clips": {"a": 62.0, "d": 90.0, "e": 100.0}, "slower": 2.0}])
    assert [row[5:8:2] for row in rows_of(out)] == [["-", "-"], ["-", "-"]]
    assert "with another set of recordings" in out and "▁" not in out


def test_runs_alike_are_compared_as_ever(shown):
    out = shown([{}, {"slower": 2.0}])
    assert rows_of(out)[1][7] == "+100" and "frame  ▁█\n" in out
    assert "pace" not in out and "another" not in out


def test_the_pace_is_in_json_and_csv(shown):
    runs = [{}, {"command": PACED}]
    said = json.loads(shown(runs, "--json"))
    assert [one["pace"] for one in said] == ["fast", "realtime 30 min"]
    table = csv.DictReader(io.StringIO(shown([], "--csv")))
    assert [row["pace"] for row in table] == ["fast", "realtime 30 min"]


@pytest.mark.parametrize(
    ("command", "pace"),
    [
        ([], "fast"),
        (["benchmarks/", "--pace=2x"], "2x"),
        (["--pace", "fast"], "fast"),
        (["--minutes", "5"], "fast 5 min"),
    ],
)
def test_how_frames_came_by_the_command(command, pace):
    assert pace_of(json.dumps(command)) == pace
