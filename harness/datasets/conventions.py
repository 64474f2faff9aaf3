"""How the true heart rate of a recording is told from what its label files say.

- `ppg-fft`: the spectral peak of the contact PPG, as UBFC-rPPG's authors do (`contact_pulse`).
- `hr-row`: the mean of the sensor's own heart-rate row, as it was written.
- `hr-row-repaired`: the same with wraps undone, glitches replaced, and readings left out that no
  person can have.
- `listed`: the one value that the dataset lists for a recording.

All of them look only at the time that the video covers, by the labels' own timestamps.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from harness.datasets.contact_pulse import pulse_rate_bpm
from harness.datasets.repair import BoolArray, RepairedRow, repair_heart_rate
from harness.datasets.signals import PLAUSIBLE_BPM, FloatArray, Labels, Signals
from rppg_core.errors import UserError

PPG_FFT, HR_ROW, HR_ROW_REPAIRED = "ppg-fft", "hr-row", "hr-row-repaired"
CONVENTIONS = (PPG_FFT, HR_ROW, HR_ROW_REPAIRED)
LISTED = "listed"  # of one's own folder alone, where there is no signal to derive a rate from
ROW_CONVENTIONS = (HR_ROW, HR_ROW_REPAIRED, LISTED)

MIN_USABLE_SHARE = 0.5  # of a heart-rate row; with less left there is no rate to speak of


def derive(signals: Signals, convention: str, where: str, offered: tuple[str, ...] = ()) -> Labels:
    """The truth by one convention beside those by the others that are `offered`.

    UserError, starting with `where`, if the signals give none by that one.
    """
    bpm = reference_bpm(signals, convention, where)
    return Labels(
        reference_bpm=bpm,
        convention=convention,
        frame_times_s=signals.frame_times_s,
        ppg=pulse_at_frames(signals),
        references={**references(signals, offered, where), convention: bpm},
    )


def reference_bpm(
    signals: Signals, convention: str, where: str, row: RepairedRow | None = None
) -> float:
    """Heart rate of a whole recording; UserError, starting with `where`, if there is none.

    `row` is the heart-rate row after repair, where that has been done already.
    """
    check_clocks(signals, where)
    return _reference_bpm(signals, convention, where, row)


def references(
    signals: Signals, offered: tuple[str, ...], where: str, row: RepairedRow | None = None
) -> dict[str, float | None]:
    """The heart rate by each convention that is offered; None where the signals give none."""
    found: dict[str, float | None] = dict.fromkeys(offered)
    try:
        check_clocks(signals, where)
    except UserError:
        return found
    for convention in offered:
        # A row that no repair changes has one mean.
        if convention == HR_ROW_REPAIRED and row is not None and not row.changed:
            found[convention] = found.get(HR_ROW)
        if found[convention] is None:
            with suppress(UserError):
                found[convention] = _reference_bpm(signals, convention, where, row)
    return found


def _reference_bpm(signals: Signals, convention: str, where: str, row: RepairedRow | None) -> float:
    if convention == PPG_FFT:
        bpm = _ppg_bpm(signals, where)
    elif convention in ROW_CONVENTIONS:
        bpm = _row_bpm(signals, convention, where, row)
    else:
        raise UserError(f"no convention {convention!r}; there are {', '.join(CONVENTIONS)}")
    low, high = PLAUSIBLE_BPM
    if not low <= bpm <= high:
        raise UserError(f"{where}: heart rate {bpm:.1f} bpm ({convention}) is not a person's")
    return bpm


def check_clocks(signals: Signals, where: str) -> None:
    """UserError, starting with `where`, for a clock that goes back or does not fit its values."""
    clocks = (
        ("frame", signals.frame_times_s, None),
        ("PPG", signals.ppg_times_s, signals.ppg),
        ("heart rate", signals.hr_times_s, signals.hr_bpm),
    )
    for name, times_s, values in clocks:
        if times_s is None:
            continue
        if values is not None and len(values) != len(times_s):
            raise UserError(f"{where}: {len(values)} {name} values for {len(times_s)} times")
        if not np.isfinite(times_s).all():
            raise UserError(f"{where}: a {name} time is no number")
        back = np.flatnonzero(np.diff(times_s) < 0)
        if len(back):
            at = int(back[0])
            raise UserError(
                f"{where}: {name} time goes back from {times_s[at]:.6g} to {times_s[at + 1]:.6g} s "
                f"at value {at + 2}; times must not decrease"
            )


def pulse_at_frames(signals: Signals) -> FloatArray | None:
    """The contact PPG (frames,) at the frames' times; None unless both are known."""
    times_s = signals.frame_times_s
    if signals.ppg is None or signals.ppg_times_s is None or times_s is None:
        return None
    if signals.ppg_times_s is times_s:
        return signals.ppg
    return np.interp(times_s, *_first_of_each(signals.ppg_times_s, signals.ppg))


def _ppg_bpm(signals: Signals, where: str) -> float:
    if signals.ppg is None or signals.ppg_times_s is None:
        raise UserError(f"{where}: no contact PPG; use another convention than {PPG_FFT}")
    inside = _while_filmed(signals, signals.ppg_times_s)
    # Buffered sensor values come as several with one time; the first is the one taken then.
    time_s, ppg = _first_of_each(signals.ppg_times_s[inside], signals.ppg[inside])
    if len(time_s) < 2:
        raise UserError(f"{where}: the contact PPG does not cover the video")
    largest = np.abs(ppg).max()
    try:
        return pulse_rate_bpm(ppg / largest if largest > 0 else ppg, time_s)
    except UserError as error:
        raise UserError(f"{where}: no heart rate in the PPG row: {error}") from None


def _row_bpm(signals: Signals, convention: str, where: str, row: RepairedRow | None) -> float:
    if signals.hr_bpm is None:
        raise UserError(f"{where}: no heart-rate row; use another convention than {convention}")
    bpm, usable = signals.hr_bpm, np.ones(len(signals.hr_bpm), np.bool_)
    if convention == HR_ROW_REPAIRED:
        row = row or repair_heart_rate(signals.hr_bpm)
        bpm, usable = row.bpm, ~row.outside
    if signals.hr_times_s is not None:
        inside = _while_filmed(signals, signals.hr_times_s)
        bpm, usable = bpm[inside], usable[inside]
    if not len(bpm):
        raise UserError(f"{where}: the heart-rate row does not cover the video")
    if usable.mean() < MIN_USABLE_SHARE:
        low, high = PLAUSIBLE_BPM
        raise UserError(
            f"{where}: {len(bpm) - int(usable.sum())} of {len(bpm)} heart-rate readings are "
            f"outside {low:g}-{high:g} bpm"
        )
    return float(bpm[usable].mean())


def _while_filmed(signals: Signals, times_s: FloatArray) -> BoolArray:
    frames_s = signals.frame_times_s
    if frames_s is None or frames_s is times_s or not len(frames_s):
        return np.ones(len(times_s), np.bool_)
    return np.asarray((times_s >= frames_s[0]) & (times_s <= frames_s[-1]))


def _first_of_each(times_s: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Increasing times and their values; of several with one time, the first."""
    kept = np.ones(len(times_s), np.bool_)
    kept[1:] = np.diff(times_s) > 0
    return times_s[kept], values[kept]
