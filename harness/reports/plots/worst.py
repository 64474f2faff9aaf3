"""The recordings a variant errs on most: face, pulse and spectrum of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from harness.reports.pictures import Picture, PictureOf
from harness.reports.plots.style import ESTIMATE, TRUTH, dress, provenance, short
from harness.verdicts.examined import CaseStudy, Examined
from rppg_core.postprocess import spectrum

SHOWN = 4
PULSE_S = 15.0  # of the middle; a minute of beats would be a black bar
ROW_IN = 1.5


def draw(study: CaseStudy, picture_of: PictureOf) -> Figure | None:
    """A row for each of the worst; the first column is left out where there is no picture."""
    rows = [one for one in study.examined if one.scored is not None and one.wave is not None]
    rows.sort(key=lambda one: (-_error(one), one.recording))
    rows = rows[:SHOWN]
    if not rows:
        return None
    pictures = {one.recording: picture_of(study.case.dataset, one.recording) for one in rows}
    seen = any(pictures.values())
    widths = [1.0, 2.2, 1.6] if seen else [2.2, 1.6]
    figure = Figure(figsize=(8.6 if seen else 7.4, ROW_IN * len(rows) + 1.4), layout="constrained")
    table = figure.subplots(len(rows), len(widths), squeeze=False, width_ratios=widths)
    for one, cells in zip(rows, table, strict=True):
        if seen:
            _face(cells[0], pictures[one.recording])
        _pulse(cells[-2], one)
        _spectrum(cells[-1], one)
    table[-1][-2].set_xlabel("time (s)")
    table[-1][-1].set_xlabel("rate (bpm)")
    title = f"The {len(rows)} largest errors of {short(study.case.variant, 24)}"
    what = (
        "Spectrum: dashed the truth, orange the estimate, grey outside the band. Light: of full "
        "scale; motion: face sizes a second."
    )
    dress(figure, [study], title, [f"{provenance([study])} {what}", *_failures(study.examined)])
    return figure


def _error(one: Examined) -> float:
    return 0.0 if one.scored is None else abs(one.scored.error_bpm)


def _face(axes: Axes, picture: Picture | None) -> None:
    axes.set_axis_off()
    if picture is None:
        axes.text(0.5, 0.5, "no picture", ha="center", va="center", color="#777777")
        return
    axes.imshow(picture.rgb)
    x, y, width, height = picture.box
    axes.add_patch(Rectangle((x, y), width, height, fill=False, color="white", linewidth=1.2))


def _pulse(axes: Axes, one: Examined) -> None:
    if one.wave is None or one.scored is None:
        return
    wave, found = one.wave, one.scored
    time_s = wave.start_s + np.arange(len(wave.samples)) / wave.fps
    middle_s = 0.5 * float(time_s[0] + time_s[-1])
    shown = np.abs(time_s - middle_s) <= PULSE_S / 2
    axes.plot(time_s[shown], wave.samples[shown], color="#333333", linewidth=0.9)
    axes.margins(x=0)
    axes.set_yticks([])
    axes.set_title(
        f"{short(one.recording, 26)}: {found.estimate_bpm:.1f}, truth {found.reference_bpm:.1f} "
        f"({found.error_bpm:+.1f} bpm)",
        fontsize=8.5,
    )


def _spectrum(axes: Axes, one: Examined) -> None:
    if one.wave is None or one.scored is None:
        return
    low, high = 60 * one.pulse.low_hz, 60 * one.pulse.high_hz
    true, found = one.scored.reference_bpm, one.scored.estimate_bpm
    left, right = min(0.8 * low, true - 5), max(1.15 * high, true + 5)
    frequency, power = spectrum(one.wave.samples, one.wave.fps)
    bpm = 60 * frequency
    shown = (bpm >= left) & (bpm <= right)
    axes.plot(bpm[shown], power[shown] / max(power[shown].max(), 1e-300), color="#33507A")
    axes.axvline(found, color=ESTIMATE, linewidth=2.2)
    axes.axvline(true, color=TRUTH, linewidth=1.1, linestyle=(0, (3, 2)))
    for outside in ((left, low), (high, right)):
        axes.axvspan(*outside, color="#EEEEEE", linewidth=0)
    axes.set(xlim=(left, right), ylim=(0, 1.08))
    axes.set_yticks([])
    about, around = [f"SNR {one.scored.snr_db:.1f} dB"], one.surroundings
    if around is not None and around.luminance is not None:
        about.append(f"light {around.luminance:.2f}")
    if around is not None and around.speed is not None:
        about.append(f"motion {around.speed:.3f}")
    axes.set_title(", ".join(about), fontsize=8)


def _failures(examined: Sequence[Examined]) -> list[str]:
    """The recordings that gave no heart rate are worse still; what there is of them is a reason."""
    failed = [one for one in examined if one.scored is None]
    lines = [
        f"No heart rate: {short(one.recording, 30)}: {short(one.error or 'no reason', 110)}"
        for one in failed[:SHOWN]
    ]
    more = len(failed) - len(lines)
    return lines + [f"and {more} more without a heart rate"] * (more > 0)
