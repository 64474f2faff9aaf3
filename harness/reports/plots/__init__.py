"""Every plot of a run, made from its records alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from harness.reports.pictures import PictureOf
from harness.reports.plots import agreement, groups, light_motion, scatter, slices, snr, worst
from harness.reports.plots.style import file_stem, look, save
from harness.verdicts.examined import CaseStudy
from rppg_core.errors import UserError

# A plot of the variants of one board and dataset side by side, by the name of its file.
SIDE_BY_SIDE = {
    "mae-by-group": groups.draw,
    "estimate-against-truth": scatter.draw,
    "bland-altman": agreement.draw,
    "error-against-snr": snr.draw,
    "mae-by-condition": slices.draw,
    "error-by-light-and-motion": light_motion.draw,
}


def write_plots(studies: Sequence[CaseStudy], folder: Path, picture_of: PictureOf) -> list[Path]:
    """Write every plot as PNG and SVG into `folder`; returns the files.

    Raises UserError where `folder` cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with look():
            for name, figure in _figures(studies, picture_of):
                written += save(figure, folder / name)
    except OSError as bad:
        raise UserError(f"{folder}: cannot be written ({bad.strerror or bad})") from None
    return written


def _figures(studies: Sequence[CaseStudy], picture_of: PictureOf) -> Iterator[tuple[str, Figure]]:
    for (board, dataset), variants in _side_by_side(studies).items():
        for name, draw in SIDE_BY_SIDE.items():
            figure = draw(variants)
            if figure is not None:
                yield file_stem(dataset, board, name), figure
        for study in variants:
            figure = worst.draw(study, picture_of)
            if figure is not None:
                yield file_stem(dataset, board, f"worst-{study.case.variant}"), figure


def _side_by_side(studies: Sequence[CaseStudy]) -> dict[tuple[str, str], list[CaseStudy]]:
    """The variants of each board and dataset, float32 first."""
    found: dict[tuple[str, str], list[CaseStudy]] = {}
    for study in studies:
        found.setdefault((study.case.board, study.case.dataset), []).append(study)
    for variants in found.values():
        variants.sort(key=lambda one: (one.case.variant != "float32", one.case.variant))
    return found
