"""What a campaign leaves for people when it is over: a page, and what a GitHub job shows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.bench import Bench
from harness.page_command import write_page
from harness.replays import load_cases
from harness.reports.ci_summary import summary, workflow_commands
from harness.reports.page.content import judged_cases, shown_cases
from harness.run_file import read_run
from rppg_core.errors import UserError

ON_GITHUB, SUMMARY_FILE = "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"


def leave_reports(
    bench: Bench, page: bool, strict: bool, environ: Mapping[str, str] = os.environ
) -> Iterator[str]:
    """Write the reports that are wanted; yields lines to print.

    Whatever goes wrong is one of those lines: the run is over, and its records are whole.
    """
    on_github, summary_file = environ.get(ON_GITHUB) == "true", environ.get(SUMMARY_FILE)
    if not (page or on_github or summary_file):
        return
    doing = "report page"
    try:
        runs, kept = load_cases(bench.results), read_run(bench.results)
        judged, where = judged_cases(kept) if kept else [], None
        if on_github and judged:
            yield from workflow_commands(judged, strict)
        if page:
            places = bench.results, bench.options.datasets_file
            where = str(write_page(runs, kept, *places, history=_history(bench)))
            yield f"report page {where}"
        if summary_file:
            doing = "job summary"
            told = summary(shown_cases(runs, kept), judged, kept, where)
            with Path(summary_file).open("a", encoding="utf-8") as file:
                file.write(told)
    except (UserError, OSError) as bad:
        yield f"no {doing}: {bad}"
    except Exception as bad:  # a mistake of ours must not cost a run its exit status
        yield f"no {doing}: {bad!r}"


def _history(bench: Bench) -> Path | None:
    """The history that was asked for, if the run could write to it."""
    asked = bench.options.history
    return asked if asked is not None and asked.exists() else None
