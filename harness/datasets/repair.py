"""Mending a sensor's heart-rate row. The raw row is never changed; each repair is counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harness.datasets.signals import PLAUSIBLE_BPM, FloatArray

# Pulse oximeters such as UBFC's send the low seven bits of the rate: 129 bpm is read as 1.
WRAP_BPM = 128.0
# A sensor's rate is a mean over several beats and moves by a few bpm from one reading to the next
# (5 at most in UBFC's files); what leaps further and comes back was never measured.
LEAP_BPM = 10.0
WRAP_STEP_BPM = 5.0  # a wrap undone leaves no more than such a step
MIN_READINGS = 5  # of fewer, nobody can say which one is the odd one out

# What a reading of a row costs, in leaps. A glitch is cheaper than the two leaps it explains (one
# at an end of the row), a wrap than the leap it explains; into or out of a wrap by any other leap
# is dearer than that leap.
_GLITCH_COST, _END_GLITCH_COST, _WRAP_COST, _CROSSING_COST = 1.5, 0.75, 0.25, 2.0
_AS_IS, _WRAPPED, _GLITCH = range(3)

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class RepairedRow:
    """A heart-rate row after repair, and which readings each repair changed; all (readings,).

    `raw_bpm` is the row as it was written; `bpm` has the wraps undone and the glitches replaced
    from their neighbours. Readings that are `outside` of what a person can have stay as they were
    read; `usable` leaves them out.
    """

    raw_bpm: FloatArray
    bpm: FloatArray
    wrapped: BoolArray
    glitches: BoolArray
    outside: BoolArray

    @property
    def changed(self) -> bool:
        """Whether anything was repaired or is to be left out."""
        return bool(self.wrapped.any() or self.glitches.any() or self.outside.any())

    @property
    def usable(self) -> FloatArray:
        """The readings that may be a person's heart rate."""
        return self.bpm[~self.outside]


def repair_heart_rate(raw_bpm: FloatArray) -> RepairedRow:
    """Undo wraps, replace single-sample glitches, mark what is outside of 30-240 bpm.

    The row is cut where it leaps. Each piece is then taken as it is, as wrapped, or, where it is a
    single sample, as a glitch, whichever explains the leaps of the whole row at the least cost.
    """
    low, high = PLAUSIBLE_BPM
    wrapped, glitches = np.zeros((2, len(raw_bpm)), np.bool_)
    starts = np.concatenate([[0], np.flatnonzero(np.abs(np.diff(raw_bpm)) > LEAP_BPM) + 1])
    if len(starts) > 1 and len(raw_bpm) >= MIN_READINGS:
        ends = np.append(starts[1:], len(raw_bpm))
        pieces = [
            _Piece(float(raw_bpm[start]), float(raw_bpm[end - 1]), bool(end - start == 1))
            for start, end in zip(starts, ends, strict=True)
        ]
        readings = np.repeat(_cheapest(pieces), ends - starts)
        wrapped, glitches = readings == _WRAPPED, readings == _GLITCH
    bpm = raw_bpm + WRAP_BPM * wrapped
    outside = ((bpm < low) | (bpm > high)) & ~glitches
    sound = np.flatnonzero(~glitches & ~outside)
    if len(sound):
        bpm[glitches] = np.interp(np.flatnonzero(glitches), sound, bpm[sound])
    else:
        outside = np.ones(len(raw_bpm), np.bool_)
    return RepairedRow(raw_bpm, bpm, wrapped, glitches, outside)


@dataclass(frozen=True)
class _Piece:
    first: float
    last: float
    single: bool


class _State(NamedTuple):
    """A piece and how it is read, at the least cost of all that comes before it."""

    cost: float
    reading: int
    last: float | None  # the last value that was no glitch, wraps undone
    last_wrapped: bool
    before: _State | None


def _cheapest(pieces: list[_Piece]) -> list[int]:
    """How each piece is read, at the least cost in all (Viterbi: at most four states a piece)."""
    states = [_State(0.0, _AS_IS, None, False, None)]
    for number, piece in enumerate(pieces):
        at_end = number in (0, len(pieces) - 1)
        found: dict[tuple[int, bool], _State] = {}
        for state in states:
            for one in _readings(state, piece, at_end):
                key = (one.reading, one.last_wrapped)
                if key not in found or one.cost < found[key].cost:
                    found[key] = one
        states = list(found.values())
    way: _State | None = min(states, key=lambda one: one.cost)
    readings = []
    while way is not None and way.before is not None:
        readings.append(way.reading)
        way = way.before
    return readings[::-1]


def _readings(state: _State, piece: _Piece, at_end: bool) -> Iterator[_State]:
    for reading, added, cost in ((_AS_IS, 0.0, 0.0), (_WRAPPED, WRAP_BPM, _WRAP_COST)):
        first, wrapped = piece.first + added, reading == _WRAPPED
        crossing = wrapped is not state.last_wrapped
        leap = 0.0 if state.last is None else _leap_cost(state.last, first, crossing)
        yield _State(state.cost + cost + leap, reading, piece.last + added, wrapped, state)
    if piece.single and state.reading != _GLITCH:
        glitch = _END_GLITCH_COST if at_end else _GLITCH_COST
        yield _State(state.cost + glitch, _GLITCH, state.last, state.last_wrapped, state)


def _leap_cost(last: float, first: float, crossing: bool) -> float:
    if not crossing:
        return float(abs(first - last) > LEAP_BPM)
    # A row goes into and out of a wrap where the sensor's seven bits run over, nowhere else.
    away = max(abs(last - WRAP_BPM), abs(first - WRAP_BPM))
    sound = away <= LEAP_BPM and abs(first - last) <= WRAP_STEP_BPM
    return 0.0 if sound else _CROSSING_COST
