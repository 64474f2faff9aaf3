"""Names that mean something to a shell, a file system or a terminal, through a whole campaign."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from harness.attempts import Effort
from harness.boards.inventory import load_boards
from harness.boards.loopback import LoopbackBoard
from harness.campaign import Pipe, run_case
from harness.datasets.registry import open_dataset
from harness.replays import load_cases
from harness.reports.progress import CampaignProgress
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError

NAMES = [
    "-rf ;touch PWNED; $(touch PWNED) `touch PWNED`.avi",
    "..\n\x1b[31m'\"|touch PWNED&.avi",
    "Übung-脉搏-" + "x" * 180 + ".avi",
]


@pytest.fixture
def dataset(tmp_path, clips):
    text = f"tiny: {{kind: synthetic, clips: 1, seconds: 8, size: [320, 240], root: '{clips}'}}\n"
    (tmp_path / "datasets.yaml").write_text(text + "own: {kind: folder, root: own}\n")
    tiny = open_dataset("tiny", tmp_path / "datasets.yaml")
    tiny.prepare(lambda *_: None)
    (video,) = [one.video for one in tiny.recordings()]
    own = tmp_path / "own"
    own.mkdir()
    with (own / "labels.csv").open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["file", "bpm"])
        for number, name in enumerate(NAMES):
            shutil.copy(video, own / name)
            rows.writerow([name, 60 + number])
    return open_dataset("own", tmp_path / "datasets.yaml")


@pytest.mark.board
def test_nothing_runs_nothing_escapes_and_the_campaign_completes(
    dataset, tscan_file, tmp_path, capsys
):
    board = LoopbackBoard("pi", workdir=str(tmp_path / "work;touch PWNED $(touch PWNED) 'dir"))
    results = tmp_path / "re'sults;$(touch PWNED)"
    before = set(tmp_path.iterdir())
    progress = CampaignProgress()
    with board:
        board.acquire(1.0, pytest.fail)
        done = run_case(
            board,
            dataset,
            Case("pi", "own", "float32"),
            Pipe("m", tscan_file, "haar", {}),
            results,
            progress,
            effort=Effort(timed=False),
        )
    assert done.failures == {}
    assert sorted(one.recording for one in done.replays) == sorted(NAMES)
    assert {one.recording for one in load_cases(results)[0].replays} == set(NAMES)
    for path in results.rglob("*.json"):
        assert path.parent == results / "pi" / "own" / "float32"
    made = {path.name for path in set(tmp_path.iterdir()) - before}
    assert made == {Path(board._workdir).name, results.name}
    for place in (tmp_path, Path.home(), Path.cwd()):
        assert not (place / "PWNED").exists()
    assert not list(tmp_path.rglob("PWNED"))
    said = capsys.readouterr().err
    assert "\x1b[31m" not in said, "a name does not steer the terminal"
    assert len(said.splitlines()) == 1 + len(NAMES)


@pytest.mark.parametrize(
    "name", ["a b", "a;b", "$(x)", "a\nb", "-rf", "..", "a/b", "脉", "x" * 65, "'", '"', ""]
)
def test_board_of_such_a_name_is_refused_in_one_line(tmp_path, name):
    (tmp_path / "boards.yaml").write_text(f"{json.dumps(name)}: {{kind: local}}\n")
    with pytest.raises(UserError, match=r"board name .* must be letters") as caught:
        load_boards(tmp_path / "boards.yaml")
    assert "\n" not in str(caught.value)
