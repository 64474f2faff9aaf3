"""`rppg live`: heart rate, pulse wave and quality while a camera or a video runs.

The frames go through the same pipeline as in a replay, one at a time; a video's come when they
were recorded (see `pacing`). On a terminal a few lines are drawn over and over; into a file or a
pipe goes a line for every heart rate. Where there is a display, and an OpenCV that can draw on it,
a window shows the face too.
"""

import os
import shutil
import signal
import sys
import time
from typing import Callable, Iterator, List, NamedTuple, Optional, TextIO, Tuple, Union

import cv2
import numpy as np

from rppg_core.errors import UserError
from rppg_core.live_view import Moment, estimate_line, picture, screen
from rppg_core.pacing import Player
from rppg_core.pipeline import Estimate, Pipeline, Result
from rppg_core.postprocess import PulseError, pulse_wave, quality
from rppg_core.video import Frame, FrameSource

DRAW_EVERY_S = 0.2
WAVE_S = 6.0  # how much of the pulse is shown
SHORTEST_WAVE_S = 3.0
WINDOW = "rppg live"
QUIT_KEYS = (ord("q"), 27)
HIDE_CURSOR, SHOW_CURSOR, CLEAR_LINE = "\x1b[?25l", "\x1b[?25h", "\x1b[2K"
NO_GUI = "this OpenCV draws no windows (a headless build), so the terminal only"


class Options(NamedTuple):
    """How to show it: `seconds` to stop after, `fast` for a video that is not to be waited for."""

    fast: bool = False
    seconds: Optional[float] = None
    window: bool = True


class Ended(NamedTuple):
    """How it ended: at the end of the video, or because a person or the clock stopped it."""

    stopped: bool
    at_s: float
    shown: Optional[Moment]


def show(
    source: FrameSource, title: str, pipeline: Pipeline, options: Options, out: TextIO
) -> None:
    """Measure until the source ends, the time is up or Ctrl-C, and say what it came to.

    Raises UserError for a source that breaks, and for a whole video without a heart rate.
    """
    if options.seconds is not None and not options.seconds > 0:
        raise UserError(f"{options.seconds:g} seconds are none to run for; give more than 0")
    is_video = source.declared_frames is not None
    taps = _Tap(source)
    views = _views(options, out)
    player = Player(1.0 if is_video and not options.fast else None)
    try:
        ended = _measure(player, pipeline, taps, title, options, views)
        result = _result(pipeline, source, ended)
        if isinstance(result, Result) and ended.shown is not None:
            whole = Estimate(0.0, ended.at_s, result.bpm, result.snr_db, result.lost_s)
            for view in views:
                view.draw(ended.shown._replace(estimate=whole), taps.rgb, None)
    finally:
        for view in views:
            view.close()
    out.write(_last_line(result, ended) + "\n")
    out.flush()


def _measure(
    player: Player,
    pipeline: Pipeline,
    source: "_Tap",
    title: str,
    options: Options,
    views: "List[_View]",
) -> Ended:
    """Play the source to the pipeline and draw beside it; returns how it ended."""
    estimate: Optional[Estimate] = None
    drawn_s, frames, dropped, at_s = -DRAW_EVERY_S, 0, 0, 0.0
    moment: Optional[Moment] = None
    with _Interrupt() as interrupt:
        for one in player.play(pipeline, source):
            frames += 1
            dropped += one.dropped
            at_s += one.media_s
            estimate = one.estimate or estimate
            now_s = time.monotonic()
            if one.estimate is not None or now_s - drawn_s >= DRAW_EVERY_S:
                drawn_s = now_s
                fps = frames / at_s if frames > 1 and at_s > 0 else None
                moment = _moment(pipeline, source, title, at_s, estimate, fps)
                moment = moment._replace(dropped=dropped)
                for view in views:
                    view.draw(moment, source.rgb, one.estimate)
            if options.seconds is not None and at_s >= options.seconds:
                return Ended(True, at_s, moment)
            if interrupt.came or any(view.closed for view in views):
                return Ended(True, at_s, moment)
    return Ended(False, at_s, moment)


def _moment(
    pipeline: Pipeline,
    source: "_Tap",
    title: str,
    at_s: float,
    estimate: Optional[Estimate],
    fps: Optional[float],
) -> Moment:
    of_s = None
    if source.declared_frames is not None and fps:
        of_s = source.declared_frames / fps
    first_in_s = pipeline.settings.pulse.window_s - at_s
    wave = _wave(pipeline)
    return Moment(title, at_s, of_s, estimate, first_in_s, wave, pipeline.box, fps)


def _wave(pipeline: Pipeline) -> np.ndarray:
    """The last seconds of the pulse wave (n,); empty where there is none yet."""
    pulse = pipeline.settings.pulse
    time_s, derivative = pipeline.recent(pulse.window_s)
    if len(time_s) < 2 or time_s[-1] - time_s[0] < SHORTEST_WAVE_S:
        return np.empty(0)
    try:
        wave = pulse_wave(derivative, time_s, pulse)
    except PulseError:
        return np.empty(0)
    return wave.samples[-round(WAVE_S * wave.fps) :]


def _result(pipeline: Pipeline, source: FrameSource, ended: Ended) -> Union[Result, UserError]:
    """What it came to, or why to nothing.

    Raises UserError for a video that was played to its end, as `rppg run` does.
    """
    if not ended.stopped:
        return pipeline.finish_of(source)
    try:
        return pipeline.finish()
    except UserError as bad:
        return bad


def _last_line(result: Union[Result, UserError], ended: Ended) -> str:
    if isinstance(result, UserError):
        return f"stopped after {ended.at_s:.1f} s without a heart rate: {result}"
    rating = f"SNR {result.snr_db:.1f} dB, {quality(result.snr_db)}"
    return f"{result.bpm:.1f} bpm over {result.duration_s:.1f} s ({rating})"


class _Interrupt:
    """Notes a Ctrl-C instead of tearing a frame's work in two; a second one is not held back."""

    came = False

    def __enter__(self) -> "_Interrupt":
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _note(self, *_: object) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = True


class _Tap(FrameSource):
    """A source that keeps its latest frame for showing."""

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self.declared_frames = source.declared_frames
        self.rgb = np.zeros((1, 1, 3), np.uint8)

    def __str__(self) -> str:
        return str(self._source)

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            self.rgb = frame.rgb
            yield frame

    def _read(self) -> Iterator[Tuple[float, np.ndarray]]:
        raise NotImplementedError


# --- where it is shown ----------------------------------------------------------------------------


class _View:
    """A place to show a moment; `closed` once the user wants no more."""

    closed = False

    def draw(self, moment: Moment, rgb: np.ndarray, new: Optional[Estimate]) -> None:
        """Show it; `new` is the heart rate that was completed just now."""
        raise NotImplementedError

    def close(self) -> None:
        """Leave the place as it is good to find."""


class _Log(_View):
    """A line for every heart rate."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def draw(self, moment: Moment, rgb: np.ndarray, new: Optional[Estimate]) -> None:
        if new is not None:
            self._out.write(estimate_line(new) + "\n")
            self._out.flush()


class _Terminal(_View):
    """A few lines that are drawn over and over."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._drawn = 0
        self._unicode = (out.encoding or "").lower().startswith("utf")
        self._colour = "NO_COLOR" not in os.environ

    def draw(self, moment: Moment, rgb: np.ndarray, new: Optional[Estimate]) -> None:
        width = shutil.get_terminal_size().columns - 1  # the last column makes some wrap
        lines = screen(moment, width, self._unicode, self._colour)
        back = f"\x1b[{self._drawn}A\r" if self._drawn else HIDE_CURSOR
        self._drawn = len(lines)
        self._out.write(back + "".join(f"{CLEAR_LINE}{line}\n" for line in lines))
        self._out.flush()

    def close(self) -> None:
        if self._drawn:
            self._out.write(SHOW_CURSOR)
            self._out.flush()


class _Window(_View):
    """A window with the face and the wave. Raises cv2.error where OpenCV has none to give."""

    def __init__(self) -> None:
        cv2.namedWindow(WINDOW, cv2.WINDOW_NORMAL)

    def draw(self, moment: Moment, rgb: np.ndarray, new: Optional[Estimate]) -> None:
        cv2.imshow(WINDOW, picture(rgb, moment))
        self.closed = cv2.waitKey(1) & 0xFF in QUIT_KEYS

    def close(self) -> None:
        cv2.destroyAllWindows()


def _views(
    options: Options, out: TextIO, make_window: Callable[[], _View] = _Window
) -> List[_View]:
    views: List[_View] = [_Terminal(out) if out.isatty() else _Log(out)]
    if options.window and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        try:
            views.append(make_window())
        except cv2.error:
            sys.stderr.write(f"rppg: {NO_GUI}\n")
    return views
