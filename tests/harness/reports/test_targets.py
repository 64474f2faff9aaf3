"""Boards and variants side by side: what is rated, what is not, and what the picture shows."""

import csv
import io
import json

import matplotlib.image
import pytest
from made_records import make_record, write_records

from harness.cli import main as rppg_bench
from harness.rating import targets_of
from harness.replays import load_cases
from harness.reports.plots.pareto import draw
from harness.run_file import RunFile, write_run
from harness.verdicts.thresholds import Case

CLIPS = {"a": 62.0, "b": 84.0, "c": 100.0}


def put(folder, variant, off, slower=1.0, *, board="local", unit=None, clips=CLIPS, joules=None):
    """Put records of a case that is so far off and takes 5 ms, or M instr, a frame so often."""
    for name, bpm in clips.items():
        record = make_record(name, bpm, variant=variant, noise=0.1)
        record["campaign"]["board"] = board
        record["result"]["bpm"] = bpm + off
        rows = record["result"]["timings_ns"]
        for stage, row in rows.items():
            rows[stage] = [round(one * slower) for one in row]
        if unit:
            record["timings_unit"] = unit
        if joules is not None:
            record["health"] = {"joules": joules}
        write_records(folder, record)


@pytest.fixture
def run(tmp_path):
    """Two on the front, one beaten, and one that counts instructions."""
    folder = tmp_path / "run"
    put(folder, "float32", 0.1, 2.0)
    put(folder, "int8", 0.3)
    put(folder, "naive", 0.4, 1.5)
    put(folder, "float32", 0.2, 0.1, board="virtual", unit="instructions")
    return folder


@pytest.fixture
def found(run, capsys):
    """`found(*options)`: the targets by board and variant, as JSON has them."""

    def of(*options):
        assert rppg_bench(["targets", str(run), "--format=json", "--no-picture", *options]) == 0
        rows = json.loads(capsys.readouterr().out)
        return {(one["board"], one["variant"]): one for one in rows}

    return of


def front(rows):
    return {name for name, one in rows.items() if one["pareto"]}


FRONT = {("local", "float32"), ("local", "int8"), ("virtual", "float32")}


def test_instructions_are_rated_among_themselves(found):
    rows = found()
    assert front(rows) == FRONT
    counted = rows["virtual", "float32"]
    assert counted["unit"] == "minstr" and counted["figures"]["minstr_per_frame"] < 1
    assert "real_time_factor" not in counted["figures"]


def test_what_is_not_whole_is_not_on_the_front(run, found, capsys):
    put(run, "cut", 0.0, 0.5, clips={"a": 62.0})
    rows = found()
    assert front(rows) == FRONT
    assert rows["local", "cut"]["unrated"] == "heart rates of 1 recordings only, of 3 elsewhere"
    judged = dict.fromkeys((Case(b, "made", v) for b, v in FRONT), ())
    plan = {Case("local", "made", "cut"): 3, Case("local", "made", "naive"): 3}
    write_run(run, RunFile("now", version="1", planned=plan, gates=judged))
    rows = found()
    assert front(rows) == FRONT
    assert rows["local", "cut"]["unrated"] == "partial, 1 of 3 recordings"
    assert rows["local", "naive"]["unrated"] == "partial, cut off"
    assert rppg_bench(["targets", str(run), "--no-picture"]) == 0
    out = capsys.readouterr().out
    assert "local / made / cut: not compared: partial, 1 of 3 recordings" in out


def test_a_whole_run_counts_before_a_later_one_that_was_cut_off(run, tmp_path, capsys):
    later = tmp_path / "later"
    put(later, "int8", 9.0, clips={"a": 62.0})
    write_run(later, RunFile("now", version="1", planned={Case("local", "made", "int8"): 3}))
    command = ["targets", str(run), str(later), "--format=csv", "--no-picture"]
    assert rppg_bench(command) == 0
    out, err = capsys.readouterr()
    (row,) = [one for one in csv.DictReader(io.StringIO(out)) if one["variant"] == "int8"]
    assert float(row["mae_bpm"]) == pytest.approx(0.3) and "last whole one" in err


def test_energy_is_a_column_only_where_there_is_a_meter(run, capsys):
    command = ["targets", str(run), "--no-picture", "--format=markdown"]
    assert rppg_bench(command) == 0
    out = capsys.readouterr().out
    assert "J/s" not in out and "meter" not in out
    put(run, "metered", 0.5, joules=24.0)
    assert rppg_bench(command) == 0
    out = capsys.readouterr().out
    (row,) = [line for line in out.splitlines() if "metered" in line and line.endswith("2.00 |")]
    assert "| J/s |" in out and row.startswith("| local |")


@pytest.mark.parametrize("name", ["pareto.png", "pareto.svg"])
def test_one_picture_is_one_file(run, tmp_path, name, capsys):
    picture = tmp_path / name
    assert rppg_bench(["targets", str(run), "--picture", str(picture)]) == 0
    assert capsys.readouterr().err.strip() == str(picture)
    assert not (run / "plots").exists()
    if name.endswith("png"):
        assert matplotlib.image.imread(picture).std() > 0.05
    else:
        assert "<svg" in picture.read_text()


def test_a_picture_that_cannot_be_is_one_line(run, tmp_path, capsys):
    for name, says in (("x.gif", "ends with .png or .svg"), ("no/x.png", "cannot be written")):
        assert rppg_bench(["targets", str(run), "--picture", str(tmp_path / name)]) == 2
        assert says in capsys.readouterr().err


def test_the_picture_never_mixes_instructions_with_times(run):
    put(run, "cut", 0.0, 0.5, clips={"a": 62.0})
    figure = draw(targets_of(load_cases(run)))
    timed, counted = figure.axes
    assert "(ms)" in timed.get_xlabel() and "instructions" in counted.get_xlabel()

    def drawn(axes):
        """Where its points are, rings left out."""
        dots = [one for one in axes.collections if len(one.get_facecolors())]
        return {round(float(one.get_offsets()[0][0]), 2) for one in dots}

    assert drawn(timed) == {2.5, 5.0, 7.5, 10.0} and drawn(counted) == {0.5}
    low, high = timed.get_xlim()
    assert low < 2.5 and high > 10
    assert timed.get_ylim()[1] > 0.4, "no point lies on the edge"
    names = {one.get_text() for one in timed.texts}
    assert {"local float32", "local int8"} <= names and "local naive" not in names
    rings = [one for one in timed.collections if not len(one.get_facecolors())]
    assert len(rings) == 2
    hollow = [
        o for o in timed.collections if len(o.get_facecolors()) and o.get_facecolors().min() == 1
    ]
    assert [float(one.get_offsets()[0][0]) for one in hollow] == [2.5]
