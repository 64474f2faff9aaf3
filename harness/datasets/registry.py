"""datasets.yaml: which datasets there are, by name. A new kind of files is one line."""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.datasets.base import Dataset
from harness.datasets.clips import ClipSpec
from harness.datasets.cohface import CohfaceDataset
from harness.datasets.difficulty import check_names
from harness.datasets.folder import DEFAULT_CSV, FolderDataset
from harness.datasets.mmpd import MmpdDataset
from harness.datasets.plans import (
    DEFAULT_CLIPS,
    DEFAULT_CLIPS_EACH,
    DEFAULT_SEED,
    MAX_SIDE_PX,
    MIN_SECONDS,
    MIN_SIDE_PX,
    Frames,
    plan_clips,
    plan_family,
    with_pulses,
)
from harness.datasets.pulses import CONTACT, NEUROKIT, SIMULATED, contact_stretches
from harness.datasets.pure import PureDataset
from harness.datasets.selection import Selection, select
from harness.datasets.synthetic import SyntheticDataset, default_root
from harness.datasets.ubfc1 import Ubfc1Dataset
from harness.datasets.ubfc2 import Ubfc2Dataset
from harness.datasets.ubfc_phys import UbfcPhysDataset
from harness.datasets.vipl_hr_v1 import ViplHrV1Dataset
from harness.datasets.vipl_hr_v2 import ViplHrV2Dataset
from rppg_core.errors import UserError

SPLIT_MARK = ":"


class SelectionEntry(BaseModel):
    """A part of a dataset: recordings that meet every list given here."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    recordings: list[str] = []
    subjects: list[str] = []
    conditions: dict[str, str | list[str]] = {}

    def selection(self) -> Selection:
        """What is meant."""
        wanted = {
            name: (values,) if isinstance(values, str) else tuple(values)
            for name, values in self.conditions.items()
        }
        return Selection(tuple(self.recordings), tuple(self.subjects), wanted)


class DatasetEntry(SelectionEntry):
    """One entry of datasets.yaml; `splits` names parts of what its own filters leave."""

    kind: str
    splits: dict[str, SelectionEntry] = {}

    @abstractmethod
    def open(self, name: str, folder: Path) -> Dataset:
        """Make the whole dataset; a relative root starts at `folder`."""


class FilesEntry(DatasetEntry):
    """A published dataset's files; `labels` chooses the convention of the reference heart rate."""

    root: str
    labels: Literal["ppg-fft", "hr-row", "hr-row-repaired"] | None = None

    def open(self, name: str, folder: Path) -> Dataset:
        """Make the reader."""
        return READERS[self.kind](name, _root(self.root, name, folder), self.labels)


class FolderEntry(DatasetEntry):
    """`csv` is the list of videos inside the root."""

    kind: Literal["folder"]
    root: str
    csv: str = DEFAULT_CSV

    def open(self, name: str, folder: Path) -> Dataset:
        """Make the reader."""
        return FolderDataset(name, _root(self.root, name, folder), self.csv)


class SyntheticEntry(DatasetEntry):
    """Rendered clips: the small default set, or the family of difficulties (`set: full`).

    `difficulty` picks some of the family; `clips` counts the default set's, `clips_each`
    those of each difficulty. `size` is [width, height] in pixels; without `root` the clips go
    to the user's cache. `pulses` is simulated, neurokit2, or a folder of UBFC-rPPG label files.
    """

    kind: Literal["synthetic"]
    root: str | None = None
    set: Literal["default", "full"] | None = None
    difficulty: list[str] | None = Field(default=None, min_length=1)
    clips: int | None = Field(default=None, ge=1, le=1000)
    clips_each: int | None = Field(default=None, ge=1, le=100)
    seconds: float = Field(default=20.0, ge=MIN_SECONDS, le=600.0)
    seed: int = Field(default=DEFAULT_SEED, ge=0)
    size: list[int] = Field(default=[640, 480], min_length=2, max_length=2)
    pulses: str = SIMULATED

    @model_validator(mode="after")
    def _fits_together(self) -> SyntheticEntry:
        family = self.set == "full" or (self.set is None and self.difficulty is not None)
        if self.difficulty is not None and not family:
            raise ValueError("`difficulty` picks from `set: full`; leave one of the two out")
        if family and self.clips is not None:
            raise ValueError("`clips` is the default set's; with difficulties say `clips_each`")
        if not family and self.clips_each is not None:
            raise ValueError("`clips_each` is for `set: full`; in the default set say `clips`")
        try:
            check_names(self.difficulty or ())
        except UserError as error:
            raise ValueError(str(error)) from None
        return self

    def open(self, name: str, folder: Path) -> Dataset:
        """Plan the clips; none is rendered yet."""
        width, height = self.size
        even = width % 2 == 0 and height % 2 == 0
        if not (even and all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in self.size)):
            raise UserError(
                f"dataset {name}: size: even numbers from {MIN_SIDE_PX} to {MAX_SIDE_PX} "
                f"expected, not {self.size}"
            )
        root = _root(self.root, name, folder) if self.root is not None else default_root()
        if self.set == "full" or self.difficulty is not None:
            family = plan_family(
                Frames(self.seconds, self.seed, width, height),
                self.clips_each or DEFAULT_CLIPS_EACH,
            )
        else:
            family = plan_clips(self.clips or DEFAULT_CLIPS, self.seconds, self.seed, width, height)
        try:
            family = self._with_pulses(family, name, folder)
        except UserError as error:
            raise UserError(f"dataset {name}: {error}") from None
        clips = [
            clip for clip in family if self.difficulty is None or clip.difficulty in self.difficulty
        ]
        return SyntheticDataset(name, root, clips, family)

    def _with_pulses(self, clips: list[ClipSpec], name: str, folder: Path) -> list[ClipSpec]:
        if self.pulses == SIMULATED:
            return clips
        if self.pulses == NEUROKIT:
            return with_pulses(clips, NEUROKIT)
        labels = _root(self.pulses, name, folder, "pulses")
        return with_pulses(clips, CONTACT, contact_stretches(labels, self.seconds))


READERS: dict[str, type[Dataset]] = {
    reader.kind: reader
    for reader in (
        Ubfc1Dataset,
        Ubfc2Dataset,
        ViplHrV2Dataset,
        ViplHrV1Dataset,
        PureDataset,
        UbfcPhysDataset,
        CohfaceDataset,
        MmpdDataset,
    )
}
KINDS: dict[str, type[DatasetEntry]] = {
    **dict.fromkeys(READERS, FilesEntry),
    "folder": FolderEntry,
    "synthetic": SyntheticEntry,
}


def load_datasets(path: Path) -> dict[str, DatasetEntry]:
    """Parse a datasets file; UserError names the entry and field that are wrong."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such datasets file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    # Dates and integers out of range surface as ValueError from the constructors.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(document, dict) or not document:
        raise UserError(f"{path}: expected entries of the form `name: {{kind: ..., root: ...}}`")
    return {str(name): _parse_entry(f"{path}: {name}", body) for name, body in document.items()}


def open_dataset(name: str, path: Path) -> Dataset:
    """Make the dataset called `name` in a datasets file; `NAME:SPLIT` is a split of it.

    UserError lists the names that exist.
    """
    entries = load_datasets(path)
    of, _, split = name.partition(SPLIT_MARK)
    if name in entries:
        of, split = name, ""
    elif of not in entries:
        raise UserError(f"no dataset {name!r} in {path}; it has: {', '.join(sorted(entries))}")
    entry = entries[of]
    dataset = select(entry.open(of, path.resolve().parent), entry.selection())
    if not split:
        return dataset
    if split not in entry.splits:
        known = ", ".join(sorted(entry.splits)) or "none; add it under `splits:`"
        raise UserError(f"dataset {of} in {path} has no split {split!r}; it has: {known}")
    return select(dataset, entry.splits[split].selection(), name)


def _parse_entry(where: str, body: object) -> DatasetEntry:
    kind = body.get("kind") if isinstance(body, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise UserError(f"{where}: kind: must be one of {', '.join(KINDS)}, not {kind!r}")
    try:
        return KINDS[kind].model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where}: {field}: {first['msg']}") from None


def _root(text: str, name: str, folder: Path, field: str = "root") -> Path:
    expanded = os.path.expandvars(text)
    unset = re.search(r"\$\{?(\w+)", expanded)
    if unset:
        raise UserError(f"dataset {name}: {field}: the variable {unset[1]} is not set")
    try:
        return folder / Path(expanded).expanduser()
    except RuntimeError as error:  # ~nobody-we-know
        raise UserError(f"dataset {name}: {field}: {error}") from None
