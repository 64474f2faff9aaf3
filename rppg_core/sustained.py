"""A recording over and over, for minutes: how a board fares once it is warm.

Each pass is a recording of its own, with a pipeline of its own; opening it is not counted. What
became of the frames is told minute by minute as an event on the spot, so that a board which fails
in between has lost nothing of the minutes before.
"""

import time
from typing import Any, Callable, Dict, List, Mapping, Optional

from rppg_core.errors import UserError
from rppg_core.pacing import Account, Played, Player
from rppg_core.pipeline import Pipeline
from rppg_core.video import FrameSource

PERIOD_S = 60.0
MOST_MINUTES = 7 * 24 * 60.0


def check_minutes(minutes: float) -> float:
    """`minutes` as they are. Raises UserError where they are none."""
    if not 0 < minutes <= MOST_MINUTES:
        raise UserError(f"{minutes:g} minutes are none to replay for; give more than 0")
    return minutes


class Minutes:
    """Counts frames minute by minute and says each minute's figures when it is over."""

    def __init__(
        self,
        say: Callable[[Mapping[str, Any]], None],
        minutes: float,
        period_s: float = PERIOD_S,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._period_s = period_s
        self._clock_s = clock_s
        self._start_s = self._since_s = clock_s()
        self._end_s = self._start_s + minutes * 60.0
        self._account = Account()
        self._bpm: List[Optional[float]] = []
        self.rows: List[Dict[str, Any]] = []

    def over(self) -> bool:
        """Whether the time is up."""
        return self._clock_s() >= self._end_s

    def add(self, one: Played) -> None:
        """Count a frame."""
        self._account.add(one)
        if self._clock_s() >= self._since_s + self._period_s:
            self._close()

    def heart_rate(self, bpm: Optional[float]) -> None:
        """Note what a whole pass gave; None for no heart rate."""
        self._bpm.append(bpm)

    def close(self) -> None:
        """Say the last minute's figures, of which less than a minute may have passed."""
        if self._account.frames:
            self._close()

    def _close(self) -> None:
        now_s = self._clock_s()
        row = {
            "minute": len(self.rows) + 1,
            "start_s": round(self._since_s - self._start_s, 3),
            "end_s": round(now_s - self._start_s, 3),
            "ended_uptime_s": round(time.clock_gettime(time.CLOCK_BOOTTIME), 3),
            "real_time_factor": self._account.real_time_factor,
            "bpm": self._bpm,
            **self._account.figures(),
        }
        self.rows.append(row)
        self._since_s, self._account, self._bpm = now_s, Account(), []
        self._say({"event": "minute", **row})


def sustain(
    minutes: Minutes,
    player: Player,
    make_pipeline: Callable[[], Pipeline],
    open_again: Callable[[], FrameSource],
) -> None:
    """Play the recording again and again until the time is up, in the middle of it if need be."""
    while not minutes.over():
        pipeline = make_pipeline()
        with open_again() as source:
            for one in player.play(pipeline, source):
                minutes.add(one)
                if minutes.over():
                    return
        minutes.heart_rate(_bpm(pipeline))


def _bpm(pipeline: Pipeline) -> Optional[float]:
    """What a pass gave; None where it shows no pulse, as it may with many frames dropped."""
    try:
        return pipeline.finish().bpm
    except UserError:
        return None
