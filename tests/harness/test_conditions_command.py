"""`rppg-bench conditions`: the table of a folder of records."""

import numpy as np
import pytest

from harness.cli import main
from rppg_core.pipeline import STAGES
from rppg_core.records import RECORD_SCHEMA, write_json


def record(folder, name, difficulty, bpm, model="good", light=0.4):
    """One replay of a truth of 70 bpm; None for one that gave no heart rate."""
    time_s = np.arange(0, 10, 0.25).tolist()
    result = {
        "bpm": bpm, "snr_db": 3.0, "duration_s": 10.0, "time_s": time_s, "searches": 4,
        "sightings": 3, "timings_ns": {stage: [1] * len(time_s) for stage in STAGES},
    }  # fmt: skip
    outcome = {"status": "ok", "result": result}
    if bpm is None:
        outcome = {"status": "failed", "error": {"kind": "NoFaceError", "message": "no face"}}
    seen = len(time_s) if bpm is not None else 0
    content = {
        "schema": RECORD_SCHEMA,
        "recording": name,
        "model": {"name": model},
        "detector": "haar",
        "settings": {"pulse": {"low_hz": 0.75, "high_hz": 2.5}},
        "surroundings": {
            "frames": len(time_s),
            "frames_with_face": seen,
            "time_s": time_s[:seen],
            "luminance": [light] * seen,
            "speed": [0.004] * seen,
        },
        **outcome,
        "campaign": {
            "board": "local", "dataset": "family", "variant": "float32", "synthetic": True,
            "recording": name, "subject": name, "reference_bpm": 70.0, "labels": "ppg-fft",
            "conditions": {"difficulty": difficulty, "motion": "still"},
        },
    }  # fmt: skip
    write_json(folder / f"{model}-{name}.json", content)


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    for name, difficulty, bpm, light in (
        ("a", "still", 70.5, 0.4),
        ("b", "dark", 75.0, 0.1),
        ("c", "dark", None, 0.1),
    ):
        record(tmp_path, name, difficulty, bpm, light=light)
    record(tmp_path, "a", "still", 99.0, "bad")
    return tmp_path


def test_each_model_has_a_table_with_what_was_measured(results, capsys):
    assert main(["conditions", str(results)]) == 0
    bad, good = capsys.readouterr().out.split("bad, haar")[1].split("good, haar")
    assert " no\n" in "".join(line.rstrip() + "\n" for line in bad.splitlines())
    (still,) = (line for line in good.splitlines() if line.strip().startswith("still "))
    assert still.split() == [
        "still",
        "1",
        "-",
        "0.50",
        "0.5",
        "3.0",
        "75",
        "100",
        "0.40",
        "0.004",
        "yes",
    ]
    (dark,) = (line for line in good.splitlines() if line.strip().startswith("dark "))
    assert dark.split()[:5] == ["dark", "2", "1", "5.00", "5.0"]
    assert "dark: 2 of 2 off by more or silent: " in good
    assert "luminance 0.10" in good
    assert "face in 0 % of frames" in good


def test_a_part_of_the_recordings(results, capsys):
    assert (
        main(["conditions", str(results), "--by", "motion", "--condition", "difficulty=dark"]) == 0
    )
    out = capsys.readouterr().out
    assert [line.split()[:2] for line in out.splitlines() if " still " in line] == [["still", "2"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "weather"], "no recording has a condition 'weather'; there are: difficulty"),
        (["--condition", "difficulty=fog"], "no recording of difficulty fog has a condition"),
        (["--condition", "dark"], "expected name=value"),
    ],
)
def test_a_condition_that_is_not_there_is_one_line(results, capsys, arguments, message):
    assert main(["conditions", str(results), *arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert err.count("\n") == 1
    assert out == ""
