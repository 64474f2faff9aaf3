"""`rppg-bench`: what is useful outside a pytest run.

A command is a line in COMMANDS. Only the module of the one that is asked for is loaded.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from harness.boards.errors import BoardError
from rppg_core.errors import UserError

# Names, and the module whose `add_commands` registers them.
COMMANDS = {
    ("boards", "doctor", "lease", "shell"): "harness.board_commands",
    ("selftest",): "harness.selftest",
    ("datasets", "labels", "render"): "harness.cli_labels",
    ("report", "conditions"): "harness.result_commands",
    ("page",): "harness.page_command",
    ("plots",): "harness.plot_command",
    ("history",): "harness.history.commands",
    ("targets",): "harness.targets",
    ("export",): "harness.export_run",
    ("calibrate",): "harness.calibration",
    ("compare",): "harness.compare_runs",
    ("compare-models",): "harness.compare_models",
    ("hops",): "harness.hops",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status (2 for a user's mistake)."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser(given[0] if given else "").parse_args(given)
    try:
        status = int(options.command(options))
        sys.stdout.flush()
        return status
    except (UserError, BoardError) as bad:
        print(f"rppg-bench: {bad}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever reads it has seen enough; what is left goes nowhere, without a complaint.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _parser(asked: str) -> argparse.ArgumentParser:
    """A parser of the command that is asked for; of all where that is none of them."""
    parser = argparse.ArgumentParser(prog="rppg-bench", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    modules = [module for names, module in COMMANDS.items() if asked in names]
    for module in modules or COMMANDS.values():
        importlib.import_module(module).add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
