"""The history on the page: the runs before, as charts, with what makes them comparable."""

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from made_records import make_record, write_records

from harness.cli import main as rppg_bench
from harness.history.filling import import_run
from harness.history.store import HISTORY_FILE, History
from harness.reports.page.charts_history import trend_chart
from harness.reports.page.history import LAST, read_history
from harness.run_file import RunFile, write_run
from harness.verdicts.outcome import GateResult, Outcome
from harness.verdicts.thresholds import Case

CASE = Case("local", "made[*]", "float32")
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def put_run(
    results,
    number,
    slower=1.0,
    outcome=Outcome.PASS,
    clips=("a", "b"),
    detector="haar",
    commit=None,
    unit="ns",
    **about,
):
    folder = results / f"run{number:03}"
    for clip in clips:
        record = make_record(clip, 70 + 9 * len(clip), dataset=CASE.dataset)
        record["detector"] = detector
        record["timings_unit"] = unit
        rows = record["result"]["timings_ns"]
        for stage, row in rows.items():
            rows[stage] = [round(one * slower) for one in row]
        write_records(folder, record)
    gate = GateResult("mae_bpm", 0.1, 0.5, outcome, "m")
    file = RunFile(
        (START + timedelta(days=number)).isoformat(),
        True,
        commit=commit or f"{number:02}c0ffee00",
        dirty=False,
        version="0.1.0",
        gates={CASE: (gate,)},
    )
    write_run(folder, replace(file, **about))
    with History(results / HISTORY_FILE, create=True) as history:
        import_run(history, folder)
    return folder


def page(folder, *more):
    assert rppg_bench(["page", str(folder), *more]) == 0
    return (folder / "report.html").read_text()


def section(text):
    found = re.search(r'<section id="history".*?</section>', text, re.S)
    return found[0] if found else ""


def test_error_and_time_are_drawn_over_runs_with_their_commits(tmp_path):
    for number in range(3):
        folder = put_run(tmp_path, number, slower=1 + number)
    said = section(page(folder))
    assert "Mean absolute error, bpm" in said and "Time a frame, ms" in said
    labels = re.findall(r'aria-label="(time a frame over 3 runs[^"]*)"', said)
    assert labels == [
        "time a frame over 3 runs. Oldest first, in ms: 00c0ffe 5.000, 01c0ffe 10.000, "
        "02c0ffe 15.000."
    ]
    assert said.count("<tr>") == 4 and ">2026-01-03 00:00<" in said
    assert '<a href="#history">' in (folder / "report.html").read_text()


def test_a_first_run_has_no_history(tmp_path):
    assert section(page(put_run(tmp_path, 0))) == ""


def test_only_runs_before_this_one_are_its_history(tmp_path):
    folders = [put_run(tmp_path, number) for number in range(3)]
    said = section(page(folders[1]))
    assert "over 2 runs" in said and "02c0ffe" not in said


def test_the_last_runs_are_shown_and_no_more(tmp_path):
    for number in range(LAST + 3):
        folder = put_run(tmp_path, number, clips=("a",))
    said = section(page(folder))
    assert f"over {LAST} runs" in said and "02c0ffe " not in said and "03c0ffe" in said


@pytest.mark.parametrize(
    "other",
    [
        {"detector": "yunet"},
        {"command": ("--pace", "realtime")},
        {"command": ("--pace=realtime",)},
        {"command": ("--minutes=5",)},
    ],
)
def test_what_was_measured_otherwise_is_not_beside_it(tmp_path, other):
    put_run(tmp_path, 0, **other)
    put_run(tmp_path, 1)
    said = section(page(put_run(tmp_path, 2)))
    assert "over 2 runs" in said and "00c0ffe" not in said


def test_a_run_says_by_colour_and_shape_how_it_was_judged(tmp_path):
    put_run(tmp_path, 0, outcome=Outcome.FAIL)
    put_run(tmp_path, 1, outcome=Outcome.INCONCLUSIVE)
    said = section(page(put_run(tmp_path, 2)))
    for key, outcome in (("t-fail", "fail"), ("t-unsure", "inconclusive"), ("t-pass", "pass")):
        marks = re.findall(rf'<path class="{key}" d="[^"]*" transform[^>]*><title>([^<]*)', said)
        assert len(marks) == 2 and all(mark.endswith(outcome) for mark in marks)
    assert said.count("chip ") == 3


def test_other_recordings_are_said(tmp_path):
    put_run(tmp_path, 0, clips=("a",))
    assert "Not all of these runs had as many recordings" in section(page(put_run(tmp_path, 1)))


def test_another_machine_is_marked_in_the_charts_and_said(tmp_path):
    folders = [put_run(tmp_path, number) for number in range(2)]
    with History(tmp_path / HISTORY_FILE, create=True) as history:
        history._connection.execute("UPDATE cases SET cpu = 'other' WHERE run = 1")
    said = section(page(folders[1]))
    assert said.count('class="break"') == 2
    assert "Dotted, from 01c0ffe on: another processor." in said


def test_a_broken_history_costs_no_page_unless_it_was_asked_for(tmp_path, capsys):
    folder = put_run(tmp_path, 0)
    broken = tmp_path / HISTORY_FILE
    broken.write_bytes(b"no database" * 100)
    assert "It could not be read" in section(page(folder))
    assert rppg_bench(["page", str(folder), "--history", str(broken)]) == 2
    assert rppg_bench(["page", str(folder), "--history", str(tmp_path / "none")]) == 2
    assert "no history there" in capsys.readouterr().err


def test_another_file_may_be_named(tmp_path):
    for number in range(2):
        folder = put_run(tmp_path, number)
    elsewhere = tmp_path / "kept" / "h.sqlite3"
    elsewhere.parent.mkdir()
    (tmp_path / HISTORY_FILE).rename(elsewhere)
    assert section(page(folder)) == ""
    assert "over 2 runs" in section(page(folder, "--history", str(elsewhere)))


def test_work_is_never_called_time(tmp_path):
    put_run(tmp_path, 0, unit="instructions")
    said = section(page(put_run(tmp_path, 1, unit="instructions")))
    assert "Work a frame, M instructions" in said and "in M instructions: 00c0ffe 5.000" in said
    assert " ms" not in said and "Time" not in said


def test_a_flat_course_is_not_blown_up(tmp_path):
    for number, slower in enumerate((1.0, 1.001)):
        folder = put_run(tmp_path, number, slower=slower)
    found = read_history(tmp_path / HISTORY_FILE, folder, [CASE], wanted=True)
    [trend] = found.trends
    marks = re.findall(r'class="t-pass"[^>]*translate\([\d.]+ ([\d.]+)\)', trend.charts[1][1])
    assert len(marks) == 2 and abs(float(marks[0]) - float(marks[1])) < 3


def test_a_run_without_the_figure_leaves_a_gap():
    assert "over 0 runs" in trend_chart([], "mae_bpm", "MAE", "bpm")
