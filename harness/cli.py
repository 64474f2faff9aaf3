"""`rppg-bench`: what is useful outside a pytest run.

A command is a line in COMMANDS. Only the module of the one that is asked for is loaded.
"""

from __future__ import annotations

import argparse
import importlib
import sys

from harness.boards.errors import BoardError
from rppg_core.errors import UserError

# Names, and the module whose `add_commands` registers them.
COMMANDS = {
    ("boards", "doctor", "lease", "shell"): "harness.board_commands",
    ("datasets", "labels", "render"): "harness.cli_labels",
    ("report", "conditions"): "harness.result_commands",
    ("plots",): "harness.plot_command",
    ("calibrate",): "harness.calibration",
    ("compare-models",): "harness.compare_models",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status (2 for a user's mistake)."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser(given[0] if given else "").parse_args(given)
    try:
        return int(options.command(options))
    except (UserError, BoardError) as bad:
        print(f"rppg-bench: {bad}", file=sys.stderr)
        return 2
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
