"""Exports that other programs read: pytest-benchmark itself, and any that reads CSV."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "reports"))

from made_records import make_record, write_records

from harness.cli import main as rppg_bench
from rppg_core.pipeline import STAGES


def put_run(folder, *, unit=None, board="local", fails=()):
    for n, name in enumerate(("a", "b", "c")):
        record = make_record(name, 62.0 + 10 * n, noise=0.1, fails=name in fails)
        record["campaign"]["board"] = board
        if unit:
            record["timings_unit"] = unit
        if "result" in record:
            for at, stage in enumerate(STAGES):
                row = record["result"]["timings_ns"][stage]
                record["result"]["timings_ns"][stage] = [one * (at + 1) + n * 1000 for one in row]
        write_records(folder, record)
    return str(folder)


def theirs(*arguments):
    command = [sys.executable, "-m", "pytest_benchmark", "compare", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_pytest_benchmark_reads_it(tmp_path, capsys):
    run, file = put_run(tmp_path / "run"), tmp_path / "run.json"
    assert rppg_bench(["export", run, "--format", "pytest-benchmark", "-o", str(file)]) == 0
    table = tmp_path / "table.csv"
    done = theirs(file, "--columns=mean,rounds,stddev", "--name=normal", f"--csv={table}")
    assert done.returncode == 0 and "Failed to load" not in done.stdout + done.stderr
    rows = {row["name"]: row for row in csv.DictReader(table.open())}
    assert len(rows) == len(STAGES)
    for at, stage in enumerate(STAGES):
        row = next(one for name, one in rows.items() if f"-{stage}]" in name)
        assert float(row["mean"]) == pytest.approx((at + 1) * 1e-3 + 1e-6)
        assert (float(row["stddev"]), row["rounds"]) == (pytest.approx(1e-6), "3")
    other = tmp_path / "other.json"
    other.write_bytes(file.read_bytes())
    done = theirs(file, other)
    assert done.returncode == 0 and done.stdout.count("[local-made-float32-predict]") == 2


@pytest.mark.board
def test_it_is_what_pytest_benchmark_wrote_itself(project, capsys):
    """The export of a campaign's records holds the same figures under the same names."""
    done = project.runpytest_subprocess(
        "test_latency.py", "--dataset=tiny", "--detector=haar", "--thresholds=lenient.yaml",
        "--results=out", "--benchmark-json=live.json",
    )  # fmt: skip
    assert done.ret == 0
    options = ["--format", "pytest-benchmark", "-o", "export.json", "--results", "out"]
    assert rppg_bench(["export", "latest", *options]) == 0
    live, ours = (json.loads(Path(name).read_text()) for name in ("live.json", "export.json"))
    assert [one["name"] for one in ours["benchmarks"]] == [o["name"] for o in live["benchmarks"]]
    for one, other in zip(ours["benchmarks"], live["benchmarks"], strict=True):
        assert one["group"] == other["group"]
        assert set(other["stats"]) <= set(one["stats"]) and set(other) <= set(one)
        assert one["stats"]["data"] == pytest.approx(other["stats"]["data"])
        assert one["stats"]["mean"] == pytest.approx(other["stats"]["mean"])


def test_instructions_are_left_out_as_no_time(tmp_path, capsys):
    put_run(tmp_path / "run")
    run = put_run(tmp_path / "run", unit="instructions", board="virtual")
    assert rppg_bench(["export", run, "--format", "pytest-benchmark"]) == 0
    out, err = capsys.readouterr()
    assert "virtual" not in out and len(json.loads(out)["benchmarks"]) == len(STAGES)
    assert "virtual / made / float32: left out: instructions are no time" in err
    command = ["export", f"{run}:virtual/*/*", "--format", "pytest-benchmark"]
    assert rppg_bench(command) == 2 and "no case has times" in capsys.readouterr().err


def test_csv_has_a_line_for_each_replay(tmp_path, capsys):
    put_run(tmp_path / "run", fails=("b",))
    run = put_run(tmp_path / "run", unit="instructions", board="virtual")
    assert rppg_bench(["export", run, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["board"], row["recording"]) for row in rows] == [
        (board, name) for board in ("local", "virtual") for name in "abc"
    ]
    assert {row["unit"] for row in rows[:3]} == {"ms"} and rows[3]["unit"] == "minstr"
    assert float(rows[0]["predict_per_frame"]) == pytest.approx(4.0)
    assert float(rows[2]["decode_per_frame"]) == pytest.approx(1.002)
    assert float(rows[3]["predict_per_frame"]) == pytest.approx(4.0)
    assert rows[1]["estimate_bpm"] == rows[1]["predict_per_frame"] == ""
    assert "no face" in rows[1]["error"] and rows[0]["synthetic"] == "True"


def test_where_it_cannot_be_written_is_one_line(tmp_path, capsys):
    run = put_run(tmp_path / "run")
    command = ["export", run, "--format", "csv", "-o", str(tmp_path / "none" / "x.csv")]
    assert rppg_bench(command) == 2
    assert "cannot be written" in capsys.readouterr().err
