"""Where on the plane of measured light and motion the errors are."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from harness.reports.plots.style import dress, grid, label_left, panels, provenance, short
from harness.verdicts.examined import CaseStudy, Examined, measured_slices
from harness.verdicts.surroundings import BRIGHT_FROM, DARK_BELOW, LIGHTS, MOTIONS, MOVING_FROM

SLOWEST = 0.001  # face sizes a second; slower is drawn here
ERROR_LIMITS_BPM = (0.1, 30.0)
# Where the figures of a class of light stand: clear of most points, those of the dark below it.
TOP_OF = {"dark": -0.01, "normal": BRIGHT_FROM - 0.01, "bright": 1.0}
BOTTOM, TOP = -0.15, 1.02


def draw(studies: Sequence[CaseStudy]) -> Figure | None:
    """One panel for each variant; colour is the absolute error, a cross no heart rate at all."""
    placed = [[one for one in study.examined if _place(one)] for study in studies]
    if not any(placed):
        return None
    figure = panels(len(studies), height_in=3.2)
    norm = LogNorm(*ERROR_LIMITS_BPM, clip=True)
    axes_of = grid(figure, len(studies))
    for axes, study, rows in zip(axes_of, studies, placed, strict=True):
        scored = [(_place(one), abs(one.scored.error_bpm)) for one in rows if one.scored]
        points = axes.scatter(
            [at[0] for at, _ in scored if at], [at[1] for at, _ in scored if at],
            c=[error for _, error in scored], norm=norm, cmap="cividis_r", s=30,
            edgecolors="#333333", linewidths=0.5, zorder=3,
        )  # fmt: skip
        failed = [at for one in rows if one.scored is None and (at := _place(one))]
        axes.scatter(
            [at[0] for at in failed],
            [at[1] for at in failed],
            marker="x",
            color="#D55E00",
            zorder=4,
        )
        _regions(axes, study)
        axes.set_title(short(study.case.variant, 24))
        axes.set_xlabel("motion (face sizes / s)")
        label_left(axes, "luminance of the face (of full scale)")
    figure.colorbar(points, ax=axes_of, label="absolute error (bpm)", format="{x:g}", pad=0.02)
    note = (
        f"Limits: dark below {DARK_BELOW:g}, bright from {BRIGHT_FROM:g} of full scale; moving "
        f"from {MOVING_FROM:g} face sizes a second. Figures: MAE in bpm. Crosses: no "
        "heart rate."
    )
    title = "Error by measured light and motion"
    dress(figure, studies, title, [f"{provenance(studies)} {note}"])
    return figure


def _place(one: Examined) -> tuple[float, float] | None:
    at = one.surroundings
    if at is None or at.speed is None or at.luminance is None:
        return None
    return max(at.speed, SLOWEST), at.luminance


def _regions(axes: Axes, study: CaseStudy) -> None:
    """The limits between the classes, and in each that occurs its mean error."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_ylim(BOTTOM, TOP)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    axes.set_xlim(SLOWEST * 0.8, max(axes.get_xlim()[1], 0.4))
    for limit in (DARK_BELOW, BRIGHT_FROM):
        axes.axhline(limit, color="#777777", linewidth=0.8, linestyle=(0, (3, 2)))
    axes.axvline(MOVING_FROM, color="#777777", linewidth=0.8, linestyle=(0, (3, 2)))
    found = {one.name: one for one in measured_slices(study.examined)}
    for light in LIGHTS:
        for motion in MOTIONS:
            cell = found.get(f"{light}, {motion}")
            if cell is None:
                continue
            mae = "no heart rate" if cell.figures.mae_bpm is None else f"{cell.figures.mae_bpm:.2f}"
            right = motion == MOTIONS[-1]
            axes.annotate(
                f"{light}, {motion}\n{mae} (n = {cell.figures.n})",
                (0.985 if right else 0.015, TOP_OF[light]), xycoords=("axes fraction", "data"),
                ha="right" if right else "left", va="top", fontsize=7.5, zorder=5,
            )  # fmt: skip
