"""What a case's records say of each recording: the ground that every accuracy report stands on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.verdicts.accuracy import (
    AccuracyFigures,
    Scored,
    figures,
    intervals,
)
from harness.verdicts.intervals import FigureIntervals
from harness.verdicts.surroundings import LIGHTS, MOTIONS, Surroundings
from harness.verdicts.thresholds import Case
from harness.verdicts.waveform import WaveformError
from harness.verdicts.windows import PLANS, WHOLE, WindowScores
from rppg_core.postprocess import PulseSettings, PulseWave

# Recordings by their length: below 30 s, 30 to below 60, 60 and more.
DURATIONS = ((30.0, "below 30 s"), (60.0, "30 to 60 s"), (float("inf"), "60 s and more"))
# Conditions of these names are crossed, as the paper does for dark clips with much motion.
LIGHT_NAMES = ("lighting", "light", "illumination")
MOTION_NAME = "motion"


@dataclass(frozen=True, eq=False)
class Examined:
    """One recording; ``scored`` and ``wave`` are None where its replay failed, as ``error`` says.

    ``windows`` has one entry for each window plan.
    """

    recording: str
    subject: str
    reference_bpm: float
    convention: str
    scored: Scored | None = None
    error: str | None = None
    conditions: Mapping[str, str] = field(default_factory=dict)
    duration_s: float | None = None
    surroundings: Surroundings | None = None
    windows: Mapping[str, WindowScores] = field(default_factory=dict)
    wave: PulseWave | None = None
    waveform: WaveformError | None = None
    pulse: PulseSettings = field(default_factory=PulseSettings)


@dataclass(frozen=True, eq=False)
class CaseStudy:
    """One case: a board, a dataset and a variant."""

    case: Case
    synthetic: bool
    examined: tuple[Examined, ...]

    @property
    def scored(self) -> tuple[Scored, ...]:
        """Heart rates beside their references, of the recordings that gave one."""
        return tuple(one.scored for one in self.examined if one.scored is not None)

    @property
    def conventions(self) -> str:
        """The names of the label conventions in use."""
        return ", ".join(sorted({one.convention for one in self.examined}))


@dataclass(frozen=True)
class Slice:
    """Figures over a part of the recordings; ``failed`` of them gave no heart rate."""

    by: str
    name: str
    figures: AccuracyFigures
    intervals: FigureIntervals
    failed: int = 0


@dataclass(frozen=True)
class WindowSlice(Slice):
    """Figures over windows; ``own_truth`` of them are held to the truth of the window itself."""

    own_truth: int = 0
    untold: int = 0


def window_slices(examined: Sequence[Examined]) -> list[WindowSlice]:
    """The figures over whole recordings, and over all windows of each plan."""
    whole = [one.scored for one in examined if one.scored is not None]
    failed = len(examined) - len(whole)
    found = [
        WindowSlice("window", WHOLE, figures(whole), intervals(whole), failed, own_truth=len(whole))
    ]
    for plan in PLANS:
        parts = [one.windows[plan.name] for one in examined if plan.name in one.windows]
        rows = [row for part in parts for row in part.scored]
        if rows or any(part.silent for part in parts):
            found.append(
                WindowSlice(
                    "window",
                    plan.name,
                    figures(rows),
                    intervals(rows),
                    sum(part.silent for part in parts),
                    sum(part.own_truth for part in parts),
                    sum(part.untold for part in parts),
                )
            )
    return found


def condition_slices(examined: Sequence[Examined]) -> list[Slice]:
    """By each condition that the dataset names, and by its light and motion together."""
    names = sorted({name for one in examined for name in one.conditions})
    found = []
    for name in names:
        found += _by(name, examined, _condition(name))
    light = next((name for name in LIGHT_NAMES if name in names), None)
    if light is not None and MOTION_NAME in names:
        found += _by(
            f"{light} x {MOTION_NAME}",
            examined,
            lambda one: _both(_condition(light)(one), _condition(MOTION_NAME)(one)),
        )
    return found


def _condition(name: str) -> Callable[[Examined], str | None]:
    return lambda one: one.conditions.get(name)


def measured_slices(examined: Sequence[Examined]) -> list[Slice]:
    """By measured light and motion together, and by whether the face was there throughout."""
    order = [f"{light}, {motion}" for light in LIGHTS for motion in MOTIONS]
    found = _by(
        "measured light, motion",
        examined,
        lambda one: None if (at := one.surroundings) is None else _both(at.light, at.motion),
        order,
    )
    return found + _by(
        "face",
        examined,
        lambda one: None if one.surroundings is None else one.surroundings.face,
        ["throughout", "lost for a while"],
    )


def duration_slices(examined: Sequence[Examined]) -> list[Slice]:
    """By the length of the recording."""
    return _by("duration", examined, _duration, [name for _, name in DURATIONS])


def _duration(one: Examined) -> str | None:
    if one.duration_s is None:
        return None
    length_s = round(one.duration_s, 1)  # 59.97 s of frames are a minute
    return next(name for below_s, name in DURATIONS if length_s < below_s)


def _both(light: str | None, motion: str | None) -> str | None:
    return None if light is None or motion is None else f"{light}, {motion}"


def _by(
    by: str,
    examined: Sequence[Examined],
    key: Callable[[Examined], str | None],
    order: Sequence[str] = (),
) -> list[Slice]:
    """A slice for each value of `key`, those in `order` first; none has no slice."""
    parts: dict[str, list[Examined]] = {}
    for one in examined:
        value = key(one)
        if value is not None:
            parts.setdefault(value, []).append(one)
    names = [name for name in order if name in parts]
    names += sorted(name for name in parts if name not in order)
    return [_slice(by, name, parts[name]) for name in names]


def _slice(by: str, name: str, part: Sequence[Examined]) -> Slice:
    scored = [one.scored for one in part if one.scored is not None]
    return Slice(by, name, figures(scored), intervals(scored), len(part) - len(scored))
