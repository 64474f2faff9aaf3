"""The recordings that a run errs on most: face, pulse and spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.reports.page.charts_pulse import face, pulse_chart, spectrum_chart
from harness.reports.page.shown import Shown, places
from harness.reports.pictures import PictureOf
from harness.verdicts.examined import Examined

SHOWN = 4
"""Of each board and dataset."""


@dataclass(frozen=True)
class Worst:
    """One recording through the variant that errs on it most."""

    recording: str
    label: str
    said: str
    face: Markup | None
    pulse: Markup
    spectrum: Markup


def worst(cases: Sequence[Shown], picture_of: PictureOf) -> list[Worst]:
    """The largest errors of each board and dataset, each recording once."""
    found = []
    for here in places(cases).values():
        largest: dict[str, tuple[Shown, Examined]] = {}
        rows = [(one, each) for one in here for each in one.study.examined if each.scored]
        for one, each in sorted(rows, key=lambda row: (-_error(row[1]), row[1].recording)):
            largest.setdefault(each.recording, (one, each))
        found += [_one(one, each, picture_of) for one, each in list(largest.values())[:SHOWN]]
    return found


def _error(one: Examined) -> float:
    return 0.0 if one.scored is None else abs(one.scored.error_bpm)


def _one(case: Shown, one: Examined, picture_of: PictureOf) -> Worst:
    assert one.scored is not None
    found, around = one.scored, one.surroundings
    said = [
        f"estimate {found.estimate_bpm:.1f}, truth {found.reference_bpm:.1f} bpm "
        f"({found.error_bpm:+.1f})",
        f"signal-to-noise ratio {found.snr_db:.1f} dB",
    ]
    if around is not None and around.luminance is not None:
        said.append(f"light {around.luminance:.2f} of full scale")
    if around is not None and around.speed is not None:
        said.append(f"motion {around.speed:.3f} face sizes a second")
    if around is not None and around.face_share is not None and around.face_share < 1:
        said.append(f"face in {100 * around.face_share:.0f} % of the frames")
    picture = picture_of(case.run.case.dataset, one.recording)
    return Worst(
        one.recording,
        case.label or case.run.case.variant,
        "; ".join(said),
        None if picture is None else face(picture, one.recording),
        pulse_chart(one),
        spectrum_chart(one),
    )
