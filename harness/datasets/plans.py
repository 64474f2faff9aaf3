"""Which clips a synthetic dataset has: the small default set, and the family of difficulties."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.datasets.clips import FPS, ClipSpec
from harness.datasets.difficulty import DIFFICULTIES, GROUPS_BPM, Difficulty, Scene
from harness.datasets.pulses import NEUROKIT, SIMULATED, Kind, PulseSource, Stretch
from rppg_core.errors import UserError

DEFAULT_SEED = 2024
DEFAULT_CLIPS = 12
DEFAULT_CLIPS_EACH = 6  # clips of each difficulty: two of each group
MIN_SECONDS = 4.0  # room for three beats of the slowest clip
MIN_SIDE_PX, MAX_SIDE_PX = 160, 1920

PULSE_AMPLITUDE = (0.005, 0.010)  # peak to peak in green
SKIN_TONES = (0.0, 1.0)


@dataclass(frozen=True)
class Frames:
    """What all clips of a set have in common."""

    seconds: float
    seed: int
    width: int
    height: int


def plan_clips(clips: int, seconds: float, seed: int, width: int, height: int) -> list[ClipSpec]:
    """Spread clips over the groups of heart rate, every second one of a group with head motion."""
    rng = np.random.default_rng(seed)
    groups = len(GROUPS_BPM)
    frames = Frames(seconds, seed, width, height)
    ranges = tuple(GROUPS_BPM.values())
    return [
        _clip(
            f"subject{number + 1}",
            rng,
            frames,
            _rate(rng, ranges, number, clips),
            moving=(number // groups + number % groups) % 2 == 1,
        )
        for number in range(clips)
    ]


def plan_family(frames: Frames, clips_each: int) -> list[ClipSpec]:
    """`clips_each` clips of each difficulty, evenly over the groups of heart rate.

    A difficulty of several scenes has one clip of each group for each, if that is more.
    """
    planned = []
    for name, difficulty in DIFFICULTIES.items():
        rng = np.random.default_rng([frames.seed, zlib.crc32(name.encode())])
        planned += _plan_difficulty(name, difficulty, rng, frames, clips_each)
    return planned


def with_pulses(
    clips: Sequence[ClipSpec], kind: Kind, stretches: Sequence[Stretch] = ()
) -> list[ClipSpec]:
    """The clips with pulses of another source; contact pulses are those nearest in rate.

    Raises UserError where the contact pulses have none for one of the groups.
    """
    if kind == SIMULATED:
        return list(clips)
    if kind == NEUROKIT:
        return [replace(clip, pulse=PulseSource(NEUROKIT)) for clip in clips]
    used: dict[Stretch, int] = {}
    chosen = []
    for clip in clips:
        stretch = _nearest(clip, stretches, used)
        used[stretch] = used.get(stretch, 0) + 1
        chosen.append(replace(clip, bpm=stretch.bpm, pulse=stretch.source))
    return chosen


def _nearest(clip: ClipSpec, stretches: Sequence[Stretch], used: Mapping[Stretch, int]) -> Stretch:
    """The least used stretch of the clip's group, and of those the nearest in rate."""
    difficulty = DIFFICULTIES.get(clip.difficulty, DIFFICULTIES["still"])
    name, (low, high) = next(one for one in difficulty.groups if one[1][0] <= clip.bpm <= one[1][1])
    fitting = [one for one in stretches if low <= one.bpm <= high]
    if not fitting:
        raise UserError(
            f"pulses: no stretch of {clip.times_s()[-1]:.0f} s with {low:g} to {high:g} bpm (group "
            f"{name}) in these label files; give more of them, or shorter clips"
        )
    return min(fitting, key=lambda one: (used.get(one, 0), abs(one.bpm - clip.bpm)))


def _plan_difficulty(
    name: str,
    difficulty: Difficulty,
    rng: np.random.Generator,
    frames: Frames,
    clips_each: int,
) -> list[ClipSpec]:
    groups = len(difficulty.groups)
    ranges = tuple(bounds for _, bounds in difficulty.groups)
    scenes = difficulty.scenes
    clips = max(clips_each, groups * len(scenes)) if len(scenes) > 1 else clips_each
    return [
        _clip(
            f"{name}-{number + 1}",
            rng,
            frames,
            _rate(rng, ranges, number, clips),
            difficulty.moving,
            name,
            scenes[number // groups % len(scenes)],
        )
        for number in range(clips)
    ]


def _rate(
    rng: np.random.Generator, ranges: Sequence[tuple[float, float]], number: int, clips: int
) -> float:
    """A mean heart rate for clip `number` of `clips`, the groups in turn."""
    group, place = number % len(ranges), number // len(ranges)
    low, high = ranges[group]
    steps = (clips - group + len(ranges) - 1) // len(ranges)
    # One rate from each of equal parts of the range, so that no part stays empty.
    share = (place + rng.uniform(0.2, 0.8)) / steps
    return round(low + share * (high - low), 2)


def _clip(
    name: str,
    rng: np.random.Generator,
    frames: Frames,
    bpm: float,
    moving: bool,
    difficulty: str = "",
    scene: Scene | None = None,
) -> ClipSpec:
    scene = scene or Scene(rate_hz=FPS)
    return ClipSpec(
        id=name,
        width=frames.width,
        height=frames.height,
        frames=round(frames.seconds * scene.rate_hz),
        seed=int(rng.integers(2**31)),
        bpm=bpm,
        moving=moving,
        pulse_amplitude=round(float(np.exp(rng.uniform(*np.log(PULSE_AMPLITUDE)))), 5),
        skin_tone=round(float(rng.uniform(*SKIN_TONES)), 3),
        mirrored=bool(rng.integers(2)),
        difficulty=difficulty,
        scene=scene,
    )
