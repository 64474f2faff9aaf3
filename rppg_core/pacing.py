"""Frames that come when they were recorded, as from a camera, and what became of each.

What counts, in one place:

- Frame i *arrives* at its recorded time, whatever the pipeline is doing. It waits in a buffer of
  four frames, the oldest is taken first, and one that finds the buffer full is *dropped*: so a
  camera's driver behaves, of which OpenCV asks four buffers.
- Decoding is part of the work, for a camera hands over coded frames. But a file must be decoded
  for the next frame's time to be known, and that may be before the frame arrives. Such a frame is
  handed on as late as if its decoding had begun when it arrived: decoding is charged once.
- A dropped frame is decoded all the same, as it must be where the next one is coded as a change
  to it. That takes its time, and is booked to the frame that is taken next.
- A frame is *missed* that was not finished before the next one, dropped or not, was due.
- The *backlog* is how many frames an arriving one finds waiting.
- The *delay* of a heart rate is from the arrival of the frame that completes it.

Waiting is sleeping, so the pipeline has the processor as it would have it live. Nothing else runs
beside it: who waits in the buffer follows from the times at which frames were taken.
"""

import time
from array import array
from collections import deque
from typing import Any, Callable, Deque, Dict, Iterator, List, NamedTuple, Optional

import numpy as np

from rppg_core.errors import UserError
from rppg_core.pipeline import Estimate, Pipeline
from rppg_core.video import FrameSource

FAST, REALTIME = "fast", "realtime"
BUFFER_FRAMES = 4  # DEFAULT_V4L_BUFFERS of OpenCV's videoio
MOST_SPEED = 1000.0
NS = 1e9


def parse_pace(text: str) -> Optional[float]:
    """How many times faster than recorded frames come; None for as fast as they are taken.

    `fast`, `realtime`, or `2x` for twice as fast as recorded. Raises UserError.
    """
    if text == FAST:
        return None
    if text == REALTIME:
        return 1.0
    try:
        speed = float(text[:-1]) if text.endswith("x") else 0.0
    except ValueError:
        speed = 0.0
    if not 0 < speed <= MOST_SPEED:
        raise UserError(f"unknown pace {text!r}; there are {FAST}, {REALTIME}, and 2x, 0.5x, ...")
    return speed


class Played(NamedTuple):
    """What became of one frame; times in ns on the player's clock.

    `waiting` is the backlog that it met, `busy_ns` what was spent on it, `estimate` the heart rate
    that it completed. `media_s` is the recorded time until the next frame, and `due_ns` when that
    one arrived; None where no frame comes by itself.
    """

    number: int
    arrived_ns: int
    waiting: int
    dropped: bool
    busy_ns: int
    finished_ns: int
    estimate: Optional[Estimate] = None
    media_s: float = 0.0
    due_ns: Optional[int] = None

    @property
    def missed(self) -> bool:
        """Whether the next frame was due before this one was finished."""
        return not self.dropped and self.due_ns is not None and self.finished_ns > self.due_ns

    @property
    def delay_ns(self) -> int:
        """From its arrival until it was finished."""
        return self.finished_ns - self.arrived_ns


class Player:
    """Plays a recording to a pipeline, `speed` times as fast as recorded; None: without waiting.

    Without waiting a frame arrives when it is asked for: none is late and none is dropped.
    """

    def __init__(
        self,
        speed: Optional[float] = 1.0,
        buffer_frames: int = BUFFER_FRAMES,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sleep_s: Callable[[float], None] = time.sleep,
    ) -> None:
        self.speed = speed
        self.buffer_frames = buffer_frames
        self._clock_ns = clock_ns
        self._sleep_s = sleep_s

    def play(self, pipeline: Pipeline, source: FrameSource) -> Iterator[Played]:
        """Each frame's account, in order, once the next frame's time is known.

        The pipeline is not finished. The first frame arrives when it is first asked for.
        """
        taken: Deque[int] = deque()  # when frames were taken that came before and left after now
        last: Optional[Played] = None
        start_ns = skipped_ns = 0
        time_s = step_s = 0.0
        frames = iter(source)
        while True:
            began_ns = self._clock_ns()
            frame = next(frames, None)
            decode_ns = self._clock_ns() - began_ns
            if frame is None:
                break
            if last is None:
                start_ns = began_ns - self._on_clock_ns(frame.time_s)
            else:
                step_s = frame.time_s - time_s
                yield self._close(last, step_s)
            time_s = frame.time_s
            arrived_ns = start_ns + self._on_clock_ns(time_s) if self.speed else began_ns
            while taken and taken[0] <= arrived_ns:
                taken.popleft()
            last = Played(frame.number, arrived_ns, len(taken), False, decode_ns, began_ns)
            if len(taken) >= self.buffer_frames:
                skipped_ns += decode_ns
                last = last._replace(dropped=True, finished_ns=began_ns + decode_ns)
                continue
            taken.append(max(began_ns, arrived_ns))
            self._wait(taken[-1] + decode_ns)
            handed_ns = self._clock_ns()
            estimate = pipeline.push(frame, decode_ns + skipped_ns)
            skipped_ns, done_ns = 0, self._clock_ns()
            busy_ns = decode_ns + done_ns - handed_ns
            last = last._replace(busy_ns=busy_ns, finished_ns=done_ns, estimate=estimate)
        if last is not None:
            yield self._close(last, step_s)  # nothing says when another would have come

    def _close(self, one: Played, step_s: float) -> Played:
        """With its deadline, the next frame's arrival, now that this is known."""
        due_ns = one.arrived_ns + self._on_clock_ns(step_s) if self.speed else None
        return one._replace(media_s=step_s, due_ns=due_ns)

    def _on_clock_ns(self, media_s: float) -> int:
        return int(media_s * NS / (self.speed or 1.0))

    def _wait(self, until_ns: int) -> None:
        left_ns = until_ns - self._clock_ns()
        if self.speed and left_ns > 0:
            self._sleep_s(left_ns / NS)


class Account:
    """Sums up what became of frames; of a recording, or of a minute of it."""

    def __init__(self) -> None:
        self.frames = 0
        self._dropped = array("q")
        self._missed = array("q")
        self._waiting = array("q")
        self._delays_ms = array("d")
        self._estimate_delays_ms = array("d")
        self._first_s: Optional[float] = None
        self._start_ns: Optional[int] = None
        self._busy_ns, self._media_s = 0, 0.0
        self._paced = False

    def add(self, one: Played) -> None:
        """Count one frame."""
        self.frames += 1
        self._paced = one.due_ns is not None
        if self._start_ns is None:
            self._start_ns = one.arrived_ns
        self._waiting.append(one.waiting)
        if one.dropped:
            self._dropped.append(one.number)
            return
        self._busy_ns += one.busy_ns
        self._media_s += one.media_s
        if one.missed:
            self._missed.append(one.number)
        self._delays_ms.append(one.delay_ns / 1e6)
        if one.estimate is not None:
            self._estimate_delays_ms.append(one.delay_ns / 1e6)
            if self._first_s is None and one.estimate.bpm is not None:
                self._first_s = (one.finished_ns - self._start_ns) / NS

    @property
    def real_time_factor(self) -> Optional[float]:
        """Time spent on the frames that were taken, over their recorded time."""
        return self._busy_ns / NS / self._media_s if self._media_s > 0 else None

    def figures(self) -> Dict[str, Any]:
        """Counts, backlog and delays as JSON can hold them; None where there is no figure.

        Of frames that were taken as fast as possible there are none.
        """
        delays = self._estimate_delays_ms
        p50, p99 = np.percentile(delays, (50, 99)).tolist() if delays else (None, None)
        known = self._paced
        return {
            "frames": self.frames,
            "dropped": len(self._dropped) if known else None,
            "missed": len(self._missed) if known else None,
            "backlog_max": max(self._waiting) if known else None,
            "backlog_mean": float(np.mean(self._waiting)) if known else None,
            "heart_rates": len(delays),
            "delay_p50_ms": p50 if known else None,
            "delay_p99_ms": p99 if known else None,
        }

    def to_dict(self) -> Dict[str, Any]:
        """The figures, the time to the first heart rate, and the raw values behind them.

        `frame_delays_ms` has, for each frame that was taken, the time from its arrival until it
        was finished; `heart_rate_delays_ms` the same for those that completed a heart rate.
        """
        raw: Dict[str, List[Any]] = {
            "dropped_frames": self._dropped.tolist(),
            "missed_frames": self._missed.tolist(),
            "frame_delays_ms": [round(one, 3) for one in self._delays_ms],
            "heart_rate_delays_ms": [round(one, 3) for one in self._estimate_delays_ms],
        }
        first_s = self._first_s if self._paced else None
        return {**self.figures(), "first_heart_rate_s": first_s, **raw}
