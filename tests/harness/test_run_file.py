"""A run's own file: whole at any time, added to by several processes, never in the way."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checkout import Checkout, checkout_of
from harness.replays import CaseRun, load_cases
from harness.run_file import RUN_FILE, RunFile, read_run, write_run
from harness.run_log import RunLog
from harness.verdicts.intervals import Interval
from harness.verdicts.outcome import GateResult, Outcome
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError

CASE = Case("pi", "tiny", "int8")
numbers = st.floats(allow_nan=False, allow_infinity=False)
maybe = st.none() | numbers
gates = st.builds(
    GateResult,
    st.text(),
    maybe,
    maybe,
    st.sampled_from(Outcome),
    st.text(),
    maybe,
    st.none() | st.builds(Interval, numbers, numbers),
    st.none() | st.text(),
)
runs = st.builds(
    RunFile,
    st.text(),
    st.booleans(),
    st.none() | st.text(),
    st.none() | st.booleans(),
    st.none() | st.text(),
    st.lists(st.text()).map(tuple),
    st.text(),
    st.dictionaries(st.text(), st.dictionaries(st.text(), st.integers() | st.text())),
    st.dictionaries(st.builds(Case, st.text(), st.text(), st.text()), st.lists(gates).map(tuple)),
)


@given(run=runs)
def test_what_is_written_is_read(tmp_path_factory, run):
    folder = tmp_path_factory.mktemp("run")
    write_run(folder, run)
    assert read_run(folder) == run


def test_a_folder_without_one_is_an_old_run(tmp_path):
    assert read_run(tmp_path) is None


def test_a_figure_that_is_no_number_is_none(tmp_path):
    gate = GateResult("mae_bpm", float("nan"), float("inf"), Outcome.FAIL, "no number")
    write_run(tmp_path, RunFile("now", gates={CASE: (gate,)}))
    found = read_run(tmp_path).gates[CASE][0]
    assert (found.figure, found.threshold) == (None, None)


def whole():
    gate = GateResult("g", 1.0, 2.0, Outcome.PASS, "m", interval=Interval(0.0, 1.0))
    return RunFile("now", True, "abc", False, "main", ("-k", "x"), "1", {}, {CASE: (gate,)})


def changed(content, path, value):
    *above, last = path
    at = content
    for key in above:
        at = at[key]
    at[last] = value
    return content


@pytest.mark.parametrize(
    "path",
    [
        ("schema",),
        ("started",),
        ("finished",),
        ("dirty",),
        ("command",),
        ("boards",),
        ("cases",),
        ("cases", 0, "board"),
        ("cases", 0, "gates", 0, "figure"),
        ("cases", 0, "gates", 0, "outcome"),
        ("cases", 0, "gates", 0, "interval"),
    ],
)
def test_a_value_of_another_kind_is_one_line(tmp_path, path):
    write_run(tmp_path, whole())
    content = json.loads((tmp_path / RUN_FILE).read_text())
    (tmp_path / RUN_FILE).write_text(json.dumps(changed(content, path, [[]])))
    with pytest.raises(UserError) as caught:
        read_run(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / RUN_FILE))
    assert "\n" not in str(caught.value)


def test_processes_of_one_run_add_to_it(tmp_path):
    cases = [Case(f"board{i}", "tiny", "float32") for i in range(12)]

    def work(case):
        log = RunLog(tmp_path, tmp_path / "h", tmp_path, ("--board", case.board))
        log.begin({case.board: {"machine": "x"}})
        log.judged(CaseRun(case, True, (), {}, 0), ())
        return log.troubles

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, cases)) == [[]] * 12
    run = read_run(tmp_path)
    assert set(run.gates) == set(cases) and len(run.boards) == 12
    assert not run.finished
    RunLog(tmp_path, tmp_path / "h", tmp_path).finish()
    assert read_run(tmp_path) == replace(run, finished=True)


def test_a_resumed_run_keeps_its_start_and_verdicts(tmp_path):
    write_run(tmp_path, whole())
    RunLog(tmp_path, tmp_path / "h", tmp_path, ("--resume",)).begin({})
    run = read_run(tmp_path)
    assert (run.started, run.gates) == ("now", whole().gates)
    assert (run.finished, run.commit, run.command) == (False, None, ("--resume",))


def test_what_cannot_be_written_is_said_once(tmp_path):
    (tmp_path / "results").write_text("a file where the folder should be")
    log = RunLog(tmp_path / "results", tmp_path / "h", tmp_path)
    log.begin({})
    log.finish()
    assert len(log.troubles) == 1
    log = RunLog(tmp_path / "run", tmp_path / "results" / "history", tmp_path)
    log.begin({})
    log.finish()
    (line,) = log.troubles
    assert line.startswith("history: ") and "history import" in line
    assert read_run(tmp_path / "run").finished


def test_a_broken_file_is_made_anew_and_said(tmp_path):
    (tmp_path / RUN_FILE).write_text("{")
    log = RunLog(tmp_path, tmp_path / "h", tmp_path)
    log.judged(CaseRun(CASE, True, (), {}, 0), ())
    assert "it is written anew" in log.troubles[0]
    assert list(read_run(tmp_path).gates) == [CASE]


def test_the_commit_is_gits(tmp_path):
    def git(*words):
        config = ("-c", "user.name=a", "-c", "user.email=a@b")
        done = subprocess.run(
            ["git", *config, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    assert checkout_of(tmp_path) == Checkout()
    git("init", "-q", "-b", "trunk")
    (tmp_path / "file").write_text("1")
    git("add", ".")
    git("commit", "-qm", "first")
    head = git("rev-parse", "HEAD")
    (tmp_path / "results").mkdir()
    assert checkout_of(tmp_path) == Checkout(head, False, "trunk")
    (tmp_path / "file").write_text("2")
    assert checkout_of(tmp_path) == Checkout(head, True, "trunk")


def test_it_is_no_record(tmp_path):
    write_run(tmp_path, whole())
    with pytest.raises(UserError, match="no records in this folder"):
        load_cases(tmp_path)
