"""`compare-models` as a user meets it: two real models over rendered clips."""

import json

import numpy as np
import pytest

from harness.cli import main
from harness.reports.comparison import Comparison, as_json, tables
from harness.reports.terminal import render
from harness.verdicts.fidelity import FidelityReport, Pair
from rppg_core import models
from rppg_core.model_card import attach_card, read_card

PULSE = np.sin(np.linspace(0, 60, 600))
NOISE = np.random.default_rng(3).normal(size=600)


@pytest.fixture
def datasets_file(clips, tmp_path):
    path = tmp_path / "datasets.yaml"
    path.write_text(
        f"tiny: {{kind: synthetic, clips: 2, seconds: 8, size: [320, 240], root: '{clips}'}}\n"
    )
    return path


def compare(datasets_file, *arguments):
    given = ["--dataset", "tiny", "--datasets", str(datasets_file), "--detector", "haar"]
    return main(["compare-models", *arguments, *given])


@pytest.mark.board
def test_two_real_models(models_folder, datasets_file, capsys):
    assert compare(datasets_file, "tscan-synthetic", "tscan-afrl/float32", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    size = models.tflite_file("tscan-synthetic")[1].stat().st_size
    assert said["a"] == {"model": "tscan-synthetic/float32", "bytes": size}
    assert said["synthetic"] is True
    assert [one["recording"] for one in said["recordings"]] == ["subject1", "subject2"]
    assert said["groups"]["all"]["n"] == 2
    assert 0.3 < said["groups"]["all"]["correlation"] < 0.99
    only = ["--recordings", "subject2"]
    assert compare(datasets_file, "tscan-synthetic", "tscan-synthetic", *only) == 0
    text = capsys.readouterr().out
    assert "subject2" in text and "subject1" not in text
    assert "1.0000" in text and "no person was measured" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["moon", "tscan-synthetic"], "unknown model 'moon'"),
        (["tscan-synthetic/int3", "tscan-synthetic"], "unknown variant 'int3'"),
        (["tscan-synthetic", "no.tflite"], "no.tflite: no such model file"),
        (["tscan-synthetic"] * 2 + ["--recordings", "x"], "dataset tiny: no recording named x"),
        (["tscan-synthetic"] * 2 + ["--dataset", "x"], None),
    ],
)
def test_a_mistake_is_one_line(datasets_file, capsys, arguments, says):
    if says is None:
        given = ["compare-models", *arguments, "--datasets", str(datasets_file)]
        status, says = main(given), "no dataset 'x'"
    else:
        status = compare(datasets_file, *arguments)
    assert status == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("rppg-bench: ") and says in line


def test_what_a_model_was_calibrated_with_is_refused_before_a_replay(
    datasets_file, tmp_path, capsys
):
    whole = models.tflite_file("tscan-synthetic")[1]
    about = {"dataset": "tiny", "subjects": ["subject2"], "recordings": {}}
    bare = whole.read_bytes()[: whole.read_bytes().rindex(b"PK\x03\x04")]
    (tmp_path / "seen.tflite").write_bytes(
        attach_card(bare, {**read_card(whole), "calibration": about})
    )
    both = ["tscan-synthetic", str(tmp_path / "seen.tflite")]
    assert compare(datasets_file, *both) == 2
    said = capsys.readouterr().err
    assert "subject2 of dataset tiny is of subject subject2, whom" in said
    assert "bpm" not in said
    assert compare(datasets_file, *both, "--recordings", "subject1") == 0


def found():
    pairs = (
        Pair("clip1", 60.0, 60.5, 60.6, PULSE, PULSE + 0.05 * NOISE),
        Pair("clip2", 100.0, 100.0, 120.0, PULSE, NOISE),
        Pair("clip3", 70.0, 90.0, 70.0, PULSE, PULSE),
    )
    return Comparison("a", "b", "d", True, FidelityReport(pairs, 50, 200), {"clip4": "no face"})


def test_groups_say_how_many_and_what_was_lost():
    groups = as_json(found())["groups"]
    assert {name: one["n"] for name, one in groups.items()} == {
        "all": 3,
        "low": 2,
        "middle": 0,
        "high": 1,
    }
    assert groups["high"]["lost"] == ["clip2"] and groups["low"]["lost"] == []
    assert groups["all"]["paired_bpm"] == pytest.approx(0.1)
    assert groups["middle"]["correlation"] is None
    assert groups["low"]["a_mae_bpm"] == pytest.approx(10.25)
    assert groups["low"]["b_mae_bpm"] == pytest.approx(0.3)
    json.dumps(as_json(found()), allow_nan=False)


def test_tables_fit_80_columns_and_hide_nothing():
    text = render(tables(found()), 80)
    assert "…" not in text and max(map(len, text.splitlines())) <= 80
    lines = [" ".join(line.split()) for line in text.splitlines()]
    lost = next(line for line in lines if line.startswith("clip2"))
    assert lost.startswith("clip2 100.0 100.00 120.00 20.000") and lost.endswith("LOST")
    assert any(line.startswith("clip3") and line.endswith("A off the pulse") for line in lines)
    assert "middle 0 - - - - - -" in lines
    assert "B b, 50 bytes, 25.0 % of A's" in lines
    assert "failed clip4: no face" in lines
    assert "no person was measured" in text
