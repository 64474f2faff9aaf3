"""Runs by what the history says of them: one is found, none and several are one clear line."""

import re
import shutil
from argparse import Namespace

import pytest

from harness.cli import main as rppg_bench
from harness.history.filling import import_run
from harness.history.store import History
from harness.run_selection import select, select_one
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError

ONE, TWO, OTHER = "a1" * 20, "a2" * 20, "b3" * 20


@pytest.fixture
def results(make_run, tmp_path):
    """Five runs: two of one commit beside a changed checkout, one older, one of another branch."""
    path = tmp_path / "results" / "history.sqlite3"

    def add(day, commit, branch="main", variants=("float32",), dirty=False):
        name = f"2026010{day}T000000.000000Z"
        folder = make_run(name, variants, commit=commit, branch=branch, dirty=dirty)
        with History(path, create=True) as history:
            import_run(history, folder)

    add(1, ONE, variants=("float32", "int8"))
    add(2, TWO)
    add(3, TWO, dirty=True)
    add(4, TWO, variants=("float32", "int8"))
    add(5, OTHER, branch="feature/x")
    return path.parent


@pytest.fixture
def days(results):
    """`days(text)`: the days of the runs that are meant."""

    def found(text, how=select):
        selection = how(Namespace(results_dir=results, history=None), text)
        return [int(folder.name[7]) for folder in selection.folders]

    return found


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("latest", [5]),
        ("latest~0", [5]),
        ("latest~4", [1]),
        ("latest:*/*/int8", [4]),
        ("latest~1:local/*/int8", [1]),
        ("commit:a2", [2, 4]),
        ("commit:A2A2", [2, 4]),
        (f"commit:{ONE}", [1]),
        ("commit:a2:*/*/int8", [4]),
        ("branch:main", [2, 4]),
        ("branch:feature/x", [5]),
        ("branch:main:*/made/int8", [4]),
    ],
)
def test_what_a_selection_means(days, text, meant):
    assert days(text) == meant


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("latest~5", "has 5 such runs"),
        ("latest~2:*/*/int8", "has 2 such runs"),
        ("latest:*/*/float64", "no run of */*/float64"),
        ("commit:a", "ambiguous: a2a2a2a2a2a2, a1a1a1a1a1a1"),
        ("commit:c0", "no run of such a commit"),
        ("branch:main/x", "no run of this branch"),
        ("latest:int8", "after the colon comes BOARD/DATASET/VARIANT"),
        ("newest", "no such folder; give a run's folder, latest"),
    ],
)
def test_what_none_is_meant_by_is_one_line(days, results, text, says, capsys):
    with pytest.raises(UserError, match=re.escape(says)):
        days(text)
    for command in (["compare", "latest", text], ["report", text], ["targets", text]):
        assert rppg_bench([*command, "--results", str(results)]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_command_for_one_run_refuses_several(days):
    assert days("latest", select_one) == [5]
    with pytest.raises(UserError, match="ambiguous, 2 runs fit; name one of 20260104"):
        days("commit:a2", select_one)


def test_changed_files_count_only_where_there_is_nothing_else(days, results):
    for day in (2, 4):
        with History(results / "history.sqlite3", create=True) as history:
            history.forget_cases(results / f"2026010{day}T000000.000000Z")
    assert days("commit:a2") == [3]


def test_runs_are_found_where_the_results_were_moved_to(results, tmp_path):
    moved = results.rename(tmp_path / "moved")
    options = Namespace(results_dir=moved, history=None)
    assert select(options, "latest").folders[0].parent == moved
    shutil.rmtree(select(options, "latest").folders[0])
    with pytest.raises(UserError, match="its records are gone"):
        select(options, "latest")


def test_a_folder_is_meant_by_its_path(results, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = next(results.glob("2026*"))
    run.rename(tmp_path / "latest")
    options = Namespace(results_dir=results, history=None)
    assert select(options, "./latest:*/*/int8").fits(Case("local", "made", "int8"))
    assert len(select(options, "latest+./latest").folders) == 1, "one run is not two sessions"
    assert select(options, "latest").folders[0].name.startswith("2026")


def test_without_a_history_it_says_how_to_make_one(tmp_path, capsys):
    assert rppg_bench(["compare", "latest", "latest", "--results", str(tmp_path)]) == 2
    assert "rppg-bench history rebuild" in capsys.readouterr().err


def test_commits_are_compared_by_all_their_runs(results, capsys):
    where = ["--results", str(results)]
    assert rppg_bench(["compare", "commit:a1:*/*/float32", "commit:a2:*/*/float32", *where]) == 0
    out = capsys.readouterr().out
    assert "now: 2 runs of a2a2a2a" in out and "was: 20260101" in out
    assert rppg_bench(["report", "latest:*/*/int8", *where]) == 0
    out = capsys.readouterr().out
    assert "int8" in out and "float32" not in out


def test_a_page_of_a_part_does_not_take_the_place_of_the_whole(results, tmp_path, capsys):
    command = ["page", "latest:*/*/int8", "--results", str(results)]
    assert rppg_bench(command) == 2 and "-o FILE" in capsys.readouterr().err
    page = tmp_path / "part.html"
    assert rppg_bench([*command, "-o", str(page)]) == 0
    assert "int8" in page.read_text() and "float32" not in page.read_text()


@pytest.mark.parametrize(
    ("text", "tables"), [("latest", 1), ("latest~1", 2), ("commit:a2", 3), ("latest~1:*/*/int8", 1)]
)
def test_conditions_and_hops_take_what_a_report_takes(results, capsys, text, tables):
    there = ["--results", str(results)]
    rppg_bench(["conditions", text, *there, "--by=nothing"])
    assert "no recording has a condition 'nothing'" in capsys.readouterr().err
    rppg_bench(["hops", text, *there, "--host=nowhere"])
    said = capsys.readouterr().err.partition("there are: ")[2]
    assert said.count("local") == tables, said


def test_conditions_of_no_such_run_are_one_line(results, capsys):
    for command in ("conditions", "hops"):
        assert rppg_bench([command, "commit:ffff", "--results", str(results)]) == 2
        assert "no run of such a commit" in capsys.readouterr().err
