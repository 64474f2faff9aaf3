"""`rppg-bench hops`: from this machine's float32 to the lightened form, by real replays."""

import pytest

from harness.cli import main


@pytest.mark.board
def test_hops_of_a_real_lightened_form_stay_within_tolerance(project, capsys, monkeypatch):
    monkeypatch.chdir(project.path)
    asked = ["hops", "--board=loopback", "--dataset=tiny", "--detector=haar", "--variant=dynamic"]
    assert main([*asked, "--model=tscan-synthetic", "--out=out"]) == 0
    shown = capsys.readouterr().out
    assert "Every hop is within tolerance at every stage." in shown
    assert "synthetic clips" in shown and shown.count("n=2") == 2
    (folder,) = project.path.glob("out/2*")
    assert main(["hops", str(folder)]) == 0
    assert "Every hop is within tolerance" in capsys.readouterr().out


def test_hops_need_a_run_or_a_board(capsys):
    assert main(["hops"]) == 2
    assert "name a run's folder" in capsys.readouterr().err
