"""How a board fares when frames come by themselves, and when it has to go on for minutes.

What a dropped and a missed frame, the backlog and the delay are is said in ``rppg_core.pacing``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

SHORTEST_MINUTE = 0.5
"""Of the longest one: a minute that was cut shorter is shown, and not judged."""


@dataclass(frozen=True)
class PacedRun:
    """One replay at the pace of its recording.

    ``delays_ms`` are from the arrival of a frame to the heart rate that it completed;
    ``first_s`` is from the first frame to the first heart rate, None where there was none.

    Raises:
        ValueError: no frame, or counts that cannot be.
    """

    recording: str
    frames: int
    dropped: int
    missed: int
    backlog_max: int
    backlog_mean: float
    delays_ms: tuple[float, ...]
    first_s: float | None

    def __post_init__(self) -> None:
        if not (0 <= self.dropped < self.frames and 0 <= self.missed <= self.taken):
            raise ValueError(
                f"{self.recording}: {self.dropped} dropped and {self.missed} missed "
                f"of {self.frames} frames cannot be"
            )

    @property
    def taken(self) -> int:
        """Frames that were not dropped."""
        return self.frames - self.dropped


@dataclass(frozen=True)
class RealTimeReport:
    """All paced replays of a case; a figure is None where there is nothing to take it from.

    Dropped frames are in percent of all, missed ones of those that were taken. Percentiles are
    over the ``heart_rates`` of all recordings, ``first_s`` is the median of the recordings.
    """

    runs: int
    frames: int
    dropped_percent: float | None
    missed_percent: float | None
    backlog_mean: float | None
    backlog_max: int | None
    heart_rates: int
    delay_p50_ms: float | None
    delay_p99_ms: float | None
    first_s: float | None


def measure_realtime(runs: Sequence[PacedRun]) -> RealTimeReport:
    """Sum up paced replays of one variant on one board."""
    frames, taken = sum(one.frames for one in runs), sum(one.taken for one in runs)
    delays_ms = [delay for one in runs for delay in one.delays_ms]
    p50, p99 = np.percentile(delays_ms, (50, 99)).tolist() if delays_ms else (None, None)
    firsts = [one.first_s for one in runs if one.first_s is not None]
    return RealTimeReport(
        runs=len(runs),
        frames=frames,
        dropped_percent=100 * (frames - taken) / frames if runs else None,
        missed_percent=100 * sum(one.missed for one in runs) / taken if runs else None,
        backlog_mean=sum(one.backlog_mean * one.frames for one in runs) / frames if runs else None,
        backlog_max=max((one.backlog_max for one in runs), default=None),
        heart_rates=len(delays_ms),
        delay_p50_ms=p50,
        delay_p99_ms=p99,
        first_s=float(np.median(firsts)) if firsts else None,
    )


@dataclass(frozen=True)
class Minute:
    """One minute of a recording that is replayed over and over; the last may be shorter.

    Frames were not paced where ``dropped`` is None. ``mae_bpm`` is over the passes that ended in
    this minute; ``temperature_c`` is the highest, ``mhz`` the lowest clock that was seen.
    """

    number: int
    seconds: float
    frames: int
    real_time_factor: float | None
    dropped: int | None = None
    missed: int | None = None
    backlog_max: int | None = None
    delay_p99_ms: float | None = None
    mae_bpm: float | None = None
    temperature_c: float | None = None
    mhz: float | None = None

    @property
    def dropped_percent(self) -> float | None:
        """Of all frames."""
        return None if self.dropped is None else 100 * self.dropped / self.frames

    @property
    def missed_percent(self) -> float | None:
        """Of the frames that were taken."""
        if self.missed is None or self.dropped is None or self.dropped == self.frames:
            return None
        return 100 * self.missed / (self.frames - self.dropped)


@dataclass(frozen=True)
class SustainedRun:
    """One recording over and over: its minutes in order, and when the board throttled first.

    ``throttled`` says by what; ``unfinished`` why there are fewer minutes than were asked for.
    """

    recording: str
    asked_minutes: float
    minutes: tuple[Minute, ...]
    throttled_after_s: float | None = None
    throttled: tuple[str, ...] = ()
    unfinished: str | None = None

    @property
    def judged(self) -> tuple[Minute, ...]:
        """The minutes that are long enough to be judged."""
        longest = max((one.seconds for one in self.minutes), default=0.0)
        return tuple(one for one in self.minutes if one.seconds >= SHORTEST_MINUTE * longest)


@dataclass(frozen=True)
class Standing:
    """A target's place among others by its real-time factor, in the first and in the last minute.

    ``target`` names board and variant; places count from 1.
    """

    target: str
    first: float
    last: float
    first_place: int
    last_place: int
    last_minute: int
    throttled_after_s: float | None

    @property
    def change_percent(self) -> float:
        """How much slower the last minute was than the first."""
        return 100 * (self.last / self.first - 1)


def rank(targets: Mapping[str, Sequence[SustainedRun]]) -> tuple[Standing, ...]:
    """Return targets by their last minute, fastest first; one without figures is left out.

    Where a target has several recordings, its factor is their mean.
    """
    factors = {name: ends for name, runs in targets.items() if (ends := _ends(runs))}
    places = [
        {name: place for place, name in enumerate(sorted(factors, key=by_end), 1)}
        for by_end in (lambda name: factors[name][0], lambda name: factors[name][1])
    ]
    found = [
        Standing(
            name,
            first,
            last,
            places[0][name],
            places[1][name],
            max(run.judged[-1].number for run in targets[name] if run.judged),
            min(
                (one.throttled_after_s for one in targets[name] if one.throttled_after_s),
                default=None,
            ),
        )
        for name, (first, last) in factors.items()
    ]
    return tuple(sorted(found, key=lambda one: one.last_place))


def _ends(runs: Sequence[SustainedRun]) -> tuple[float, float] | None:
    """Real-time factors of the first and the last minute, means over the recordings."""
    ends = [
        (known[0], known[-1])
        for run in runs
        if (known := [f for one in run.judged if (f := one.real_time_factor) is not None])
    ]
    if not ends:
        return None
    first, last = np.mean(ends, axis=0).tolist()
    return first, last
