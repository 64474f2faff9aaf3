"""The pytest plugin: options, fixtures, and the summary at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.bench import Bench, Options, Verdicts
from harness.boards.errors import BoardError
from harness.replays import CaseRun
from harness.reports.progress import CampaignProgress
from harness.verdicts.gates import GateResult
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError

BENCH = pytest.StashKey[Bench]()
TIMED = {"benchmark", "timed_run"}
"""Fixtures of tests that ask for times."""
HERE = "the project's own, found in the folder pytest starts in"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of a campaign."""
    group = parser.getgroup("rppg", "heart rate from video, on boards")
    add = group.addoption
    add("--board", default="local", help="boards by name, comma-separated (default: local)")
    add("--dataset", default="synthetic", help="datasets by name, comma-separated")
    add("--variant", default="float32", help="forms of the model, comma-separated")
    add("--model", default="auto", help="TS-CAN weights by name, or a .tflite file")
    add("--detector", default="auto", help="face detector; auto: the paper's, else Haar")
    add("--recordings", default="", help="only these recordings, comma-separated; * and ? work")
    add(
        "--condition",
        action="append",
        default=[],
        metavar="NAME=VALUE[,VALUE]",
        help="only recordings taken so; may be repeated",
    )
    add("--results", default="results", help="folder for records (default: results)")
    add("--boards", default="boards.yaml", help=f"boards file (default: {HERE})")
    add("--datasets", default="datasets.yaml", help=f"datasets file (default: {HERE})")
    add("--thresholds", default="benchmarks/thresholds.yaml", help="thresholds file")
    add("--replay-timeout", type=float, default=900.0, help="seconds a recording may take")
    add("--resume", default=None, metavar="RESULTS", help="a run's folder: redo what is missing")
    add("--timing-retries", type=int, default=2, help="replays after one whose times are invalid")
    add("--lease-wait", type=float, default=600.0, help="seconds to wait for a board in use")


def pytest_configure(config: pytest.Config) -> None:
    """Set up what holds boards, datasets and results for the session."""
    take = config.getoption
    options = Options(
        boards=_names(take("--board")),
        datasets=_names(take("--dataset")),
        variants=_names(take("--variant")),
        model=take("--model"),
        detector=take("--detector"),
        recordings=_names(take("--recordings")),
        results=Path(take("--results")),
        boards_file=_file(config, take("--boards")),
        datasets_file=_file(config, take("--datasets")),
        thresholds_file=_file(config, take("--thresholds")),
        timeout_s=take("--replay-timeout"),
        conditions=tuple(take("--condition")),
        lease_wait_s=take("--lease-wait"),
        timing_retries=take("--timing-retries"),
        resume=Path(take("--resume")) if take("--resume") else None,
    )
    config.stash[BENCH] = Bench(options)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per board, dataset and variant."""
    if "case_run" in metafunc.fixturenames:
        try:
            cases = metafunc.config.stash[BENCH].cases()
        except UserError:
            cases = []  # said in one line once everything is collected
        ids = ["-".join((case.board, case.dataset, case.variant)) for case in cases]
        metafunc.parametrize("case", cases, ids=ids, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Look at boards, datasets, models and thresholds before time is spent."""
    if any("case_run" in getattr(item, "fixturenames", ()) for item in items):
        bench = config.stash[BENCH]
        bench.timed = any(TIMED & set(getattr(item, "fixturenames", ())) for item in items)
        if not config.option.collectonly:
            with _user_errors(pytest.UsageError):
                bench.check()


@pytest.fixture(scope="session")
def case_run(case: Case, request: pytest.FixtureRequest) -> CaseRun:
    """The case's replays: done once a session, whatever asks for them."""
    with _progress(request) as progress:
        return request.config.stash[BENCH].run(case, progress)


@pytest.fixture
def timed_run(case_run: CaseRun) -> CaseRun:
    """The case's replays, of which at least one has times worth judging; skips if none has."""
    if case_run.invalid and not case_run.times:
        reasons = sorted(set(case_run.invalid.values()))
        pytest.skip(f"{case_run.case}: times invalid: {'; '.join(reasons)}")
    return case_run


@pytest.fixture(scope="session")
def fidelity(case: Case, case_run: CaseRun, request: pytest.FixtureRequest) -> Verdicts:
    """The case held against float32, which is replayed for it unless it was."""
    with _progress(request) as progress:
        return request.config.stash[BENCH].judge_quantization(case, progress)


@contextmanager
def _progress(request: pytest.FixtureRequest) -> Iterator[CampaignProgress]:
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with _user_errors(pytest.fail.Exception), capture.global_and_fixture_disabled():
        print()
        progress = CampaignProgress()
        try:
            yield progress
        finally:
            progress.close()


@pytest.fixture
def record_gates(
    record_property: Callable[[str, object], None],
) -> Callable[[Sequence[GateResult]], None]:
    """Puts every gate's figure and threshold into the JUnit file."""

    def record(gates: Sequence[GateResult]) -> None:
        for gate in gates:
            record_property(gate.gate, gate.figure)
            record_property(f"{gate.gate}.threshold", gate.threshold)

    return record


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest) -> Bench:
    """Boards, datasets, results and verdicts of this run."""
    return request.config.stash[BENCH]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print both tables after a campaign."""
    summary = config.stash[BENCH].summary()
    if summary is None:
        return
    terminalreporter.section("heart rate from video")
    writer = terminalreporter._tw
    console = Console(
        file=writer._file,
        width=writer.fullwidth,
        force_terminal=writer.hasmarkup,
        highlight=False,
        legacy_windows=False,
    )
    console.print(summary)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let go of the boards."""
    held = config.stash.get(BENCH, None)
    if held is not None:
        held.close()


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    """Name the boards that were measured beside the host in pytest-benchmark's JSON."""
    machine_info["boards"] = config.stash[BENCH].board_facts()


@contextmanager
def _user_errors(as_what: type[BaseException]) -> Iterator[None]:
    """Show a user's mistake or a board's failure as one line instead of a traceback."""
    try:
        yield
    except (UserError, BoardError) as bad:
        if as_what is pytest.fail.Exception:
            raise pytest.fail.Exception(str(bad), pytrace=False) from None
        raise as_what(str(bad)) from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _file(config: pytest.Config, name: str) -> Path:
    """A file named on the command line, else the one of that name in pytest's root folder."""
    here = Path(name)
    return here if here.exists() or here.is_absolute() else config.rootpath / name
