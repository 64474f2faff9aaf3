"""What each gate measures, in words: for every gate that the verdicts can have, by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from harness.verdicts import against_baseline, change_gates, stage_gates
from harness.verdicts import gates as names
from harness.verdicts.hops import FIGURES
from harness.verdicts.outcome import GateResult

MB = 1e6


class Kind(str, Enum):
    """The question that a gate answers."""

    ACCURACY = "accuracy"
    SPEED = "speed"
    MEMORY = "memory"
    LIKENESS = "likeness to float32"
    REFERENCE = "agreement with the reference run"
    REPEAT = "repeatability"
    BASELINE = "match with the baseline"
    COMPLETENESS = "completeness"
    OTHER = "other checks"


@dataclass(frozen=True)
class Meaning:
    """What a gate measures.

    ``name`` stands in a table. ``says`` is a clause with places for the ``{figure}``, the
    ``{part}`` of the recordings, the ``{stage}``, and the ``{way}`` where a figure may have either
    sign; without it a gate is told by its message. Figures are shown in ``unit``, which has
    ``size`` of theirs; ``least`` where they must not fall below the threshold; ``best`` is what
    they cannot exceed. ``compared_with`` is the unit of the baseline, ``sure`` its interval.
    """

    kind: Kind
    name: str
    says: str = ""
    unit: str = ""
    least: bool = False
    size: float = 1.0
    way: tuple[str, str] | None = None
    best: float | None = None
    compared_with: str = ""
    compared_size: float = 1.0
    sure: str = "99 % interval"


ACCURACY, SPEED, LIKENESS = Kind.ACCURACY, Kind.SPEED, Kind.LIKENESS
OF_A_FRAME = "{stage} takes {figure} a frame"
MORE = ("more", "less")

MEANINGS: Mapping[str, Meaning] = {
    names.MAE: Meaning(
        ACCURACY, "mean absolute error", "heart rates{part} are {figure} off on average", "bpm"
    ),
    names.SNR: Meaning(
        ACCURACY,
        "mean signal-to-noise ratio",
        "the mean signal-to-noise ratio of the pulse is {figure}",
        "dB",
        least=True,
    ),
    names.COMPLETED: Meaning(Kind.COMPLETENESS, "the case came to its end"),
    names.SPOILT: Meaning(
        SPEED,
        "recordings with invalid times",
        "the times of {figure} of the recordings are invalid",
        "%",
    ),
    names.REPLAYED: Meaning(ACCURACY, "replays without a heart rate"),
    names.RTF: Meaning(
        SPEED, "real-time factor", "processing takes {figure} times as long as the video{part}"
    ),
    names.MS_PER_FRAME: Meaning(SPEED, "time a frame", OF_A_FRAME, "ms"),
    names.MINSTR_PER_FRAME: Meaning(SPEED, "work a frame", OF_A_FRAME, "M instructions"),
    names.MISSED: Meaning(SPEED, "late frames", "{figure} of the frames{part} are late", "%"),
    names.DROPPED: Meaning(
        SPEED, "dropped frames", "{figure} of the frames{part} are dropped", "%"
    ),
    names.DELAY: Meaning(
        SPEED,
        "delay of a heart rate, 99th percentile",
        "of 100 heart rates{part}, 99 come within {figure} of their frame",
        "ms",
    ),
    names.LOST: Meaning(
        LIKENESS, "lost pulses", "the pulse that float32 finds is lost in {figure}", "recordings"
    ),
    names.PAIRED: Meaning(
        LIKENESS,
        "difference in heart rate",
        "heart rates are {figure} from those of float32 on average",
        "bpm",
    ),
    names.MAE_CHANGE: Meaning(
        LIKENESS,
        "added mean absolute error",
        "heart rates{part} are {figure} {way} off than those of float32 on average",
        "bpm",
        way=MORE,
    ),
    names.CORRELATION: Meaning(
        LIKENESS,
        "correlation of the pulse",
        "the pulse's correlation with that of float32 is {figure}",
        least=True,
        best=1.0,
    ),
    names.FIDELITY_SNR: Meaning(
        LIKENESS,
        "pulse over its difference from float32",
        "the pulse stands {figure} above its difference from that of float32",
        "dB",
        least=True,
    ),
    names.SIZE: Meaning(LIKENESS, "size of the model", "the model has {figure}", "bytes"),
    names.SHARED_SCALES: Meaning(
        LIKENESS,
        "convolutions with one scale",
        "all kernels share one scale in {figure}",
        "convolutions",
    ),
    names.CALIBRATED_WITH: Meaning(
        LIKENESS,
        "recordings for calibration",
        "the model was calibrated with {figure}",
        "recordings",
        least=True,
    ),
    change_gates.ERROR_CHANGE: Meaning(
        ACCURACY,
        "error added to the approved one",
        "heart rates{part} are {figure} {way} off than approved",
        "bpm",
        way=MORE,
        compared_with="bpm",
    ),
    change_gates.SLOWDOWN: Meaning(
        SPEED,
        "time added to the approved one",
        "{stage} takes {figure} {way} time a frame than approved",
        "%",
        way=MORE,
        compared_with="ms",
    ),
    change_gates.INSTRUCTIONS_ADDED: Meaning(
        SPEED,
        "work added to the approved one",
        "{stage} takes {figure} {way} instructions a frame than approved",
        "%",
        way=("more", "fewer"),
        compared_with="M instructions",
        sure="single recordings",
    ),
    stage_gates.PEAK: Meaning(
        Kind.MEMORY, "peak memory", "a replay needs {figure} of memory at its peak", "MB", size=MB
    ),
    stage_gates.PEAK_RATIO: Meaning(
        Kind.MEMORY,
        "peak memory over the reference's",
        "a replay needs {figure} times the memory of the reference run",
        compared_with="MB",
        compared_size=MB,
    ),
    names.COMPARABLE: Meaning(Kind.BASELINE, "made with the same"),
    against_baseline.COMPLETE: Meaning(Kind.BASELINE, "the same recordings and stages"),
    against_baseline.BASELINE: Meaning(Kind.BASELINE, "there is a baseline"),
    names.RULE: Meaning(Kind.OTHER, "a rule for the case"),
}
"""By the name of a gate up to its first point; what follows it is a group, a stage or a minute."""

APART = {
    "replayed": "",
    "frames": "one replay has {figure} more than the other",
    "frame_time_ms": "the times of the frames are {figure} apart",
    "picture_steps": "the colours of the picture are {figure} apart",
    "box_apart": "the face boxes lie apart by {figure} of what they cover",
    "crop_steps": "the colours of the face are {figure} apart",
    "input_sd": "the model's inputs are {figure} apart",
    "correlation": "the model's outputs correlate by {figure}",
    "snr_db": "the model's output stands {figure} above its difference",
    "wave_correlation": "the pulse waves correlate by {figure}",
    "bpm": "the heart rates are {figure} apart",
}
UNITS = {"frames": "frames", "input_sd": "standard deviations"}
STAGE_KINDS = {stage_gates.REFERENCE: Kind.REFERENCE, stage_gates.REPEAT: Kind.REPEAT}
"""Gates of these families are named after a figure of ``hops.FIGURES``."""
RULE_KINDS = {"accuracy rule": ACCURACY, "latency rule": SPEED, "quantization rule": LIKENESS}
"""What a missing rule would have judged, by the words of its message."""
HINTS: Mapping[Kind, tuple[str, ...]] = {
    Kind.MEMORY: ("memory",),
    Kind.LIKENESS: ("quantization", "float32", "fidelity", "hop"),
    Kind.SPEED: ("latency", "slow", "instruction", "deadline", "delay", "dropped", "p99"),
    Kind.ACCURACY: ("mae", "accuracy", "bpm", "heart"),
}
"""Words in the name or message of a gate of another version of this program."""


def meaning_of(gate: GateResult) -> Meaning | None:
    """What a gate measures; None where this program has no such gate."""
    family, _, part = gate.gate.partition(".")
    if family in STAGE_KINDS and part in FIGURES:
        return _apart(STAGE_KINDS[family], part)
    return MEANINGS.get(family)


def kind_of(gate: GateResult) -> Kind:
    """The question a gate answers, also where this program's gates are of a later version."""
    if gate.gate == names.RULE:
        return next((kind for said, kind in RULE_KINDS.items() if said in gate.message), Kind.OTHER)
    known = meaning_of(gate)
    if known is not None:
        return known.kind
    said = f"{gate.gate} {gate.message}".lower()
    return next(
        (kind for kind, words in HINTS.items() if any(w in said for w in words)), Kind.OTHER
    )


def _apart(kind: Kind, name: str) -> Meaning:
    stage, what, unit, least = FIGURES[name]
    best = 1.0 if name.endswith("correlation") else None
    unit = UNITS.get(name, unit)
    return Meaning(kind, f"{stage}: {what}", APART[name], unit, least=least, best=best)
