"""The stages in order, each timed for every frame.

Push frames one at a time (a live camera), or run a whole recording; the path is the same.
"""

from array import array
from collections import deque
from dataclasses import asdict, dataclass, field
from time import perf_counter_ns
from typing import Any, Callable, Deque, Dict, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from rppg_core.errors import NoFaceError, UserError
from rppg_core.faces import Box, Detector
from rppg_core.fingerprints import Fingerprints
from rppg_core.memory import MemoryBook
from rppg_core.postprocess import (
    PulseError,
    PulseSettings,
    PulseWave,
    heart_rate_from_derivative,
    pulse_wave,
    wave_heart_rate,
)
from rppg_core.preprocess import ENLARGEMENT, Preprocessor, Sample
from rppg_core.surroundings import Surroundings
from rppg_core.tracking import FaceTracker, TrackSettings
from rppg_core.tscan import TSCAN
from rppg_core.video import Frame, FrameSource

STAGES = ("decode", "detect", "preprocess", "predict", "postprocess")
LONGEST_STEP_S = 0.5  # frames further apart are no neighbours: their difference is no pulse
MOST_LOST = 0.5  # with the face gone for a larger share there is no heart rate to tell


@dataclass(frozen=True)
class Settings:
    """Every choice that can change a heart rate; written into every record."""

    track: TrackSettings = field(default_factory=TrackSettings)
    enlargement: float = ENLARGEMENT
    pulse: PulseSettings = field(default_factory=PulseSettings)

    def __post_init__(self) -> None:
        """Refuse settings that cannot mean anything."""
        if not 0.5 <= self.enlargement <= 4.0:
            raise UserError(f"a crop of {self.enlargement:g} face boxes is unusable; give 0.5 to 4")

    def to_dict(self) -> Dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Settings":
        """From JSON; what is left out has its default, what is unknown is refused."""
        rest = dict(given)
        try:
            track = TrackSettings(**rest.pop("track", {}))
            pulse = PulseSettings(**rest.pop("pulse", {}))
            return cls(track=track, pulse=pulse, **rest)
        except TypeError as bad:
            raise UserError(f"settings: {bad}") from None


class Estimate(NamedTuple):
    """The heart rate of one window; `bpm` and `snr_db` are None where none could be read."""

    start_s: float
    end_s: float
    bpm: Optional[float]
    snr_db: Optional[float]
    lost_s: float


@dataclass(frozen=True)
class Result:
    """What a whole recording gave.

    `time_s`, `derivative` and `lost` are (frames,); `timings_ns` has (frames,) int64 per stage.
    `boxes` lists (frame number, box) wherever the box moved.
    """

    bpm: float
    snr_db: float
    wave: PulseWave
    windows: List[Estimate]
    time_s: np.ndarray
    derivative: np.ndarray
    lost: np.ndarray
    timings_ns: Dict[str, np.ndarray]
    boxes: List[Tuple[int, Optional[Box]]]
    searches: int
    sightings: int

    @property
    def frames(self) -> int:
        """How many frames there were."""
        return len(self.time_s)

    @property
    def fps(self) -> float:
        """Mean frames per second, by the timestamps."""
        return float((self.frames - 1) / (self.time_s[-1] - self.time_s[0]))

    @property
    def duration_s(self) -> float:
        """Media time: from the first frame to the end of the last."""
        return self.frames / self.fps

    @property
    def lost_s(self) -> float:
        """Seconds without a face."""
        return float(np.mean(self.lost) * self.duration_s)

    @property
    def real_time_factor(self) -> float:
        """Processing time over media time; below 1 keeps up."""
        return float(sum(t.sum() for t in self.timings_ns.values()) / 1e9 / self.duration_s)


class Pipeline:
    """Frames in, heart rate out. One instance per recording; `clock_ns` times its stages."""

    def __init__(
        self,
        detector: Detector,
        model: TSCAN,
        settings: Optional[Settings] = None,
        clock_ns: Callable[[], int] = perf_counter_ns,
    ) -> None:
        self._clock_ns = clock_ns
        self.settings = settings or Settings()
        self._tracker = FaceTracker(detector, self.settings.track)
        self._preprocessor = Preprocessor(self.settings.enlargement)
        self._surroundings = Surroundings(self.settings.enlargement)
        self._fingerprints = Fingerprints()
        self._memory = MemoryBook(STAGES)
        self._model = model
        self._recent: Deque[Sample] = deque(maxlen=model.window)
        self._pending = 0
        self._run = 0
        self._seen_at = -1  # the frame of the last sighting
        self._moved = False
        self._time_s = array("d")
        self._derivative = array("d")
        self._lost = array("b")
        self._timings = {stage: array("q") for stage in STAGES}
        self._boxes: List[Tuple[int, Optional[Box]]] = []
        self._windows: List[Estimate] = []
        self._next_estimate_s: Optional[float] = None

    def push(self, frame: Frame, decode_ns: int = 0) -> Optional[Estimate]:
        """Take one frame; an Estimate comes back whenever a new window is complete.

        `decode_ns` is what it took to get the frame, booked to the decode stage.
        """
        for timing in self._timings.values():
            timing.append(0)
        self._timings["decode"][-1] = decode_ns
        self._memory.book("decode")
        if self._time_s and frame.time_s - self._time_s[-1] > LONGEST_STEP_S:
            self._end_run()
        self._time_s.append(frame.time_s)
        with self._timed("detect"):
            sighting = self._tracker.push(frame.number, frame.time_s, frame.rgb)
        if not sighting.searched:
            self._timings["detect"][-1] = 0  # a look at a counter is no call of the detector
        box = sighting.box
        if sighting.found:
            self._seen_at = len(self._time_s) - 1
        if not self._boxes or self._boxes[-1][1] != box:
            self._boxes.append((frame.number, box))
        if box is None:
            self._lose()
        else:
            with self._timed("preprocess"):
                sample = self._preprocessor.push(frame.rgb, box)
                if self._preprocessor.crop is not None:
                    self._surroundings.push(frame.time_s, *self._preprocessor.crop)
            if sample is None:
                self._keep(0.0, lost=False)
            else:
                self._moved = self._moved or bool(np.any(sample.difference))
                self._recent.append(sample)
                self._pending += 1
                self._run += 1
        if self._pending == self._model.window:
            self._predict()
        return self._estimate()

    def finish(self) -> Result:
        """The whole recording's result. Raises NoFaceError, PulseError."""
        if not self._time_s:
            raise UserError("no frames were given")
        self._end_run()
        if len(self._time_s) <= self._model.window:
            raise PulseError(
                f"{len(self._time_s)} frames are too short a recording for a heart rate; the "
                f"model alone takes {self._model.window} and one before them"
            )
        lost = np.array(self._lost, dtype=bool)
        if self._tracker.sightings == 0:
            raise NoFaceError(
                f"no face in any of the {self._tracker.searches} frames searched; "
                "is the face upright, lit and large enough? Another detector may find it"
            )
        if lost.mean() > MOST_LOST:
            raise NoFaceError(
                f"the face is missing in {100 * lost.mean():.0f} % of the frames; "
                "cut the recording to where it is visible"
            )
        if not self._moved:
            raise PulseError("every frame shows the same picture; it is a still, or it froze")
        time_s, derivative = np.array(self._time_s), np.array(self._derivative)
        with self._timed("postprocess"):
            wave = pulse_wave(derivative, time_s, self.settings.pulse)
            rate = wave_heart_rate(wave, self.settings.pulse)
        return Result(
            bpm=rate.bpm,
            snr_db=rate.snr_db,
            wave=wave,
            windows=list(self._windows),
            time_s=time_s,
            derivative=derivative,
            lost=lost,
            timings_ns={k: np.array(v, dtype=np.int64) for k, v in self._timings.items()},
            boxes=list(self._boxes),
            searches=self._tracker.searches,
            sightings=self._tracker.sightings,
        )

    @property
    def box(self) -> Optional[Box]:
        """Where the face is now; None where there is none."""
        return self._boxes[-1][1] if self._boxes else None

    def recent(self, seconds: float) -> Tuple[np.ndarray, np.ndarray]:
        """Times in s and derivatives, (n,) each, of the last seconds that the model has seen."""
        known = len(self._derivative)
        start = known
        while start and self._time_s[known - 1] - self._time_s[start - 1] < seconds:
            start -= 1
        return np.array(self._time_s[start:known]), np.array(self._derivative[start:known])

    def surroundings(self) -> Dict[str, Any]:
        """Light and motion so far, and the frames with a face, as JSON can hold them.

        There to be read after a failure too.
        """
        frames = len(self._time_s)
        return {
            "frames": frames,
            "frames_with_face": len(self._lost) - int(sum(self._lost)),
            **self._surroundings.to_dict(),
        }

    def fingerprints(self) -> Dict[str, Any]:
        """What the stages handed on so far, in a few numbers, as JSON can hold them."""
        return self._fingerprints.to_dict()

    def memory(self) -> Dict[str, Any]:
        """What of the process's peak memory was there before, and which stage added to it."""
        return self._memory.to_dict()

    def run(self, source: FrameSource) -> Result:
        """Every frame of `source`, then the result."""
        frames = iter(source)
        while True:
            start_ns = self._clock_ns()
            frame = next(frames, None)
            if frame is None:
                break
            self.push(frame, self._clock_ns() - start_ns)
        return self.finish_of(source)

    def finish_of(self, source: FrameSource) -> Result:
        """As `finish`; what it raises names the source that the frames are of."""
        try:
            return self.finish()
        except (NoFaceError, PulseError) as bad:
            raise type(bad)(f"{source}: {bad}") from None

    def _timed(self, stage: str) -> "_Stopwatch":
        return _Stopwatch(stage, self._timings[stage], self._clock_ns, self._memory)

    def _keep(self, derivative: float, lost: bool) -> None:
        self._derivative.append(derivative)
        self._lost.append(lost)

    def _lose(self) -> None:
        """Mark this frame as without a face, and those since it was last seen."""
        self._end_run()
        for held in range(self._seen_at + 1, len(self._derivative)):
            self._derivative[held] = 0.0
            self._lost[held] = True
        self._keep(0.0, lost=True)

    def _predict(self) -> None:
        """The model over the last window; only frames that had no value yet take one."""
        with self._timed("preprocess"):
            differences, frames = (np.stack(part) for part in zip(*self._recent))
            motion, appearance = self._preprocessor.standardise(differences, frames)
        self._fingerprint(motion[-1], appearance[-1])
        with self._timed("predict"):
            values = self._model.predict(motion, appearance)
        for value in values[-self._pending :].tolist():
            self._keep(value, lost=False)
        self._pending = 0

    def _fingerprint(self, motion: np.ndarray, appearance: np.ndarray) -> None:
        """Note what was seen and fed; it is no stage's work and is timed as none."""
        frame, seen = len(self._time_s) - 1, self._preprocessor.seen
        if seen is not None and self._fingerprints.due(frame):
            picture, crop = seen
            self._fingerprints.push(
                frame, picture=picture, crop=crop, motion=motion, appearance=appearance
            )

    def _end_run(self) -> None:
        """Close a run of frames: the rest is predicted with frames that were used before."""
        if self._pending and self._run >= self._model.window:
            self._predict()
        for _ in range(self._pending):
            self._keep(0.0, lost=True)
        self._pending = self._run = 0
        self._recent.clear()
        self._preprocessor.reset()
        self._surroundings.reset()

    def _estimate(self) -> Optional[Estimate]:
        """The newest window's heart rate, when one is due."""
        known = len(self._derivative)
        pulse = self.settings.pulse
        if known < 2 or self._pending:
            return None
        end_s = self._time_s[known - 1]
        period_s = (end_s - self._time_s[0]) / (known - 1)
        due_s = self._next_estimate_s
        if due_s is None:
            due_s = self._time_s[0] + pulse.window_s - 1.5 * period_s
        if end_s < due_s:
            return None
        self._next_estimate_s = max(due_s + pulse.step_s, end_s + 0.5 * period_s)
        with self._timed("postprocess"):
            start = int(np.searchsorted(self._time_s, end_s - pulse.window_s + 0.5 * period_s))
            estimate = self._window(start, known)
        self._windows.append(estimate)
        return estimate

    def _window(self, start: int, end: int) -> Estimate:
        time_s = np.array(self._time_s[start:end])
        lost = float(np.mean(self._lost[start:end]))
        span_s = float(time_s[-1] - time_s[0]) * len(time_s) / (len(time_s) - 1)
        bpm = snr = None
        if lost <= MOST_LOST:
            try:
                derivative = np.array(self._derivative[start:end])
                bpm, snr = heart_rate_from_derivative(derivative, time_s, self.settings.pulse)
            except PulseError:
                pass  # this window shows no pulse; the next may
        return Estimate(float(time_s[0]), float(time_s[0]) + span_s, bpm, snr, lost * span_s)


class _Stopwatch:
    """Adds the time spent inside `with` to the last entry of a row of timings.

    Memory is booked once the clock has stopped.
    """

    def __init__(
        self,
        stage: str,
        timings: "array[int]",
        clock_ns: Callable[[], int],
        memory: MemoryBook,
    ) -> None:
        self._stage = stage
        self._timings = timings
        self._clock_ns = clock_ns
        self._memory = memory

    def __enter__(self) -> None:
        self._start_ns = self._clock_ns()

    def __exit__(self, *_: object) -> None:
        self._timings[-1] += self._clock_ns() - self._start_ns
        self._memory.book(self._stage)
