"""`rppg-bench selftest` as a person meets it, with real replays in sessions of their own."""

import pytest

from harness.cli import main


@pytest.mark.board
def test_a_board_is_held_against_itself_and_a_cut_off_test_goes_on(project, capsys, monkeypatch):
    monkeypatch.chdir(project.path)
    asked = ["selftest", "local", "--dataset=tiny", "--detector=haar", "--model=tscan-synthetic"]
    few = ["--sessions=4", "--baseline=2", "--repeats=50", "--thresholds=lenient.yaml"]
    assert main([*asked, *few, "--out=out"]) in (0, 1)
    first = capsys.readouterr()
    for shown in ("mae_increase_bpm", "slowdown_percent.predict", "0.00%", "4 sessions of 2"):
        assert shown in first.out, first.out
    assert first.err.count("float32: 2 to do") == 4
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
