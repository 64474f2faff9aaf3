"""Which runs are meant: by their folder, or by what the history says of them.

A selection is a run's folder, `latest`, `latest~2` (two before the latest), `commit:PREFIX` or
`branch:NAME` (its newest commit), and after a colon which of its cases: `latest:*/ubfc/int8`. Of
all runs only those count that have such a case. A commit, or folders joined by `+`, may be several
runs. A folder that has the name of one of these is written with its path: `./latest`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from harness.history.store import HISTORY_FILE, History
from harness.replays import CaseRun, load_cases
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError

HELP = "a run's folder, latest, latest~N, commit:PREFIX or branch:NAME"
HELP_WITH_CASES = f"{HELP}; then :BOARD/DATASET/VARIANT"
BY_HISTORY = re.compile(r"(latest(?:~\d+)?|commit:[^:]+|branch:[^:]+)(?::(.*))?", re.DOTALL)
ANY = ("*", "*", "*")
NAMED = 5
"""What an error lists at most."""

Pattern = tuple[str, str, str]


@dataclass(frozen=True)
class Selection:
    """The folders of runs, oldest first, and which of their cases are meant."""

    text: str
    folders: tuple[Path, ...]
    pattern: Pattern = ANY

    @property
    def all_cases(self) -> bool:
        """Whether nothing of the runs is left out."""
        return self.pattern == ANY

    def fits(self, case: Case) -> bool:
        """Say whether a case is meant."""
        return _fits(self.pattern, (case.board, case.dataset, case.variant))

    def load(self) -> list[tuple[Path, CaseRun]]:
        """Return the cases that are meant, each with its run's folder; UserError if none is."""
        there = [(folder, run) for folder in self.folders for run in load_cases(folder)]
        found = [one for one in there if self.fits(one[1].case)]
        if not found:
            have = ", ".join(dict.fromkeys("/".join(_names(run.case)) for _, run in there))
            where = ", ".join(map(str, self.folders))
            raise UserError(f"{self.text!r}: no such case; {where} has {have}")
        return found


@dataclass(frozen=True)
class KnownRun:
    """What the history says of a run."""

    name: str
    folder: str
    commit: str
    dirty: bool
    branch: str


def add_history_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where the history is."""
    add = parser.add_argument
    add("--results", dest="results_dir", type=Path, default=Path("results"), metavar="DIR",
        help="where the history is; default: %(default)s")  # fmt: skip
    add("--history", type=Path, metavar="FILE", help="default: in the results folder")


def select(options: argparse.Namespace, text: str) -> Selection:
    """Return what a selection means, by the options of ``add_history_options``.

    Raises UserError for one that is none, that fits nothing, or that is ambiguous.
    """
    history = Path(options.history or options.results_dir / HISTORY_FILE)
    asked = BY_HISTORY.fullmatch(text)
    if asked is None:
        return _by_folder(text)
    pattern = _pattern(text, asked[2])
    runs = _meant(asked[1], _known(history, pattern), str(history), pattern)
    return Selection(text, tuple(_folder(history, one) for one in reversed(runs)), pattern)


def select_one(options: argparse.Namespace, text: str) -> Selection:
    """Return what a selection of a single run means; UserError where there are several."""
    found = select(options, text)
    if len(found.folders) > 1:
        names = _listed(one.name for one in reversed(found.folders))
        raise UserError(f"{text!r}: ambiguous, {len(found.folders)} runs fit; name one of {names}")
    return found


def cases_of(options: argparse.Namespace, texts: Sequence[str]) -> list[CaseRun]:
    """Return the cases that several selections mean; UserError as of ``select``."""
    return [run for text in texts for _, run in select(options, text).load()]


def _by_folder(text: str) -> Selection:
    name, colon, said = text.rpartition(":")
    if not colon or Path(text).is_dir():
        name, said = text, ""
    folders = [Path(name)] if Path(name).exists() else [Path(one) for one in name.split("+")]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{str(folder)!r}: no such folder; give {HELP}")
    once = {folder.resolve(): folder for folder in folders}
    return Selection(text, tuple(once.values()), _pattern(text, said or None))


def _pattern(text: str, said: str | None) -> Pattern:
    if said is None:
        return ANY
    board, *rest = said.split("/")
    if len(rest) != len(ANY) - 1:
        raise UserError(f"{text!r}: after the colon comes BOARD/DATASET/VARIANT; * stands for any")
    return board, rest[0], rest[1]


def _names(case: Case) -> Pattern:
    return case.board, case.dataset, case.variant


def _fits(pattern: Pattern, names: Pattern) -> bool:
    return all(map(fnmatchcase, names, pattern))


def _known(history: Path, pattern: Pattern) -> list[KnownRun]:
    """Runs that have a case which fits, newest first."""
    with History(history) as opened:
        rows = opened.select(
            "SELECT runs.*, board, dataset, variant FROM runs JOIN cases ON cases.run = runs.id "
            "ORDER BY runs.started DESC, runs.name DESC"
        )
    found = {
        row["name"]: KnownRun(
            row["name"],
            row["folder"],
            row["commit_id"] or "",
            bool(row["dirty"]),
            row["branch"] or "",
        )
        for row in rows
        if _fits(pattern, (row["board"], row["dataset"], row["variant"]))
    }
    return list(found.values())


def _meant(
    asked: str, known: Sequence[KnownRun], history: str, pattern: Pattern
) -> Sequence[KnownRun]:
    """Return the runs that are meant, newest first."""
    if not known:
        case = "" if pattern == ANY else f" of {'/'.join(pattern)}"
        raise UserError(f"{asked!r}: no run{case} in {history}")
    if asked.startswith("latest"):
        back = int(asked.partition("~")[2] or 0)
        if back >= len(known):
            plural = "s" * (len(known) != 1)
            raise UserError(f"{asked!r}: {history} has {len(known)} such run{plural}")
        return known[back : back + 1]
    kind, _, name = asked.partition(":")
    if kind == "commit":
        return _of_commit(asked, name, known, history)
    of_branch = [one for one in known if one.branch == name]
    if not of_branch:
        has = _listed(dict.fromkeys(one.branch for one in known if one.branch))
        raise UserError(f"{asked!r}: no run of this branch in {history}; it has {has}")
    return _of_commit(asked, of_branch[0].commit, of_branch, history)


def _of_commit(
    asked: str, prefix: str, known: Sequence[KnownRun], history: str
) -> Sequence[KnownRun]:
    """Return the runs of one commit; those with changed files only where there is no other."""
    found = [one for one in known if one.commit.startswith(prefix.lower())]
    commits = dict.fromkeys(one.commit for one in found)
    if not found:
        has = _listed(dict.fromkeys(one.commit[:7] for one in known if one.commit))
        raise UserError(f"{asked!r}: no run of such a commit in {history}; it has {has}")
    if len(commits) > 1:
        raise UserError(f"{asked!r}: ambiguous: {_listed(one[:12] for one in commits)}")
    return [one for one in found if not one.dirty] or found


def _folder(history: Path, run: KnownRun) -> Path:
    """Where a run's records are: beside the history, or where they were when they were made."""
    for place in (history.parent / run.name, Path(run.folder)):
        if place.is_dir():
            return place
    raise UserError(f"{run.folder}: the history has this run, but its records are gone")


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return (", ".join(found[:NAMED]) or "none") + more
