"""Putting on a board what it lacks: files by their content, folders as trees of links to them."""

from __future__ import annotations

import errno
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.boards.base import PutReport
from harness.boards.digests import Digests
from harness.boards.errors import BoardError, Kind
from harness.boards.onboard.cache import BLOCK_BYTES
from rppg_core.errors import UserError

LEFT_OUT = ("lightening", "__pycache__")
"""Folders of the pipeline's package that a board has no use for."""
RESERVE_BYTES = 16 * 2**20
"""Space that must be left for records and compiled Python."""
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,16}")


Ask = Callable[[dict[str, Any], str], dict[str, Any]]
"""Sends a request to the agent, with what is being done; raises ``BoardError``."""
Send = Callable[[Path, str, int], int]
"""Copies a file to a path on the board, from an offset on; returns the bytes sent.

``OSError`` if the board refuses.
"""


@dataclass
class _Wanted:
    """The files and trees of one transfer, each content once."""

    files: list[tuple[str, str, int]] = field(default_factory=list)
    sources: list[Path] = field(default_factory=list)
    trees: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    _index: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """Return what these files and trees are called on the board."""
        return {sha256 + suffix for sha256, suffix, _ in self.files} | set(self.trees)

    def add(self, path: Path, digests: Digests) -> int:
        try:
            sha256, size_bytes = digests.sha256(path)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
        suffix = path.suffix if _SUFFIX.fullmatch(path.suffix) else ""
        index = self._index.setdefault((sha256, suffix), len(self.files))
        if index == len(self.files):
            self.files.append((sha256, suffix, size_bytes))
            self.sources.append(path)
        return index

    def add_tree(self, members: Mapping[str, Path], digests: Digests) -> str:
        """Return the tree's id: the hash of its names and their contents."""
        entries = [(name, self.add(path, digests)) for name, path in sorted(members.items())]
        listing = json.dumps([(name, self.files[index][0]) for name, index in entries])
        tree = hashlib.sha256(listing.encode("ascii")).hexdigest()
        self.trees[tree] = entries
        return tree


class Store:
    """The store in a board's work folder, seen from the host."""

    def __init__(self, *, board: str, workdir: str, ask: Ask, send: Send, digests: Digests) -> None:
        self._ask = ask
        self._send_file = send
        self._board = board
        self._workdir = workdir
        self._digests = digests
        self._package: set[str] = set()
        self._in_use: set[str] = set()
        self.environment = ""
        """Name of the packages' folder that replays import from; empty where there is none."""
        self._verified: dict[str, str] = {}
        self.budget_bytes = 0
        """Most that the work folder may take up; 0 for as much as there is."""

    @property
    def kept(self) -> set[str]:
        """Names of what must not leave to make room."""
        return self._package | self._in_use | ({self.environment} - {""})

    def put(self, paths: Iterable[Path], *, ahead: bool = False) -> PutReport:
        """Put files and folders of images; a folder keeps its file names, a file does not.

        What was put before may go to make room, and is not looked at again before ``forget``.
        ``ahead`` is for files that are wanted next: those of the last put stay then.
        """
        wanted = _Wanted()
        places: dict[Path, tuple[str, str]] = {}
        for path in paths:
            if path.is_dir():
                places[path] = ("trees", wanted.add_tree(_images(path), self._digests))
            else:
                sha256, suffix, _ = wanted.files[wanted.add(path, self._digests)]
                places[path] = ("store", sha256 + suffix)
        if not ahead:
            self._in_use = wanted.names
        there = {path: self._verified.get(name, "") for path, (_, name) in places.items()}
        if all(there.values()) and not self.budget_bytes:  # with one, use has to be told
            self._digests.save()
            return PutReport(there, files=len(wanted.files))
        return self._transfer(wanted, places, "sending files")

    def expect(self, paths: Iterable[Path]) -> None:
        """See at once which of many files are there, so that ``put`` need not ask for each.

        Those that were never hashed here are left out: that would take long. So are folders, whose
        files are looked at in any case, and all of them under a budget.
        """
        wanted = _Wanted()
        for path in paths:
            if path.is_file() and self._digests.known(path):
                wanted.add(path, self._digests)
        if not wanted.files or self.budget_bytes:
            return
        request = {"op": "present", "root": self._workdir, "files": wanted.files}
        answer = self._ask(request, "looking for files")
        names = ["".join(wanted.files[index][:2]) for index in answer["present"]]
        self._verified.update((name, f"{answer['root']}/store/{name}") for name in names)

    def forget(self) -> None:
        """Something befell the board: what was there before has to be looked at again."""
        self._verified.clear()

    def put_package(self, package: Path) -> PutReport:
        """Put a Python package; its board path is the folder to import it from."""
        wanted = _Wanted()
        members = package_files(package)
        if not members:
            raise UserError(f"{package}: no such package to deploy")
        tree = wanted.add_tree(members, self._digests)
        self._package = wanted.names
        return self._transfer(wanted, {package: ("trees", tree)}, "deploying the pipeline")

    def _transfer(
        self, wanted: _Wanted, places: Mapping[Path, tuple[str, str]], doing: str
    ) -> PutReport:
        self._digests.save()
        answer = self._sync(wanted, [], doing)
        missing: list[int] = answer["missing"]
        sent_bytes = 0
        if missing:
            self._check_space(wanted, answer, doing)
            sent_bytes = self._send(wanted, answer, doing)
            resumed = any(answer["begun"])
            answer = self._sync(wanted, missing, doing)
            if answer["missing"] and resumed:  # then what was there was no good
                sent_bytes += self._send(wanted, answer, doing)
                answer = self._sync(wanted, answer["missing"], doing)
            if answer["missing"]:
                damaged = wanted.sources[answer["missing"][0]]
                raise self._failed(
                    f"{damaged} arrived damaged, or changed on the way", doing, retryable=True
                )
        board_paths = {
            path: f"{answer['root']}/{kind}/{name}" for path, (kind, name) in places.items()
        }
        if missing:  # then others may have made room
            stay = self.kept
            self._verified = {name: at for name, at in self._verified.items() if name in stay}
        # The agent looks at single files before each replay; trees it cannot tell by their names.
        self._verified.update(
            (name, board_paths[path]) for path, (kind, name) in places.items() if kind == "store"
        )
        return PutReport(
            board_paths=board_paths,
            files=len(wanted.files),
            sent_files=len(missing),
            sent_bytes=sent_bytes,
        )

    def _sync(self, wanted: _Wanted, arrived: Iterable[int], doing: str) -> dict[str, Any]:
        names = [wanted.files[index][:2] for index in arrived]
        request = {
            "op": "sync",
            "root": self._workdir,
            "arrived": [["".join(name), *name] for name in names],
            "files": wanted.files,
            "trees": wanted.trees,
            "keep": sorted(self.kept),
            "budget_bytes": self.budget_bytes,
            "reserve_bytes": RESERVE_BYTES,
        }
        return self._ask(request, doing)

    def _send(self, wanted: _Wanted, plan: Mapping[str, Any], doing: str) -> int:
        """Send what is missing, going on where it broke off; return the bytes that were sent.

        A transfer that a broken link ends stays, to be gone on with; one that the board refuses
        goes.
        """
        sent_bytes = 0
        for index, begun in zip(plan["missing"], plan["begun"], strict=True):
            name = "".join(wanted.files[index][:2])
            try:
                sent_bytes += self._send_file(
                    wanted.sources[index], f"{plan['root']}/incoming/{name}", begun
                )
            except OSError as error:
                missing = [wanted.files[one][:2] for one in plan["missing"]]
                self._discard(map("".join, missing), doing)
                # SFTP has no code for a full disk, so the board is asked.
                self._check_space(wanted, self._sync(wanted, [], doing), doing, refused=error)
                raise self._failed(
                    f"the board refused {wanted.sources[index]} ({error})", doing, retryable=False
                ) from error
        return sent_bytes

    def _discard(self, arrived: Iterable[str], doing: str) -> None:
        request = {"op": "discard", "root": self._workdir, "names": list(arrived)}
        self._ask(request, doing)

    def _check_space(
        self,
        wanted: _Wanted,
        plan: Mapping[str, Any],
        doing: str,
        refused: OSError | None = None,
    ) -> None:
        missing = [wanted.files[index][2] for index in plan["missing"]]
        begun = sum(plan["begun"])
        needed = sum(size + BLOCK_BYTES for size in missing) - begun + RESERVE_BYTES
        full = refused is not None and refused.errno in (errno.ENOSPC, errno.EDQUOT)
        if self.budget_bytes and plan["free_bytes"] >= needed and plan["short_bytes"]:
            raise UserError(
                f"{self._board}: {_megabytes(needed)} needed at once, and its disk budget of "
                f"{_megabytes(self.budget_bytes)} has no room for it; raise 'disk_budget'"
            )
        if full or plan["free_bytes"] < needed:
            raise self._failed(
                f"no space in {plan['root']}: {_megabytes(needed)} needed, "
                f"{_megabytes(plan['free_bytes'])} free",
                doing,
                retryable=False,
                hint=f"free some there (all of {plan['root']}/store can be deleted), "
                "or set 'workdir' of this board to a larger disk",
                kind="out of disk",
            )

    def _failed(
        self,
        message: str,
        doing: str,
        *,
        retryable: bool,
        hint: str = "",
        kind: Kind = "other",
    ) -> BoardError:
        return BoardError(
            message, board=self._board, doing=doing, retryable=retryable, hint=hint, kind=kind
        )


def package_files(package: Path) -> dict[str, Path]:
    """Return what a board needs of a Python package, by paths that begin with its name."""
    return {
        path.relative_to(package.parent).as_posix(): path
        for path in sorted(package.rglob("*"))
        if path.is_file() and not set(path.relative_to(package).parts) & set(LEFT_OUT)
    }


def _images(folder: Path) -> dict[str, Path]:
    """Return the files of a folder of images by name; names stay, for their order means time."""
    files = {path.name: path for path in folder.iterdir() if path.is_file()}
    if not files:
        raise UserError(f"{folder}: holds no files")
    return files


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
