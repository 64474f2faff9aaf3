"""Records on disk become cases: of one model each, none twice, none broken unnoticed."""

import json

import pytest
from made_records import make_record, write_records

from harness.cli import main as rppg_bench
from harness.replays import COMPARED_WITH, load_cases
from rppg_core.errors import UserError


def of_model(name: str, noise: float, clip: str = "a") -> dict:
    record = make_record(clip, 70.0, noise=noise)
    return {**record, "model": {"name": name}}


def test_the_float_model_beside_another_is_no_part_of_its_figures(tmp_path, capsys):
    """A model file that calls itself float32 is held against float32, and not mixed with it."""
    write_records(tmp_path, of_model("no-shift", noise=3.0))
    write_records(tmp_path / COMPARED_WITH, of_model("tscan-made/float32", noise=0.0))
    (case,) = load_cases(tmp_path)
    assert [one.record.raw["model"]["name"] for one in case.replays] == ["no-shift"]
    assert rppg_bench(["report", str(tmp_path)]) == 0
    assert "no-shift" in capsys.readouterr().out


def test_likeness_is_to_the_float_model_of_the_same_weights(tmp_path, capsys):
    int8 = make_record("a", 70.0, variant="int8", noise=1.0)
    write_records(tmp_path, int8, make_record("a", 70.0))
    assert rppg_bench(["report", str(tmp_path)]) == 0
    assert "Likeness to float32" in capsys.readouterr().out
    alone, beside = tmp_path / "alone", tmp_path / "beside"
    other = {**int8, "model": {"name": "tscan-other/int8"}}
    write_records(alone, other, make_record("a", 70.0))
    assert rppg_bench(["report", str(alone)]) == 0
    assert "Likeness to float32" not in capsys.readouterr().out
    write_records(beside, {**int8, "model": {"name": "a-file"}})
    write_records(beside / COMPARED_WITH, make_record("a", 70.0))
    assert rppg_bench(["report", str(beside)]) == 0
    assert "Likeness to float32" in capsys.readouterr().out


def test_two_runs_are_not_taken_for_one(tmp_path):
    for run in ("first", "second"):
        write_records(tmp_path / run, make_record("a", 70.0))
    with pytest.raises(UserError, match=r"'a' on .* is here twice; name one run's folder"):
        load_cases(tmp_path)


@pytest.mark.parametrize("command", ["report", "plots", "conditions"])
@pytest.mark.parametrize(
    "campaign", [3, {}, {"board": "local"}, {"reference_bpm": "x"}, {"recording": []}]
)
def test_a_broken_record_is_one_line(command, campaign, tmp_path, capsys):
    record = make_record("a", 70.0)
    whole = record["campaign"]
    broken = {**whole, **campaign} if campaign and isinstance(campaign, dict) else campaign
    if campaign == {"board": "local"}:
        broken = campaign
    (tmp_path / "a.json").write_text(json.dumps({**record, "campaign": broken}))
    assert rppg_bench([command, str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert f"{tmp_path / 'a.json'}: a broken record" in err


def test_the_report_says_whose_times_it_leaves_out(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    spoilt = make_record("b", 80.0)
    spoilt["timing"] = {"valid": False, "reasons": ["throttled: cooled by cpu"]}
    write_records(tmp_path, make_record("a", 70.0), spoilt)
    assert rppg_bench(["report", str(tmp_path)]) == 0
    assert "b: times not counted: throttled: cooled by cpu" in capsys.readouterr().out
