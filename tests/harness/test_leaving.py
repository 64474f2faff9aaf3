"""What a campaign leaves behind for people, as a user and as a GitHub job meets it."""

from pathlib import Path

import pytest
from made_records import make_record, write_records

from harness.bench import Bench
from harness.leaving import leave_reports
from harness.options import Options


@pytest.mark.board
def test_a_run_leaves_its_page_and_a_github_job_sees_its_verdicts(project, monkeypatch):
    summary = project.path / "summary.md"
    summary.write_text("what another step said\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    done = project.runpytest_subprocess(
        "test_accuracy.py",
        "--dataset=tiny",
        "--detector=haar",
        "--results=out",
        "--thresholds=strict.yaml",
    )
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    [page] = project.path.joinpath("out").rglob("report.html")
    text, lines = page.read_text(), done.outlines
    assert "<h1>Accuracy does not hold.</h1>" in text and "No person was measured" in text
    assert text.count("data:image/jpeg;base64,") == 2, "rendered faces are shown"
    assert f"report page {page.relative_to(project.path)}" in lines
    errors = [line for line in lines if line.startswith("::error")]
    assert len(errors) == 2 and "times its limit of 1e-05 bpm" in errors[0]
    assert [line for line in lines if line.startswith("::notice")]
    told = summary.read_text()
    assert told.startswith("what another step said\n## ❌ Accuracy does not hold.\n")
    assert "**Synthetic data** (tiny)" in told
    assert f"Report page: `{page.relative_to(project.path)}`" in told


def bench(folder: Path) -> Bench:
    """A run that is over, its records in ``folder``."""
    none = Path("none.yaml")
    files = {"boards_file": none, "datasets_file": none, "thresholds_file": none}
    asked = Options(("local",), ("made",), ("float32",), "auto", "haar", (), folder, **files,
                    timeout_s=1.0, resume=folder)  # fmt: skip
    return Bench(asked)


@pytest.fixture
def over(tmp_path):
    return bench(write_records(tmp_path / "run", make_record("s1", 70)))


def test_what_cannot_be_written_is_a_line(over, tmp_path):
    where = {"GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "way")}
    said = list(leave_reports(over, page=True, strict=False, environ=where))
    assert said[0] == f"report page {over.results / 'report.html'}"
    assert said[1].startswith("no job summary: ")
    (over.results / "report.html").unlink()
    (over.results / "report.html").mkdir()
    [line] = leave_reports(over, page=True, strict=False, environ={})
    assert line.startswith("no report page: ") and "cannot be written" in line


def test_records_that_cannot_be_read_are_a_line(over):
    (over.results / "broken.json").write_text("{")
    [line] = leave_reports(over, page=True, strict=False, environ={})
    assert line.startswith("no report page: ") and "broken.json" in line


def test_no_page_is_left_where_none_is_wanted(over, tmp_path):
    assert list(leave_reports(over, page=False, strict=False, environ={})) == []
    where = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    assert list(leave_reports(over, page=False, strict=False, environ=where)) == []
    assert not (over.results / "report.html").exists()
    assert "Report page" not in (tmp_path / "summary.md").read_text()
