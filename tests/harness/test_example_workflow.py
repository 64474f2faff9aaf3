"""The example of a GitHub workflow: valid, with commands and options that there are."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.cli import main as rppg_bench

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / "examples" / "github-workflow.yml"
JOBS = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"]
RUNS = [step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step]


def commands(program):
    found = [shlex.split(run) for run in RUNS]
    return [words[1:] for words in found if Path(words[0]).name == program]


def options(words):
    return {word.partition("=")[0] for word in words if word.startswith("--")}


@pytest.fixture(scope="module")
def pytest_options():
    asked = [sys.executable, "-m", "pytest", "--help"]
    done = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True)
    found = set(re.findall(r"--[a-z][a-z-]+", done.stdout))
    return found | {"--junitxml"} if "--junit-xml" in found else found


def test_every_command_is_known():
    programs = {Path(shlex.split(run)[0]).name for run in RUNS}
    assert programs == {"make", "pytest", "rppg-bench"}
    for words in commands("make"):
        assert words == [".venv/ready"]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "VENV := .venv\n" in makefile and "$(VENV)/ready:" in makefile


def test_every_option_of_pytest_is_there(pytest_options):
    found = commands("pytest")
    assert len(found) == 2
    for words in found:
        assert (ROOT / words[0]).is_dir()
        assert options(words) and options(words) <= pytest_options


def test_an_option_that_is_not_there_would_be_noticed(pytest_options):
    assert not options(["--no-such-option=1"]) <= pytest_options


def test_every_command_of_rppg_bench_is_there(capsys):
    for name, *words in commands("rppg-bench"):
        with pytest.raises(SystemExit) as ended:
            rppg_bench([name, "--help"])
        assert ended.value.code == 0
        assert options(words) <= set(re.findall(r"--[a-z-]+", capsys.readouterr().out))


def test_what_is_uploaded_is_what_the_benchmarks_write():
    for job in JOBS.values():
        [run] = [
            shlex.split(step["run"]) for step in job["steps"] if "pytest" in step.get("run", "")
        ]
        results, junit = (run[run.index(name) + 1] for name in ("--results", "--junitxml"))
        [upload] = [step for step in job["steps"] if "upload-artifact" in step.get("uses", "")]
        assert upload["with"]["path"].split() == [f"{results}/*/report.html", junit]
        assert "cancelled" in upload["if"], "also where a gate fails"


def test_the_named_data_set_model_and_detector_are_the_projects_own():
    datasets = yaml.safe_load((ROOT / "datasets.yaml").read_text("utf-8"))
    for words in commands("pytest"):
        named = {name: words[words.index(name) + 1] for name in ("--dataset", "--model")}
        assert named["--dataset"] in str(datasets)
        assert (ROOT / "rppg_core/lightening/trained" / f"{named['--model']}.npz").exists()
