"""One look for all plots: colours anyone can tell apart, titles that say what was measured."""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.verdicts.accuracy import HeartRateGroup
from harness.verdicts.examined import CaseStudy
from harness.verdicts.intervals import MIN_SUBJECTS

# Okabe & Ito 2008; each group has a marker too, for those who see no colour.
GROUP_COLOURS = {
    HeartRateGroup.LOW: "#0072B2",
    HeartRateGroup.MIDDLE: "#E69F00",
    HeartRateGroup.HIGH: "#009E73",
}
GROUP_MARKERS = {HeartRateGroup.LOW: "o", HeartRateGroup.MIDDLE: "s", HeartRateGroup.HIGH: "^"}
GROUP_LIMITS = {
    HeartRateGroup.LOW: "low (< 77 bpm)",
    HeartRateGroup.MIDDLE: "middle (77 to < 90)",
    HeartRateGroup.HIGH: "high (>= 90)",
}
# The float model is dark, its lightened forms are light.
VARIANT_COLOURS = ("#4D4D4D", "#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00")
VARIANT_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
TRUTH, ESTIMATE, FAINT = "#000000", "#D55E00", "#999999"

PANEL_IN = 3.3  # side of a square panel
COLUMNS = 3
DPI = 150
# Room around the panels, and about how many letters go on a line an inch wide.
EDGE_IN, TITLE_LINE_IN, LEGEND_LINE_IN, NOTE_LINE_IN = 0.08, 0.18, 0.2, 0.13
TITLE_PER_IN, NOTE_PER_IN = 13, 17.5
LEGEND_ENTRY_IN = 1.7
NAME_LENGTH = 42  # a longer name is cut in the middle
STEM_LENGTH = 80

SETTINGS: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "text.parse_math": False,  # a name with two dollar signs is no formula
    "svg.hashsalt": "rppg-bench",
}


@contextmanager
def look() -> Iterator[None]:
    """The settings of all plots, for as long as they are drawn and saved."""
    with mpl.rc_context(SETTINGS):
        yield


def variant_style(studies: Sequence[CaseStudy], at: int) -> tuple[str, str]:
    """(colour, marker) of a variant: the first colour is float32's alone."""
    shift = int(studies[0].case.variant != "float32")
    place = at + shift
    if place:
        place = 1 + (place - 1) % (len(VARIANT_COLOURS) - 1)
    return VARIANT_COLOURS[place], VARIANT_MARKERS[place]


def panels(count: int, width_in: float = PANEL_IN, height_in: float = PANEL_IN) -> Figure:
    """A figure with room for a title, `count` panels in rows of three, and a line of notes."""
    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    # A single narrow panel would cut the title.
    width = max(columns * width_in, 4.6)
    return Figure(figsize=(width, rows * height_in + 1.1), layout="constrained")


def grid(figure: Figure, count: int) -> list[Axes]:
    """`count` panels that share both axes."""
    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    flat = [one for row in axes for one in row]
    for spare in flat[count:]:
        spare.remove()
    for at, one in enumerate(flat[:count]):
        # What the panel below would have said.
        one.tick_params(labelbottom=at + columns >= count, labelleft=at % columns == 0)
    return flat[:count]


def label_left(axes: Axes, text: str) -> None:
    """Name the vertical axis where no panel to the left has done so."""
    place = axes.get_subplotspec()
    if place is None or place.is_first_col():
        axes.set_ylabel(text)


def dress(
    figure: Figure,
    studies: Sequence[CaseStudy],
    title: str,
    notes: Sequence[str],
    handles: Sequence[Artist] = (),
) -> None:
    """Put title and legend above, small notes below, and leave the rest to the panels.

    The title names the dataset and the board, and says where no person was measured.
    """
    case = studies[0].case
    what = f"{short(case.dataset)}, on {short(case.board)}"
    if any(one.synthetic for one in studies):
        what += ". SYNTHETIC: rendered clips, no person"
    dress_plain(figure, [title, what], notes, handles)


def dress_plain(
    figure: Figure, titles: Sequence[str], notes: Sequence[str], handles: Sequence[Artist] = ()
) -> None:
    """Put titles and legend above, small notes below, and leave the rest to the panels."""
    width_in, height_in = figure.get_size_inches()
    above = [line for title in titles for line in _wrapped(title, width_in * TITLE_PER_IN)]
    below = [line for note in notes for line in _wrapped(note, width_in * NOTE_PER_IN)]
    top_in, bottom_in = (
        EDGE_IN + TITLE_LINE_IN * len(above),
        2 * EDGE_IN + NOTE_LINE_IN * len(below),
    )
    figure.text(
        EDGE_IN / width_in, 1 - EDGE_IN / height_in, "\n".join(above),
        ha="left", va="top", fontsize=10.5, linespacing=1.2,
    )  # fmt: skip
    figure.text(
        EDGE_IN / width_in, EDGE_IN / height_in, "\n".join(below),
        ha="left", va="bottom", fontsize=7.5, color="#444444", linespacing=1.2,
    )  # fmt: skip
    if handles:
        columns = max(1, int((width_in - 0.2) / LEGEND_ENTRY_IN))
        figure.legend(
            handles=list(handles), ncols=columns, loc="upper left", handletextpad=0.3,
            borderaxespad=0, bbox_to_anchor=(EDGE_IN / width_in, 1 - (top_in + 0.05) / height_in),
        )  # fmt: skip
        top_in += 0.1 + LEGEND_LINE_IN * -(-len(handles) // columns)
    room = (0, bottom_in / height_in, 1, 1 - (top_in + bottom_in) / height_in)
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(rect=room, w_pad=EDGE_IN)


def _wrapped(text: str, width: float) -> list[str]:
    return textwrap.wrap(text, int(width))


def provenance(studies: Sequence[CaseStudy]) -> str:
    """The label convention and what a failed replay means for the figures, in one note."""
    labels = ", ".join(sorted({one.conventions for one in studies if one.conventions}))
    note = f"Truth: {labels or 'none'}; one heart rate for each whole recording."
    failed = {
        one.case.variant: count
        for one in studies
        if (count := sum(row.scored is None for row in one.examined))
    }
    if failed:
        counts = ", ".join(f"{short(name, 20)} {count}" for name, count in failed.items())
        note += f" Without a heart rate and in no figure: {counts}."
    return note


def whiskers_note(shown: bool) -> str:
    """What the whiskers are, or why there are none."""
    if shown:
        return (
            "Whiskers: 95 % bootstrap interval over subjects, where there are "
            f"{MIN_SUBJECTS} or more."
        )
    return f"No intervals: fewer than {MIN_SUBJECTS} subjects."


def group_handles(studies: Sequence[CaseStudy]) -> list[Artist]:
    """Legend entries for the groups that a scored recording belongs to."""
    found = {row.group for one in studies for row in one.scored}
    return [
        Line2D(
            [], [], linestyle="", marker=GROUP_MARKERS[group], color=GROUP_COLOURS[group],
            label=GROUP_LIMITS[group],
        )
        for group in HeartRateGroup
        if group in found
    ]  # fmt: skip


def variant_handles(studies: Sequence[CaseStudy], bars: bool) -> list[Artist]:
    """Legend entries for the variants."""
    found: list[Artist] = []
    for at, study in enumerate(studies):
        (colour, marker), name = variant_style(studies, at), short(study.case.variant, 24)
        if bars:
            found.append(Patch(color=colour, label=name))
        else:
            found.append(Line2D([], [], linestyle="", marker=marker, color=colour, label=name))
    return found


def short(name: str, most: int = NAME_LENGTH) -> str:
    """`name` on one line, cut in the middle where it is too long."""
    name = " ".join(name.split()) or "(no name)"
    if len(name) <= most:
        return name
    keep = most - 1
    return f"{name[: keep - keep // 2]}…{name[len(name) - keep // 2 :]}"


def file_stem(*parts: str) -> str:
    """A file name that says what is in it, whatever characters the names have."""
    joined = "--".join(re.sub(r"[^A-Za-z0-9_.-]+", "_", part).strip("._") or "_" for part in parts)
    plain = "--".join(parts)
    if joined == plain and len(joined) <= STEM_LENGTH:
        return joined
    # Two names that are cut or cleaned to one still have files of their own.
    return f"{joined[: STEM_LENGTH - 9]}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `figure` as PNG and SVG."""
    files = [stem.with_name(stem.name + ending) for ending in (".png", ".svg")]
    figure.savefig(files[0], dpi=DPI)
    figure.set_layout_engine("none")  # laid out already
    figure.savefig(files[1], metadata={"Date": None})
    return files
