"""Where two replays of the same recordings part: stage by stage, each figure within its tolerance.

A *trace* is what each stage of one replay handed to the next. Two traces are held against each
other in the order a frame passes the stages, so that the first difference out of tolerance is
where to look: what comes after it has had wrong input.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from harness.verdicts.fidelity import Pair
from harness.verdicts.latency import STAGES

Array = npt.NDArray[np.float64]
Rows = Mapping[int, Array]
"""For some frames, by number, three means and three standard deviations of the colours."""

FULL_SCALE = 255.0
UNEQUAL = math.inf
"""How far apart things are that cannot be compared, such as a box and none."""


@dataclass(frozen=True, eq=False)
class Trace:
    """One recording's replay. `boxes` (frames, 4) are NaN where there is no face.

    ``picture`` is in 8-bit steps, ``crop`` in shares of full scale, ``motion`` and ``appearance``
    as the model is fed them; they are None for a record without them. A replay without a heart
    rate has a ``failed_stage`` and nothing else.
    """

    recording: str
    time_s: Array
    boxes: Array
    derivative: Array
    wave: Array
    wave_s: Array
    bpm: float
    picture: Rows | None = None
    crop: Rows | None = None
    motion: Rows | None = None
    appearance: Rows | None = None
    failed_stage: str | None = None
    failure: str = ""


@dataclass(frozen=True)
class Tolerances:
    """How far apart two replays may be.

    ``frame_time_ms`` and ``picture_steps`` (8-bit steps of mean and deviation of a colour) are of
    the decoder, ``box_apart`` (1 less the overlap of two face boxes) of the detector,
    ``crop_steps`` and ``input_sd`` (standard deviations of the model's input) of preprocessing, the
    likeness of the derivative of the model, that of the wave and the heart rate of postprocessing.
    """

    frame_time_ms: float
    picture_steps: float
    box_apart: float
    crop_steps: float
    input_sd: float
    correlation: float
    snr_db: float
    wave_correlation: float
    bpm: float


# The same code, model and machine: replays were equal to the bit; 5 decimals of a fingerprint are
# kept, 2 of a box.
EXACT = Tolerances(0.001, 0.001, 0.001, 0.01, 0.001, 0.999999, 60.0, 0.999999, 0.001)
# The same model and machine, the code perhaps another version: what rounding may do, and no more.
SAME_BOARD = Tolerances(0.001, 0.01, 0.001, 0.01, 0.001, 0.9999, 40.0, 0.9999, 0.01)
# The same code and model on another machine. Decoders round differently and runtimes differ by up
# to 0.02 of the derivative's deviation (tests/rppg_core/test_runtimes.py); an emulated ARM board's
# heart rates lie within 0.5 bpm of a host's.
SAME_MODEL = Tolerances(1.0, 0.5, 0.1, 0.5, 0.05, 0.98, 14.0, 0.98, 0.5)
# Another form of the model, all before it unchanged: what benchmarks/thresholds.yaml asks of any.
OTHER_FORM = Tolerances(0.001, 0.001, 0.001, 0.01, 0.001, 0.99, 18.0, 0.99, 0.5)


@dataclass(frozen=True)
class Difference:
    """One figure of one stage, the worst of all recordings; ``recording`` is the one it is of.

    ``value`` is None where a record does not have it, or not of the same frames. ``name`` is the
    field of ``Tolerances``, or "frames" or "replayed", of which there may be no difference at all.
    """

    stage: str
    name: str
    what: str
    unit: str
    value: float | None
    limit: float
    least: bool
    recording: str
    remark: str = ""

    @property
    def within(self) -> bool | None:
        """Whether it is in tolerance; None where it is not known."""
        if self.value is None:
            return None
        # Written so that a figure that is not a number is out.
        return self.value >= self.limit if self.least else self.value <= self.limit

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.what}: not known of {self.recording}"
        if self.remark:
            return f"{self.what}: {self.remark} ({self.recording})"
        sign = ">=" if self.least else "<="
        found = f"{self.value:.4g} {self.unit}".rstrip()
        wanted = f"{sign} {self.limit:g} {self.unit}".rstrip()
        return f"{self.what}: {found}, must be {wanted} ({self.recording})"


@dataclass(frozen=True)
class Hop:
    """From one place to the next: the worst differences, in the order of the stages."""

    before: str
    after: str
    recordings: int
    differences: tuple[Difference, ...]

    @property
    def first_out(self) -> Difference | None:
        """The first difference out of tolerance."""
        return first_out(self.differences)


# Of each figure: its stage, what it is and its unit, and whether more is better.
FIGURES: Mapping[str, tuple[str, str, str, bool]] = {
    "replayed": ("decode", "replays without a heart rate on one side", "", False),
    "frames": ("decode", "frames more or fewer", "", False),
    "frame_time_ms": ("decode", "times of the frames, apart", "ms", False),
    "picture_steps": ("decode", "colours of the picture, apart", "8-bit steps", False),
    "box_apart": ("detect", "face boxes, 1 - overlap", "", False),
    "crop_steps": ("preprocess", "colours of the crop, apart", "8-bit steps", False),
    "input_sd": ("preprocess", "the model's inputs, apart", "SD", False),
    "correlation": ("predict", "pulse derivative, correlation", "", True),
    "snr_db": ("predict", "pulse derivative, signal over difference", "dB", True),
    "wave_correlation": ("postprocess", "pulse wave, correlation", "", True),
    "bpm": ("postprocess", "heart rates, apart", "bpm", False),
}


def compare(
    before: Sequence[Trace], after: Sequence[Trace], tolerances: Tolerances
) -> tuple[Difference, ...]:
    """Hold the recordings that both have against each other; each figure's worst is kept.

    A recording that only one side has says nothing of a stage. Empty where they have none in
    common.
    """
    others = {one.recording: one for one in after}
    both = [(one, others[one.recording]) for one in before if one.recording in others]
    found = [_differences(*pair, tolerances) for pair in both]
    kept = []
    for name in FIGURES:
        rows = [one for row in found for one in row if one.name == name]
        if rows:
            kept.append(_worst(rows))
    return tuple(sorted(kept, key=lambda one: STAGES.index(one.stage)))


def tolerances_for(*, same_board: bool, same_model: bool) -> Tolerances:
    """What two runs may differ by, by what they have in common."""
    if not same_board:
        return SAME_MODEL
    return SAME_BOARD if same_model else OTHER_FORM


def first_out(differences: Sequence[Difference]) -> Difference | None:
    """The first difference out of tolerance, in the order of the stages."""
    return next((one for one in differences if one.within is False), None)


def verdict(hops: Sequence[Hop]) -> str:
    """Name, in one sentence, the first hop and stage out of tolerance."""
    if not any(one.recordings for one in hops):
        return "Nothing was compared: no two replays are of the same recording."
    for hop in hops:
        out = hop.first_out
        if out is not None:
            return f"First out of tolerance: {hop.before} -> {hop.after}, {out.stage}: {out}."
    empty = [f"{one.before} -> {one.after}" for one in hops if not one.differences]
    if empty:
        return f"Nothing was compared from {', '.join(empty)}: no heart rate is on both sides."
    unknown = sorted({one.what for hop in hops for one in hop.differences if one.within is None})
    if unknown:
        return f"Nothing is out of tolerance, but not all is known: {', '.join(unknown)}."
    return "Every hop is within tolerance at every stage."


def _differences(before: Trace, after: Trace, tolerances: Tolerances) -> list[Difference]:
    failed = [one for one in (before, after) if one.failed_stage is not None]
    if len(failed) == 1:
        why = f"{failed[0].failure}"
        return [_difference("replayed", 1.0, 0.0, before.recording, failed[0].failed_stage, why)]
    if failed:  # neither has a heart rate: there is nothing to compare
        return []
    limits = {"replayed": 0.0, "frames": 0.0}
    limits |= {one.name: getattr(tolerances, one.name) for one in fields(tolerances)}
    figures = _figures(before, after)
    return [
        _difference(name, figure, limits[name], before.recording)
        for name, figure in figures.items()
    ]


def _difference(
    name: str,
    value: float | None,
    limit: float,
    recording: str,
    stage: str | None = None,
    remark: str = "",
) -> Difference:
    usual, what, unit, least = FIGURES[name]
    return Difference(stage or usual, name, what, unit, value, limit, least, recording, remark)


def _figures(before: Trace, after: Trace) -> dict[str, float | None]:
    n = min(len(before.time_s), len(after.time_s))
    pair = Pair(
        before.recording,
        before.bpm,
        before.bpm,
        after.bpm,
        before.derivative[:n],
        after.derivative[:n],
    )
    inputs = [_apart(before.motion, after.motion), _apart(before.appearance, after.appearance)]
    crop = _apart(before.crop, after.crop)
    return {
        "frames": float(abs(len(before.time_s) - len(after.time_s))),
        "frame_time_ms": 1e3 * _largest(np.abs(before.time_s[:n] - after.time_s[:n])),
        "picture_steps": _apart(before.picture, after.picture),
        "box_apart": _largest(boxes_apart(before.boxes[:n], after.boxes[:n])),
        "crop_steps": None if crop is None else FULL_SCALE * crop,
        "input_sd": None if None in inputs else max(one for one in inputs if one is not None),
        "correlation": pair.correlation,
        "snr_db": pair.snr_db,
        "wave_correlation": _wave_correlation(before, after),
        "bpm": pair.difference_bpm,
    }


def boxes_apart(one: Array, other: Array) -> Array:
    """1 less the overlap (intersection over union) of boxes (n, 4) of x, y, width, height.

    0 where both are NaN, 1 where one is.
    """
    gone, lost = np.isnan(one[:, 0]), np.isnan(other[:, 0])
    corner = np.maximum(one[:, :2], other[:, :2])
    far = np.minimum(one[:, :2] + one[:, 2:], other[:, :2] + other[:, 2:])
    shared = np.prod(np.clip(far - corner, 0.0, None), axis=1)
    union = np.prod(one[:, 2:], axis=1) + np.prod(other[:, 2:], axis=1) - shared
    apart = 1.0 - shared / np.where(union > 0, union, 1.0)
    return np.where(gone & lost, 0.0, np.where(gone | lost, 1.0, apart))


def _apart(one: Rows | None, other: Rows | None) -> float | None:
    """The largest difference of a row; infinite where only one has any.

    Not known where both have some and of no frame in common: windows of another length end
    elsewhere, which says nothing of the stages before the model.
    """
    if one is None or other is None:
        return None
    if not (one and other):
        return UNEQUAL if one or other else 0.0
    both = one.keys() & other.keys()
    if not both:
        return None
    return max(_largest(np.abs(one[frame] - other[frame])) for frame in both)


def _wave_correlation(before: Trace, after: Trace) -> float:
    """Pearson's r where both waves are known; 0 where they hardly meet or do not vary."""
    inside = (before.wave_s >= after.wave_s[0]) & (before.wave_s <= after.wave_s[-1])
    if 2 * int(inside.sum()) < len(before.wave):
        return 0.0
    other = np.interp(before.wave_s[inside], after.wave_s, after.wave)
    centred = [row - row.mean() for row in (before.wave[inside], other)]
    norm = math.sqrt(float(centred[0] @ centred[0]) * float(centred[1] @ centred[1]))
    return float(centred[0] @ centred[1]) / norm if norm > 0 else 0.0


def _largest(values: Array) -> float:
    return float(values.max()) if values.size else 0.0


def _worst(rows: Sequence[Difference]) -> Difference:
    """The row furthest from equal; one that is not known, where the others are in tolerance."""
    out = [one for one in rows if one.within is False]
    unknown = [one for one in rows if one.within is None]
    if unknown and not out:
        return unknown[0]
    known = out or rows
    pick = min if known[0].least else max
    return pick(known, key=lambda one: one.value if one.value is not None else 0.0)
