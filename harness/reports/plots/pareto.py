"""Error against time a frame, of every form of the model on every board."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from harness.rating import Target
from harness.reports.plots.style import (
    DPI,
    FAINT,
    VARIANT_COLOURS,
    dress_plain,
    file_stem,
    look,
    save,
    short,
)
from rppg_core.errors import UserError

BOARD_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")
AXES = {"ms": "time a frame (ms)", "minstr": "instructions a frame (millions)"}
REAL_TIME_WITHIN = 4.0
"""The limit is drawn where the slowest target is within this factor of it."""
ROOM = 1.35
HEADROOM = 1.2
WIDE = 5.0
"""From this ratio of the largest cost to the smallest on the axis is logarithmic."""
PANEL_IN = (4.3, 3.4)


def write_pareto(targets: Sequence[Target], folder: Path) -> list[Path]:
    """Write a picture for each dataset, as PNG and SVG; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for dataset in dict.fromkeys(one.case.dataset for one in targets):
        here = _drawable(one for one in targets if one.case.dataset == dataset)
        if here:
            with look():
                written += save(draw(here), folder / file_stem("targets", dataset))
    return written


def write_picture(targets: Sequence[Target], path: Path) -> None:
    """Write the picture of one dataset into one file, of the kind that its name says.

    Raises UserError where there is nothing to draw, or more than one picture.
    """
    here = _drawable(targets)
    datasets = list(dict.fromkeys(one.case.dataset for one in here))
    if not here:
        raise UserError(f"{path}: no target has both an error and a cost a frame; nothing to draw")
    if len(datasets) > 1:
        raise UserError(f"{path}: a picture is of one dataset; name one of {', '.join(datasets)}")
    try:
        with look():
            draw(here).savefig(path, dpi=DPI)
    except OSError as bad:
        raise UserError(f"{path}: cannot be written ({bad.strerror or bad})") from None


def _drawable(targets: Iterable[Target]) -> list[Target]:
    return [one for one in targets if one.cost and "mae_bpm" in one.figures]


def draw(targets: Sequence[Target]) -> Figure:
    """One panel for boards with a clock, one for those that count instructions."""
    units = [unit for unit in AXES if any(one.unit == unit for one in targets)]
    figure = Figure(figsize=(max(PANEL_IN[0] * len(units), 5.2), PANEL_IN[1] + 1.3))
    figure.set_layout_engine("constrained")
    axes = figure.subplots(1, len(units), squeeze=False, sharey=True)[0]
    boards = {name: n for n, name in enumerate(dict.fromkeys(one.case.board for one in targets))}
    colours = _colours(targets)
    for panel, unit in zip(axes, units, strict=True):
        _panel(panel, [one for one in targets if one.unit == unit], boards, colours)
        panel.set_xlabel(AXES[unit])
    axes[0].set_ylabel("mean absolute error (bpm)")
    ends = [one.figures["mae_bpm"] for one in targets]
    top = max(one.interval.high if one.interval else one.value for one in ends)
    axes[0].set_ylim(0, max(HEADROOM * top, 0.1))
    what = short(targets[0].case.dataset)
    if any(one.synthetic for one in targets):
        what += ". SYNTHETIC: rendered clips, no person"
    note = "Ring and line: no target is at least as good in both and better in one (Pareto)."
    if any("mae_bpm" in o.figures and o.figures["mae_bpm"].interval for o in targets):
        note += " Whiskers: 95 % bootstrap interval over subjects."
    if any(one.unrated for one in targets):
        note += " Hollow: not whole, or of fewer recordings, so not compared."
    if len(units) > 1:
        note += " Instructions are no time: boards that count them are compared by themselves."
    handles = _handles(boards, colours)
    dress_plain(figure, ["Error against time of every target", what], [note], handles)
    return figure


def _panel(
    axes: Axes, targets: Sequence[Target], boards: dict[str, int], colours: dict[str, str]
) -> None:
    best = sorted((one.cost or 0, one.figures["mae_bpm"].value) for one in targets if one.best)
    if len(best) > 1:
        axes.step(*zip(*best, strict=True), where="post", color=FAINT, linewidth=1, zorder=1)
    below = True
    for one in sorted(targets, key=lambda one: one.cost or 0.0):
        cost, error = one.cost or 0.0, one.figures["mae_bpm"]
        colour = colours[one.case.variant]
        marker = BOARD_MARKERS[boards[one.case.board] % len(BOARD_MARKERS)]
        if error.interval:
            low, high = error.interval.low, error.interval.high
            axes.plot([cost, cost], [low, high], color=colour, linewidth=1, alpha=0.5, zorder=2)
        inside, edge = ("white", colour) if one.unrated else (colour, "white")
        axes.scatter(
            cost, error.value, s=46, marker=marker, facecolors=inside, edgecolors=edge,
            linewidths=1.2 if one.unrated else 0.6, zorder=4,
        )  # fmt: skip
        if one.best:
            name = f"{short(one.case.board, 16)} {short(one.case.variant, 16)}"
            axes.annotate(
                name, (cost, error.value), xytext=(0, -11 if below else 11),
                textcoords="offset points", ha="center", va="top" if below else "bottom",
                fontsize=7.5,
            )  # fmt: skip
            below = not below  # names of neighbours are not written over each other
            axes.scatter(
                cost, error.value, s=170, marker="o", facecolors="none", edgecolors="#000000",
                linewidths=1.1, zorder=3,
            )  # fmt: skip
    costs = [one.cost or 0.0 for one in targets]
    limits = [one.frame_ms for one in targets if one.unit == "ms" and one.frame_ms]
    high = max(costs)
    if limits and high * REAL_TIME_WITHIN > min(limits):
        limit = min(limits)
        high = max(high, limit)
        axes.axvline(limit, color="#D55E00", linewidth=1, linestyle="--", zorder=1)
        axes.annotate(
            "real time", (limit, 1), xycoords=("data", "axes fraction"), rotation=90,
            ha="right", va="top", fontsize=7.5, color="#D55E00",
        )  # fmt: skip
    if high < WIDE * min(costs):
        axes.set_xlim(0, high * ROOM)
        return
    axes.set_xscale("log")
    axes.set_xlim(min(costs) / ROOM, high * ROOM)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())


def _colours(targets: Sequence[Target]) -> dict[str, str]:
    """Float32 is dark, as in every plot."""
    names = list(dict.fromkeys(one.case.variant for one in targets))
    lightened = [name for name in names if name != "float32"]
    light = VARIANT_COLOURS[1:]
    found = {name: light[n % len(light)] for n, name in enumerate(lightened)}
    return {name: found.get(name, VARIANT_COLOURS[0]) for name in names}


def _handles(boards: dict[str, int], colours: dict[str, str]) -> list[Artist]:
    plain = [
        Line2D(
            [], [], linestyle="", marker=BOARD_MARKERS[n % len(BOARD_MARKERS)], color="#777777",
            label=short(name, 20),
        )
        for name, n in boards.items()
    ]  # fmt: skip
    return [
        *plain,
        *(Patch(color=colour, label=short(name, 20)) for name, colour in colours.items()),
    ]
