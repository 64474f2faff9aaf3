"""`rppg-bench selftest` as a person meets it, with real replays in sessions of their own."""

import io
from argparse import Namespace

import pytest
from rich.console import Console

from harness.cli import main
from harness.selftest import table
from harness.selftest_files import load_selftest
from harness.verdicts.latency import STAGES
from harness.verdicts.selftest import GateTest
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError


@pytest.mark.board
def test_a_board_is_held_against_itself_and_a_cut_off_test_goes_on(project, capsys, monkeypatch):
    monkeypatch.chdir(project.path)
    asked = ["selftest", "local", "--dataset=tiny", "--detector=haar", "--model=tscan-synthetic"]
    few = ["--sessions=4", "--baseline=2", "--repeats=50", "--thresholds=lenient.yaml"]
    assert main([*asked, *few, "--out=out", "--save", "--baselines=base"]) in (0, 1)
    first = capsys.readouterr()
    for shown in ("mae_increase_bpm", "slowdown_percent.predict", "0.00%", "4 sessions of 2"):
        assert shown in first.out, first.out
    assert first.err.count("float32: 2 to do") == 4
    kept = load_selftest(project.path / "base", "local")
    assert (kept.sessions, kept.recordings, kept.delegate) == (4, 2, "none")
    assert kept.session_sd_percent >= 0 and kept.gates["slowdown_percent"].detectable > 0
    (folder,) = project.path.glob("out/selftest-*")
    for record in (folder / "3").rglob("*.json"):
        record.unlink()
    assert main([*asked, *few, f"--resume={folder}"]) in (0, 1)
    again = capsys.readouterr()
    assert again.err.count("kept: ") == 6, "three sessions are whole, one is done again"


def test_a_table_of_eighty_columns_breaks_names_at_their_dots():
    gates = [f"slowdown_percent.{stage}" for stage in STAGES]
    gates += ["instructions_added_percent.preprocess", "mae_increase_bpm.middle"]
    tests = [GateTest(gate, "bpm", 0.5, 1000, 100, 1000, 0.1234, 0.1234) for gate in gates]
    console = Console(width=80, file=io.StringIO(), record=True)
    asked = Namespace(repeats=1000, baseline=3)
    console.print(table(tests, Case("coral01", "ubfc", "int8"), asked))
    lines = console.export_text().splitlines()
    firsts = [line.split()[0] for line in lines if line.strip()]
    parts = {part for gate in gates for part in (gate, *gate.replace(".", "\n.").split())}
    begun = [one for one in firsts if one.startswith(("slow", "instr", "mae", "."))]
    assert len(begun) >= len(gates) and set(begun) <= parts, begun
    assert all(
        ">1000 %" in line and line.rstrip().endswith("-") for line in lines if "10 %" in line
    )


def test_what_cannot_be_is_refused_before_anything_runs(project, capsys, monkeypatch):
    monkeypatch.chdir(project.path)
    assert main(["selftest", "local", "--sessions=3"]) == 2
    assert "--sessions 3: at least 4" in capsys.readouterr().err
    assert main(["selftest", "nowhere", "--thresholds=lenient.yaml"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_file_of_another_board_or_with_a_slip_is_refused(tmp_path):
    path = tmp_path / "coral01" / "selftest.yaml"
    path.parent.mkdir()
    path.write_text("board: coral01\nsessions: many\n")
    with pytest.raises(UserError, match=r"selftest.yaml: line \d, .*; make it again"):
        load_selftest(tmp_path, "coral01")
    assert load_selftest(tmp_path, "coral02") is None
