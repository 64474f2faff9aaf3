"""Which conditions a heart rate holds in, and what was measured where it does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.datasets.base import FloatArray, natural_key
from harness.verdicts.surroundings import DARK_BELOW, MOVING_FROM, Surroundings

HOLDS_BPM = 2.0  # largest mean absolute error, with every recording giving a heart rate
WEAK_SNR_DB = 0.0  # as much noise as pulse within the band
BEAT_SHARE = 0.006  # of the light on the face, swinging in time with the rate told: no pulse does
MIN_SAMPLES = 16
WORST_CONDITION = 10.0  # of the fit's terms, each of unit length
FACE_SHARE = 0.98  # of the frames; with less the face was lost for a while


@dataclass(frozen=True)
class Observed:
    """One recording as replayed; `estimate_bpm` and `snr_db` are None where it gave no rate.

    `band_bpm` is what post-processing looked at; `sighted` the share of the detector's searches
    that found a face; `beat` the amplitude of the light on the face at the rate told, as a share.
    """

    recording: str
    conditions: Mapping[str, str]
    reference_bpm: float
    estimate_bpm: float | None
    snr_db: float | None
    band_bpm: tuple[float, float]
    surroundings: Surroundings
    sighted: float | None = None
    beat: float | None = None

    @property
    def error_bpm(self) -> float | None:
        """Absolute error."""
        return None if self.estimate_bpm is None else abs(self.estimate_bpm - self.reference_bpm)

    @property
    def missed(self) -> bool:
        """Whether it alone would not hold."""
        return self.error_bpm is None or self.error_bpm > HOLDS_BPM


@dataclass(frozen=True)
class Condition:
    """What the recordings of one condition came to; means are over what could be measured.

    `silent` of the `n` gave no heart rate; `reasons` counts what was measured of the missed.
    """

    name: str
    n: int
    silent: int
    mae_bpm: float | None
    worst_bpm: float | None
    missed: int
    snr_db: float | None
    face_share: float | None
    sighted: float | None
    luminance: float | None
    speed: float | None
    reasons: Mapping[str, int]

    @property
    def holds(self) -> bool:
        """Whether every recording gave a rate, and they err little on average."""
        return self.silent == 0 and self.mae_bpm is not None and self.mae_bpm <= HOLDS_BPM


def reason(one: Observed) -> str:
    """What was measured of a missed recording that sets it apart; the first that applies."""
    about = one.surroundings
    low, high = one.band_bpm
    if about.face_share is not None and about.face_share < 0.5:
        return f"face in {100 * about.face_share:.0f} % of frames"
    if not low <= one.reference_bpm <= high:
        return f"true rate outside {low:.0f}-{high:.0f} bpm"
    found = []
    if about.face_share is not None and about.face_share < FACE_SHARE:
        found.append(f"face in {100 * about.face_share:.0f} % of frames")
    if about.luminance is not None and about.luminance < DARK_BELOW:
        found.append(f"luminance {about.luminance:.2f}")
    if about.speed is not None and about.speed >= MOVING_FROM:
        found.append(f"{about.speed:.3f} face sizes/s")
    if one.snr_db is not None and one.snr_db < WEAK_SNR_DB:
        found.append(f"SNR {one.snr_db:.1f} dB")
    if one.beat is not None and one.beat > BEAT_SHARE:
        found.append(f"light beats by {100 * one.beat:.1f} % at the rate told")
    return ", ".join(found) or "nothing measured sets it apart"


def beat_of(luminance: FloatArray, time_s: FloatArray, bpm: float) -> float | None:
    """Amplitude of `luminance` (n,) at `time_s` (n,) at a rate, as a share of its mean.

    By least squares, so that the samples may be further apart than half a beat; None where they
    are too few, or the rate is told apart from neither a constant nor a trend.
    """
    if len(luminance) < MIN_SAMPLES or float(np.mean(luminance)) <= 0:
        return None
    centred_s = time_s - time_s.mean()
    turn = 2 * np.pi * bpm / 60 * centred_s
    terms = np.stack([np.ones_like(turn), centred_s, np.cos(turn), np.sin(turn)], axis=1)
    if np.linalg.cond(terms / np.linalg.norm(terms, axis=0)) > WORST_CONDITION:
        return None
    fitted = np.linalg.lstsq(terms, luminance, rcond=None)[0]
    return float(np.hypot(fitted[2], fitted[3]) / np.mean(luminance))


def by_condition(observed: Sequence[Observed], name: str) -> list[Condition]:
    """A Condition for each value of the condition `name`, in natural order."""
    parts: dict[str, list[Observed]] = {}
    for one in observed:
        if name in one.conditions:
            parts.setdefault(one.conditions[name], []).append(one)
    return [_condition(value, parts[value]) for value in sorted(parts, key=natural_key)]


def _condition(name: str, part: Sequence[Observed]) -> Condition:
    errors = [one.error_bpm for one in part if one.error_bpm is not None]
    missed = [one for one in part if one.missed]
    return Condition(
        name=name,
        n=len(part),
        silent=len(part) - len(errors),
        mae_bpm=_mean(errors),
        worst_bpm=max(errors, default=None),
        missed=len(missed),
        snr_db=_mean([one.snr_db for one in part]),
        face_share=_mean([one.surroundings.face_share for one in part]),
        sighted=_mean([one.sighted for one in part]),
        luminance=_mean([one.surroundings.luminance for one in part]),
        speed=_mean([one.surroundings.speed for one in part]),
        reasons=Counter(reason(one) for one in missed),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
