"""Every recording through every variant, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.reports.page.shown import Shown
from harness.verdicts.accuracy import HeartRateGroup

FAR_BPM = 5.0
"""A heart rate further off than this is marked."""


@dataclass(frozen=True)
class RecordingRow:
    """One recording through one variant; a failed one has a reason instead of figures."""

    recording: str
    subject: str
    conditions: str
    board: str
    dataset: str
    variant: str
    group: str
    truth_bpm: float
    estimate_bpm: float | None
    error_bpm: float | None
    snr_db: float | None
    speed: float | None
    note: str = ""

    @property
    def far(self) -> bool:
        """Whether it needs a look."""
        return self.error_bpm is None or abs(self.error_bpm) > FAR_BPM


def recording_rows(cases: Sequence[Shown]) -> list[RecordingRow]:
    """Every recording through every variant, the largest error first, failures before all."""
    rows = [row for one in cases for row in _recordings(one)]
    rows.sort(
        key=lambda row: (
            -(float("inf") if row.error_bpm is None else abs(row.error_bpm)),
            row.recording,
            row.variant,
        )
    )
    return rows


def _recordings(one: Shown) -> Iterator[RecordingRow]:
    invalid = one.run.invalid
    conditions = _telling(one)
    for examined, replay in zip(one.study.examined, one.run.replays, strict=True):
        found, record = examined.scored, replay.record
        notes = [examined.error or ""]
        if examined.recording in invalid:
            notes.append(f"times not counted: {invalid[examined.recording]}")
        speed: float | None = None
        if record.ok and examined.recording not in invalid:
            taken = sum(int(row.sum()) for row in record.timings_ns.values())
            per = 1e6 * len(record.times_s) if one.counts else 1e9 * record.duration_s
            speed = taken / per
        yield RecordingRow(
            recording=examined.recording,
            subject=examined.subject,
            conditions=", ".join(
                f"{name}: {value}"
                for name, value in examined.conditions.items()
                if name in conditions
            ),
            board=one.run.case.board,
            dataset=one.run.case.dataset,
            variant=one.run.case.variant,
            group=HeartRateGroup.of(examined.reference_bpm).value,
            truth_bpm=examined.reference_bpm,
            estimate_bpm=None if found is None else found.estimate_bpm,
            error_bpm=None if found is None else found.error_bpm,
            snr_db=None if found is None else found.snr_db,
            speed=speed,
            note="; ".join(filter(None, notes)),
        )


def _telling(one: Shown) -> set[str]:
    """The conditions that are not the same in every recording."""
    values: dict[str, set[str]] = {}
    for examined in one.study.examined:
        for name, value in examined.conditions.items():
            values.setdefault(name, set()).add(value)
    return {name for name, found in values.items() if len(found) > 1}
