"""`rppg-bench lease`, `doctor` and `shell`: what a person does with one board."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from typing import Any

from harness.boards.inventory import load_boards, pick_board
from harness.boards.opening import open_board
from harness.boards.ssh import RemoteBoard
from harness.doctor import examine
from rppg_core.errors import UserError


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to the command line."""
    add = commands.add_parser("boards", help="list the boards")
    add.add_argument("--boards", type=Path, default=Path("boards.yaml"), metavar="FILE")
    add.set_defaults(command=boards)
    add = _command(commands, "lease", "who uses a board, and who waits for it", lease)
    add.add_argument("--break", dest="take", action="store_true", help="take it from its holder")
    _command(commands, "doctor", "whether a board is fit to be measured on", doctor)
    _command(commands, "shell", "a shell on a board", shell)


def lease(options: argparse.Namespace) -> int:
    """`rppg-bench lease BOARD [--break]`: holder, age and queue."""
    board = _remote(options)
    try:
        state = board.lease_state(options.take)
    finally:
        board.close()
    holder = state["holder"]
    if options.take:
        print(f"{board.name}: taken away; its holder, if there was one, stops within seconds")
    shown = f"held by {holder['who']} for {_age(holder)}" if holder else "free"
    counted = f" (generation {state['generation']})" if "generation" in state else ""
    print(f"{board.name}: {shown}{counted}")
    for place, entry in enumerate(state["queue"], 1):
        print(f"  {place}. {entry['who']}, waiting for {_age(entry)}")
    return 0


def doctor(options: argparse.Namespace) -> int:
    """`rppg-bench doctor BOARD`: a line a question; returns 1 if one of them failed."""
    board = open_board(pick_board(load_boards(options.boards), options.board))
    failed = False
    try:
        for line in examine(board):
            print(line, flush=True)
            failed = failed or line.verdict == "fail"
    finally:
        board.close()
    return int(failed)


def shell(options: argparse.Namespace) -> int:
    """`rppg-bench shell BOARD`: the user's ssh, with the board's keys; returns its exit status."""
    board = _remote(options)
    with board:
        return subprocess.run(board.shell_command(), check=False).returncode


def _command(commands: Any, name: str, help_text: str, function: Any) -> argparse.ArgumentParser:
    add: argparse.ArgumentParser = commands.add_parser(name, help=help_text)
    add.add_argument("board")
    add.add_argument("--boards", type=Path, default=Path("boards.yaml"), metavar="FILE")
    add.set_defaults(command=function)
    return add


def _remote(options: argparse.Namespace) -> RemoteBoard:
    board = open_board(pick_board(load_boards(options.boards), options.board))
    if not isinstance(board, RemoteBoard):
        raise UserError(f"{board.name}: a board of kind {board.kind} is this machine, never leased")
    return board


def _age(entry: dict[str, Any]) -> str:
    minutes, seconds = divmod(round(entry["age_s"]), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def boards(options: argparse.Namespace) -> int:
    """`rppg-bench boards`: what boards.yaml names."""
    for name, spec in load_boards(options.boards).items():
        print(f"{name:16} {spec.kind}")
    return 0
