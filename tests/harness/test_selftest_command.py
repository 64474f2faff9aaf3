"""`rppg-bench selftest` as a person meets it, with real replays in sessions of their own."""

import pytest

from harness.cli import main
from harness.selftest_files import load_selftest
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
