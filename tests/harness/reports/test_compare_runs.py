"""`rppg-bench compare`: one run against another, from records alone."""

import copy
import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from made_records import make_record, write_records

from harness.cli import main as rppg_bench
from harness.run_file import RunFile, write_run
from harness.verdicts.thresholds import Case

COUNT = 10
CASE = Case("local", "made", "float32")


def run_of(
    folder, *, off=0.0, slower=1.0, variant="float32", unit=None, board="local", count=COUNT
):
    """Write ten records of which each is so far off and so much slower."""
    for n in range(count):
        record = copy.deepcopy(make_record(f"s{n}", 60.0 + 4 * n, variant="float32", noise=0.1))
        record["campaign"].update(variant=variant, board=board)
        result = record["result"]
        result["bpm"] = record["campaign"]["reference_bpm"] + 0.1 + off + 0.01 * (n % 3)
        for stage, row in result["timings_ns"].items():
            result["timings_ns"][stage] = [round(one * slower * (1 + 0.002 * n)) for one in row]
        if unit:
            record["timings_unit"] = unit
        write_records(folder, record)
    return str(folder)


@pytest.fixture
def said(capsys):
    def compare(*arguments):
        status = rppg_bench(["compare", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return compare


def test_a_run_against_itself_is_as_good(tmp_path, said):
    folder = run_of(tmp_path / "a")
    status, out, _ = said(folder, folder)
    assert status == 0
    assert "FAIL" not in out and "unsure" not in out
    assert "synthetic" in out


def test_worse_heart_rates_fail_and_slower_stages_fail(tmp_path, said):
    good = run_of(tmp_path / "good")
    status, out, _ = said(good, run_of(tmp_path / "off", off=0.8), "--format", "json")
    found = by_what(out)
    assert status == 1
    assert found["error, all"]["verdict"] == "fail"
    assert found["error, all"]["difference"] == pytest.approx(0.8, abs=1e-6)
    assert found["error, low"]["verdict"] == "pass", "a group may grow worse by 1 bpm"
    assert found["all stages"]["verdict"] == "pass"
    status, out, _ = said(good, run_of(tmp_path / "slow", slower=1.1), "--format", "markdown")
    assert status == 1
    assert re.search(r"\| all stages, ms \| 5.04 \| 5.5\d \| \+10.0 % \|", out)
    assert "| error, all, bpm | 0.109 | 0.109 | +0.000 bpm |" in out
    assert out.count("no person was measured") == 1


@pytest.mark.parametrize(
    ("unit", "note"),
    [
        (None, "ms: geometric means over recordings, which changes are of"),
        ("instructions", "M instr: geometric means over recordings; changes are means of each"),
    ],
)
def test_it_says_which_means_its_figures_are(tmp_path, said, unit, note):
    old, new = (run_of(tmp_path / name, unit=unit) for name in "ab")
    assert note in " ".join(said(old, new)[1].split())
    assert note in said(old, new, "--format", "markdown")[1]


def test_variants_of_one_run_are_named_by_a_pattern(tmp_path, said):
    run_of(tmp_path / "a")
    run_of(tmp_path / "a", variant="int8", off=0.1)
    status, out, _ = said(f"{tmp_path}/a:*/*/float32", f"{tmp_path}/a:*/*/int8")
    assert status == 0
    assert "local / made / int8, against local / made / float32" in out
    status, _, err = said(f"{tmp_path}/a:*/*/float64", f"{tmp_path}/a")
    assert status == 2 and "no such case" in err and "local/made/int8" in err
    assert said(f"{tmp_path}/a:int8", f"{tmp_path}/a")[0] == 2


def test_instructions_are_never_held_against_milliseconds(tmp_path, said):
    here = run_of(tmp_path / "a")
    there = run_of(tmp_path / "b", unit="instructions", board="virtual")
    status, out, _ = said(here, there)
    assert status == 0
    assert "time: not comparable: instructions are no milliseconds" in out
    assert "all stages" not in out and "%" not in out.replace("99 % CI", "")


@pytest.mark.parametrize("margin", ["0", "-1", "nan"])
def test_a_margin_of_nothing_is_a_mistake(tmp_path, said, margin):
    folder = run_of(tmp_path / "a")
    status, _, err = said(folder, folder, f"--margin-bpm={margin}")
    assert status == 2 and "margin" in err


def edited(folder, name, change):
    """Change the record of one recording."""
    for path in folder.rglob("*.json"):
        record = json.loads(path.read_text())
        if record.get("campaign", {}).get("recording") == name:
            change(record)
            path.write_text(json.dumps(record))


def without_heart_rate(record):
    del record["result"]
    record.update(status="failed", error={"kind": "NoFaceError", "message": "no face"})


def by_what(out):
    return {one["what"]: one for one in json.loads(out)}


def test_what_has_no_heart_rate_any_more_fails(tmp_path, said):
    good, less = run_of(tmp_path / "a"), run_of(tmp_path / "b")
    edited(tmp_path / "b", "s3", without_heart_rate)
    status, out, _ = said(good, less)
    assert status == 1 and "FAIL: no heart rate any more: s3" in out
    status, out, _ = said(less, good)
    assert status == 0 and "a heart rate now, none before: s3" in out


def test_what_was_not_replayed_has_not_lost_its_heart_rate(tmp_path, said):
    good, less = run_of(tmp_path / "a"), run_of(tmp_path / "b")
    next((tmp_path / "b").rglob("*.json")).unlink()
    status, out, _ = said(good, less)
    assert status == 0
    assert "no heart rate any more" not in out and "unsure: not replayed: s" in out


def cut_off(folder, planned, judged=()):
    run = RunFile("2026-01-01T00:00:00+00:00", version="1", planned={CASE: planned})
    write_run(Path(folder), replace(run, gates=dict.fromkeys(judged, ())))
    return folder


@pytest.mark.parametrize("judged", [(), (CASE,)])
def test_a_run_that_is_not_whole_does_not_pass(tmp_path, said, judged):
    good, less = run_of(tmp_path / "a"), cut_off(run_of(tmp_path / "b"), 12, judged)
    for sides in ((good, less), (less, good)):
        status, out, _ = said(*sides, "--format", "json")
        lines = json.loads(out)
        assert status == 0 and {one["verdict"] for one in lines} == {"inconclusive"}
        assert "partial (10 of 12 recordings)" in lines[0]["remark"]
    status, out, _ = said(good, cut_off(run_of(tmp_path / "c", off=2.0), 12, judged))
    assert status == 1, "what is worse of what was replayed is worse"
    assert "pass" not in out.replace("can pass", "")
    cut_off(less, 10, (CASE,))
    assert "partial" not in said(good, less)[1]


def test_one_recording_passes_only_where_nothing_changed(tmp_path, said):
    one = run_of(tmp_path / "a", count=1)
    _, out, _ = said(one, run_of(tmp_path / "b", count=1), "--format", "json")
    error = by_what(out)["error, all"]
    assert (error["verdict"], error["remark"]) == ("pass", "equal")
    assert by_what(out)["all stages"]["verdict"] == "inconclusive"
    _, out, _ = said(one, run_of(tmp_path / "c", count=1, off=1e-6), "--format", "json")
    error = by_what(out)["error, all"]
    assert (error["verdict"], error["interval"]) == ("inconclusive", None)


def test_csv_has_a_row_for_each_line_of_the_json(tmp_path, said):
    sides = run_of(tmp_path / "a"), run_of(tmp_path / "b", off=0.2)
    rows = list(csv.DictReader(io.StringIO(said(*sides, "--format", "csv")[1])))
    found = json.loads(said(*sides, "--format", "json")[1])
    assert [row["what"] for row in rows] == [one["what"] for one in found]
    for row, one in zip(rows, found, strict=True):
        assert float(row["difference"]) == one["difference"]
        assert [row["low"], row["high"]] == list(map(str, one["interval"] or ("", "")))
        assert (row["verdict"], row["old_runs"]) == (one["verdict"], "a")


def test_sessions_of_one_side_put_what_runs_differ_by_into_the_interval(tmp_path, said):
    """Runs 8 % apart, equal on both sides: one of each seems slower, all of them do not."""
    apart = (1.0, 1.08, 0.96, 1.04)
    before = [run_of(tmp_path / f"a{n}", slower=by) for n, by in enumerate(apart)]
    after = [run_of(tmp_path / f"b{n}", slower=by) for n, by in enumerate(apart)]
    assert said(before[0], after[1])[0] == 1

    def of(count):
        sides = "+".join(before[:count]), "+".join(after[:count])
        status, out, _ = said(*sides, "--format", "json")
        return status, by_what(out)["all stages"]

    for count in (2, 3, 4):
        status, line = of(count)
        low, high = line["interval"]
        assert status == 0 and line["verdict"] == "inconclusive" and high - low > 10
        assert line["old_runs"] == [f"a{n}" for n in range(count)]
        assert line["recordings"] == COUNT and line["subjects"] == COUNT * count
    assert said("+".join(before), "+".join(after))[0] == 0
    steady = "+".join(run_of(tmp_path / f"c{n}") for n in range(3))
    slow = "+".join(run_of(tmp_path / f"d{n}", slower=1.1) for n in range(3))
    assert said(steady, slow)[0] == 1, "what is slower in every run is slower"
    assert said(steady, steady)[0] == 0


def test_errors_of_sessions_are_averaged(tmp_path, said):
    sides = "+".join(run_of(tmp_path / f"a{n}", off=n) for n in (0, 1)), run_of(tmp_path / "b")
    status, out, _ = said(*sides, "--format", "json")
    assert status == 0
    assert by_what(out)["error, all"]["difference"] == pytest.approx(-0.5, abs=1e-6)
    assert by_what(out)["error, all"]["recordings"] == COUNT


def test_sessions_of_other_models_are_refused_and_cut_off_ones_left_out(tmp_path, said):
    one, other = run_of(tmp_path / "a"), run_of(tmp_path / "b")
    for n in range(COUNT):
        edited(tmp_path / "b", f"s{n}", lambda record: record.update(detector="yunet"))
    status, _, err = said(f"{one}+{other}", one)
    assert status == 2 and "differ in detector" in err and err.count("\n") == 1
    third = cut_off(run_of(tmp_path / "c", slower=2.0), 12)
    _, out, _ = said(one, f"{run_of(tmp_path / 'd')}+{third}")
    assert "left out, not whole: c (10 of 12 recordings)" in out and "now: d" in out


def test_boards_and_variants_are_paired_by_what_they_share(tmp_path, said):
    for board in ("local", "pi"):
        for variant in ("float32", "int8"):
            run_of(tmp_path / "a", board=board, variant=variant)
    run = tmp_path / "a"

    def pairs(*sides):
        found = json.loads(said(*sides, "--format", "json")[1])
        return {(one["old"], one["new"]) for one in found}

    assert pairs(f"{run}:local/*/*", f"{run}:pi/*/*") == {
        ("local / made / float32", "pi / made / float32"),
        ("local / made / int8", "pi / made / int8"),
    }
    assert pairs(f"{run}:*/*/float32", f"{run}:*/*/int8") == {
        ("local / made / float32", "local / made / int8"),
        ("pi / made / float32", "pi / made / int8"),
    }
    first = f"{run}:local/*/float32"
    assert len(pairs(first, str(run))) == 3, "not held against itself"


def test_other_references_are_refused(tmp_path, said):
    one, other = run_of(tmp_path / "a"), run_of(tmp_path / "b")
    edited(tmp_path / "b", "s1", lambda record: record["campaign"].update(reference_bpm=71.0))
    status, out, _ = said(one, other)
    assert status == 0 and "not comparable: other reference heart rates (s1)" in out
    assert "error, all" not in out


def test_times_are_invalid_where_the_board_was_busier(tmp_path, said):
    def busy(folder, cores, **how):
        run_of(folder, **how)
        for n in range(COUNT):
            edited(folder, f"s{n}", lambda r: r.update(health={"foreign_cores": cores}))
        return str(folder)

    quiet = busy(tmp_path / "a", 0.1)
    status, out, _ = said(quiet, busy(tmp_path / "b", 1.4, slower=1.5))
    assert status == 0 and "FAIL" not in out
    assert "invalid: other programs kept 0.1 cores busy then and 1.4 now" in out
    status, out, _ = said(quiet, busy(tmp_path / "c", 1.4))
    assert "invalid < 5" in out, "and as good it is not either"
    status, out, _ = said(quiet, busy(tmp_path / "d", 0.2, slower=1.5))
    assert status == 1 and "invalid" not in out


def test_instructions_are_what_they_are_and_held_against_the_margin_alone(tmp_path, said):
    counted = {"unit": "instructions"}
    old = run_of(tmp_path / "old", **counted)
    status, out, _ = said(old, run_of(tmp_path / "little", slower=1.004, **counted))
    assert status == 0 and "FAIL" not in out and "M instr do not vary" in out
    status, out, _ = said(old, run_of(tmp_path / "more", slower=1.006, **counted))
    assert status == 1 and "FAIL < 0.5" in out
