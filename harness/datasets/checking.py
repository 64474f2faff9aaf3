"""The label check of a whole dataset. Only findings are kept of a recording, not its signals."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context

import cv2
import numpy as np

from harness.datasets.base import Dataset, Recording
from harness.datasets.conventions import CONVENTIONS, LISTED, references
from harness.datasets.defects import UNREPAIRED, Container, Defect, find_defects
from harness.datasets.repair import RepairedRow, repair_heart_rate
from harness.datasets.signals import Signals
from harness.workers import end_with_parent
from rppg_core.errors import UserError

COPIES_OF_ONE_VALUE = 3  # two clips of a person have the same 0.1 bpm often enough by chance
UNREADABLE = "unreadable"
WORTH_A_HELPER = 800  # recordings; fewer are checked while a second process starts
MAIN_SHARE = 0.6  # of the recordings; the helper has to start first
MIN_CHANGES = 5  # of a row that could not be another's by chance


@dataclass(frozen=True)
class Checked:
    """What the check found out about one recording.

    `references` are its heart rates in bpm by each convention that the dataset offers; `repaired`
    is how many readings each repair changes; `unreadable` why there are no labels at all.
    """

    recording: str
    subject: str
    defects: tuple[Defect, ...] = ()
    references: dict[str, float | None] = field(default_factory=dict)
    repaired: dict[str, int] = field(default_factory=dict)
    unreadable: str | None = None
    take: str = ""
    fingerprint: tuple[object, ...] | None = None

    def unrepaired(self, convention: str) -> tuple[str, ...]:
        """Codes of what makes the truth by a convention wrong, or leaves none."""
        if self.unreadable is not None:
            return (UNREADABLE,)
        return tuple(one.code for one in self.defects if one.state(convention) == UNREPAIRED)


def check_dataset(dataset: Dataset) -> list[Checked]:
    """The check of every recording, in order; UserError where none is listed."""
    recordings = dataset.recordings()
    if len(recordings) < WORTH_A_HELPER:
        return list(_with_copies(_check_all(dataset, recordings)))
    # One helper, not a pool: two processes keep two cores busy in half the memory of three.
    # Spawned, not forked: the caller may have threads, and OpenCV does not survive a fork.
    middle = round(MAIN_SHARE * len(recordings))
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=end_with_parent) as helper:
        rest = helper.submit(_check_all, dataset, recordings[middle:])
        checked = _check_all(dataset, recordings[:middle])
        return list(_with_copies([*checked, *rest.result()]))


def _check_all(dataset: Dataset, recordings: Sequence[Recording]) -> list[Checked]:
    return [check_recording(dataset, recording) for recording in recordings]


def check_recording(dataset: Dataset, recording: Recording) -> Checked:
    """The check of one recording by itself, and of its video's container where that is here."""
    try:
        signals = dataset.signals(recording)
    except UserError as bad:
        return Checked(recording.id, recording.subject, unreadable=str(bad))
    row = None if signals.hr_bpm is None else repair_heart_rate(signals.hr_bpm)
    found = references(signals, dataset.conventions, recording.id, row)
    defects = find_defects(signals, row, found, probe(recording))
    for convention in (name for name, bpm in found.items() if bpm is None):
        defects.append(Defect("no-heart-rate", 1, f"none by {convention}", (convention,)))
    return Checked(
        recording.id,
        recording.subject,
        tuple(defects),
        found,
        {} if row is None else _repaired(row),
        take=dataset.take(recording),
        fingerprint=_fingerprint(signals, recording, LISTED in dataset.conventions),
    )


def probe(recording: Recording) -> Container | None:
    """What the recording's container says; None without a video file that OpenCV opens."""
    if not recording.video.is_file():
        return None
    capture = cv2.VideoCapture(str(recording.video))
    try:
        if not capture.isOpened():
            return None
        frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        rate_hz = capture.get(cv2.CAP_PROP_FPS)
        return Container(int(frames) if frames > 0 else None, rate_hz if rate_hz > 0 else None)
    finally:
        capture.release()


def _repaired(row: RepairedRow) -> dict[str, int]:
    parts = {"unwrapped": row.wrapped, "replaced": row.glitches, "left out": row.outside}
    return {name: int(np.count_nonzero(changed)) for name, changed in parts.items()}


def _fingerprint(signals: Signals, recording: Recording, listed: bool) -> tuple[object, ...] | None:
    """Equal for recordings whose labels were copied; None where that could be chance.

    Values `listed` by hand are round, and those of one person's clips often the same.
    """
    for values in (signals.ppg, signals.hr_bpm):
        if values is not None and np.count_nonzero(np.diff(values)) >= MIN_CHANGES:
            return (hashlib.blake2b(values.tobytes(), digest_size=16).digest(),)
    if signals.hr_bpm is not None and len(signals.hr_bpm) == 1 and not listed:
        return (recording.subject, float(signals.hr_bpm[0]))
    return None


def _with_copies(checked: Sequence[Checked]) -> Iterator[Checked]:
    alike: dict[tuple[object, ...], list[Checked]] = {}
    for one in checked:
        if one.fingerprint is not None:
            alike.setdefault(one.fingerprint, []).append(one)
    for one in checked:
        same = alike.get(one.fingerprint, []) if one.fingerprint is not None else []
        others = [other.recording for other in same if other.take != one.take]
        of_one_value = one.fingerprint is not None and len(one.fingerprint) > 1
        if len(others) + 1 < (COPIES_OF_ONE_VALUE if of_one_value else 2):
            yield one
            continue
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        text = f"same labels as {others[0]}{more}"
        copied = Defect("copied", len(others), text, CONVENTIONS)
        yield replace(one, defects=(*one.defects, copied))
