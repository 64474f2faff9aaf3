"""`rppg-bench compare`: did it become worse? Runs, boards, variants or commits, from records."""

from __future__ import annotations

import argparse
from typing import Any

from harness.comparing import Margins, compare_sides, gone
from harness.reports.changes import as_csv, as_json, markdown, show
from harness.run_selection import HELP_WITH_CASES, add_history_options, select
from harness.run_sides import matched, sides_of
from harness.verdicts.outcome import Outcome
from rppg_core.errors import UserError

FORMATS = {"markdown": markdown, "json": as_json, "csv": as_csv}
MARGINS = {
    "bpm": "what the mean absolute error may grow by (default: %(default)s bpm)",
    "group_bpm": "the same in a group of heart rates (%(default)s bpm)",
    "percent": "what the time per frame may grow by (%(default)s %%)",
    "count_percent": "what the instructions per frame may grow by (%(default)s %%)",
}


def add_commands(commands: Any) -> None:
    """Register the command with `rppg-bench`."""
    add = commands.add_parser(
        "compare", help="runs, boards, variants or commits, from their records"
    )
    add.add_argument("old", metavar="OLD", help=HELP_WITH_CASES + "; A+B are runs of the same")
    add.add_argument("new", metavar="NEW", nargs="+", help="what is held against it")
    add.add_argument("--format", choices=("table", *FORMATS), default="table")
    for name, said in MARGINS.items():
        option, default = f"--margin-{name.replace('_', '-')}", getattr(Margins(), name)
        add.add_argument(option, type=float, default=default, metavar="X", help=said)
    add.add_argument(
        "--session-sd", type=float, default=Margins().session_sd, metavar="X",
        help="how far whole runs lie apart in time, until 6 runs tell it (%(default)s %%)",
    )  # fmt: skip
    add_history_options(add)
    add.set_defaults(command=compare)


def compare(options: argparse.Namespace) -> int:
    """`rppg-bench compare OLD NEW ...`: returns 1 if anything became worse beyond doubt."""
    given = {name: getattr(options, f"margin_{name}") for name in MARGINS}
    margins = Margins(**given, session_sd=options.session_sd)
    if not all(getattr(margins, name) > 0 for name in MARGINS):
        raise UserError("a margin must be above 0")
    if not margins.session_sd >= 0:
        raise UserError("--session-sd: 0 or more")
    old = sides_of(select(options, options.old))
    pairs = [pair for text in options.new for pair in matched(old, sides_of(select(options, text)))]
    lines = [line for pair in pairs for line in compare_sides(*pair, margins)]
    held = {id(one) for one, _ in pairs}
    lines += [gone(one) for one in old if id(one) not in held]
    if options.format == "table":
        show(lines)
    else:
        print(FORMATS[options.format](lines).rstrip("\n"))
    return int(any(one.outcome is Outcome.FAIL for one in lines))
