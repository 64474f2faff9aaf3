"""The pytest plugin: options, fixtures, and the summary at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.approving import Approval
from harness.bench import Bench
from harness.boards.errors import BoardError
from harness.by_board import case_id, scheduler
from harness.case_verdicts import Verdicts
from harness.leaving import leave_reports
from harness.options import Options
from harness.pace import Pace
from harness.plain_text import printable
from harness.replays import CaseRun
from harness.reports.progress import CampaignProgress
from harness.result_commands import tables_of
from harness.run_file import RUN_FILE
from harness.verdicts.outcome import GateResult, Outcome, gravest
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError

BENCH = pytest.StashKey[Bench]()
STORED = pytest.StashKey[list[Approval]]()
VERDICT = "verdict"
"""The property of a test, in its report and the JUnit file, that has its outcome."""
RESULTS = "rppg_results"
UNDECIDED = (Outcome.INCONCLUSIVE.value, Outcome.INVALID.value)
TIMED = {"benchmark", "timed_run", "paced_run", "sustained_run"}
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
    add("--history", default=None, help="history file (default: history.sqlite3 beside the run's)")
    add("--boards", default="boards.yaml", help=f"boards file (default: {HERE})")
    add("--datasets", default="datasets.yaml", help=f"datasets file (default: {HERE})")
    add("--thresholds", default="benchmarks/thresholds.yaml", help="thresholds file")
    add("--replay-timeout", type=float, default=900.0, help="seconds a recording may take")
    add("--resume", default=None, metavar="RESULTS", help="a run's folder: redo what is missing")
    add("--reference", default="", metavar="RESULTS", help="runs to hold each stage against")
    add("--timing-retries", type=int, default=2, help="replays after one whose times are invalid")
    add(
        "--strict-verdicts",
        action="store_true",
        help="an inconclusive or invalid verdict fails its test",
    )
    add("--baselines", default="benchmarks/baselines", help="folder of approved figures")
    add("--update-baseline", action="store_true", help="store this run's figures for approval")
    add("--require-baseline", action="store_true", help="a case without a baseline fails")
    add("--no-report-page", action="store_true", help="do not write report.html beside the records")
    add("--pace", default="fast", help="how frames come: fast, realtime, or 2x, 0.5x, ...")
    add("--minutes", type=float, default=None, help="replay each recording over and over so long")
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
        baselines=_file(config, take("--baselines")),
        update_baseline=take("--update-baseline"),
        require_baseline=take("--require-baseline"),
        root=config.rootpath,
        command=_command(config),
        history=Path(take("--history")) if take("--history") else None,
        pace=_pace(take("--pace"), take("--minutes")),
        reference=tuple(Path(one) for one in _names(take("--reference"))),
    )
    if options.update_baseline and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("--update-baseline needs all replays in one process; leave out -n")
    config.stash[BENCH] = Bench(options)

    worker_of = getattr(config, "workerinput", {})
    if RESULTS in worker_of:
        config.stash[BENCH].use_results(Path(worker_of[RESULTS]))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Have xdist's workers write into one run's folder."""
    node.workerinput[RESULTS] = str(node.config.stash[BENCH].results)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal out the tests by their boards, unless they are to be dealt out otherwise."""
    try:
        cases = config.stash[BENCH].cases()
    except UserError:
        cases = []
    return scheduler(config, log, cases) if config.getoption("dist") == "load" else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per board, dataset and variant."""
    if "case_run" in metafunc.fixturenames:
        try:
            cases = metafunc.config.stash[BENCH].cases()
        except UserError:
            cases = []  # said in one line once everything is collected
        metafunc.parametrize("case", cases, ids=map(case_id, cases), scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Look at boards, datasets, models and thresholds before time is spent."""
    _leave_out_unpaced(config, items)
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
def timed_run(case_run: CaseRun, request: pytest.FixtureRequest) -> CaseRun:
    """The case's replays; where none has times worth judging, the test is invalid, or failed."""
    if case_run.invalid and not case_run.times:
        gates = request.config.stash[BENCH].judge_latency(case_run.case).latency_gates
        text = f"{case_run.case}: {'; '.join(printable(one.message) for one in gates)}"
        _end(request.node, gravest(gates), text)
    return case_run


@pytest.fixture
def paced_run(timed_run: CaseRun) -> CaseRun:
    """The case's replays, whose frames come at a pace; only with ``--pace``."""
    return timed_run


@pytest.fixture
def sustained_run(timed_run: CaseRun) -> CaseRun:
    """The case's replays, each of which goes on for minutes; only with ``--minutes``."""
    return timed_run


def _leave_out_unpaced(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests of what was not asked for: they have nothing to judge, so cannot pass."""
    pace = config.stash[BENCH].options.pace
    asked = {"paced_run": pace.paced, "sustained_run": pace.minutes is not None}
    absent = {name for name, is_asked in asked.items() if not is_asked}
    left = [one for one in items if absent & set(getattr(one, "fixturenames", ()))]
    if left and len(left) == len(items) and not config.option.collectonly:
        raise pytest.UsageError(f"{left[0].nodeid} needs --pace realtime, or --minutes N")
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [one for one in items if one not in left]


@pytest.fixture(scope="session")
def fidelity(case: Case, case_run: CaseRun, request: pytest.FixtureRequest) -> Verdicts:
    """The case held against float32, which is replayed for it unless it was."""
    with _progress(request) as progress:
        return request.config.stash[BENCH].judge_quantization(case, progress)


@pytest.fixture
def against_reference(case: Case, case_run: CaseRun, bench: Bench) -> tuple[GateResult, ...]:
    """Each stage of the case held against the run of --reference."""
    if not bench.options.reference:
        pytest.skip("no run to hold it against: give --reference RESULTS")
    with _user_errors(pytest.fail.Exception):
        return bench.judge_reference(case)


@pytest.fixture
def peak_memory(case: Case, case_run: CaseRun, bench: Bench) -> tuple[GateResult, ...]:
    """The peak memory of the case's replays, against that of --reference too where it is given."""
    with _user_errors(pytest.fail.Exception):
        return bench.judge_memory(case)


@pytest.fixture
def repeated(case: Case, case_run: CaseRun, request: pytest.FixtureRequest) -> Any:
    """One recording of the case replayed again, and held against the first time."""
    with _progress(request) as progress:
        return request.config.stash[BENCH].judge_repeat(case, progress)


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
def conclude(request: pytest.FixtureRequest) -> Callable[[Sequence[GateResult], str], None]:
    """`conclude(gates, text)` ends the test as its gates say, with `text` where they do not pass.

    Every figure goes into the JUnit file. A test that is inconclusive or invalid is neither passed
    nor failed; it is counted by that name, and fails under --strict-verdicts.
    """

    def decide(gates: Sequence[GateResult], text: str) -> None:
        noted = request.node.user_properties
        for gate in gates:
            noted += [(gate.gate, gate.figure), (f"{gate.gate}.threshold", gate.threshold)]
            noted.append((f"{gate.gate}.verdict", gate.outcome.value))
            if gate.baseline is not None:
                noted.append((f"{gate.gate}.baseline", gate.baseline))
            if gate.interval is not None:
                ends = f"{gate.interval.low:g} {gate.interval.high:g}"
                noted.append((f"{gate.gate}.interval", ends))
            if gate.stage is not None:
                noted.append((f"{gate.gate}.stage", gate.stage))
        _end(request.node, gravest(gates), text)

    return decide


def _end(item: pytest.Item, outcome: Outcome, text: str) -> None:
    item.user_properties.append((VERDICT, outcome.value))
    if outcome is Outcome.PASS:
        return
    if outcome is Outcome.FAIL or item.config.getoption("--strict-verdicts"):
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    """Name a test that did not come to a verdict by what kept it from one."""
    verdict = dict(getattr(report, "user_properties", ())).get(VERDICT)
    if not report.skipped or verdict not in UNDECIDED:
        return None
    return verdict, "?" if verdict == Outcome.INCONCLUSIVE.value else "!", verdict.upper()


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest) -> Bench:
    """Boards, datasets, results and verdicts of this run."""
    return request.config.stash[BENCH]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    """Print both tables after a campaign."""
    if exitstatus == pytest.ExitCode.INTERRUPTED:
        _say_where_it_stopped(terminalreporter, config.stash[BENCH])
    for verdict in UNDECIDED:
        for report in terminalreporter.getreports(verdict):
            said = str(report.longrepr[2]).removeprefix("Skipped: ")
            terminalreporter.write_line(f"{verdict.upper()} {report.nodeid}")
            terminalreporter.write_line(said)
    bench = config.stash[BENCH]
    summary = bench.summary()
    if summary is None and getattr(config.option, "numprocesses", None):
        with suppress(UserError):  # its workers replayed nothing
            summary = tables_of(bench.results)
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
    for approval in config.stash.get(STORED, ()):
        terminalreporter.section("baseline")
        for line in approval.lines:
            terminalreporter.write_line(printable(line))
    for line in bench.log.troubles:
        terminalreporter.write_line(printable(line))
    page = not config.getoption("--no-report-page")
    for line in leave_reports(bench, page, config.getoption("--strict-verdicts")):
        terminalreporter.write_line(line)


def _say_where_it_stopped(terminalreporter: Any, bench: Bench) -> None:
    if (bench.results / RUN_FILE).exists():
        said = f"stopped; what was measured is kept: go on with --resume {bench.results}"
        terminalreporter.write_line(printable(said))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Store baselines where that was asked for; write down that the run came to its end."""
    bench = session.config.stash[BENCH]
    if bench.options.update_baseline and not hasattr(session.config, "workerinput"):
        session.config.stash[STORED] = stored = bench.update_baselines()
        if any(one.refused for one in stored) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
    ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    if ended and not hasattr(session.config, "workerinput"):
        bench.finish()


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
            raise pytest.fail.Exception(printable(str(bad)), pytrace=False) from None
        raise as_what(printable(str(bad))) from None


def _command(config: pytest.Config) -> tuple[str, ...]:
    """What pytest was asked for; xdist's workers know it from the process that started them."""
    asked = getattr(config, "workerinput", {}).get("mainargv")
    return tuple(map(str, asked[1:] if asked else config.invocation_params.args))


def _pace(name: str, minutes: float | None) -> Pace:
    with _user_errors(pytest.UsageError):
        return Pace(name, minutes)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _file(config: pytest.Config, name: str) -> Path:
    """A file named on the command line, else the one of that name in pytest's root folder."""
    here = Path(name)
    return here if here.exists() or here.is_absolute() else config.rootpath / name
