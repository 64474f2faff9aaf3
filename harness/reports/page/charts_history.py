"""Charts of the history: a figure over the last runs of a case, with their commits below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from markupsafe import Markup

from harness.history.trend import PROVENANCE, Point
from harness.reports.layout import number
from harness.reports.page.svg import Chart
from harness.verdicts.outcome import Outcome

HEIGHT, BOTTOM, LEFT = 206, 62, 46
TURNED = -50
"""Degrees that labels below are turned by, so that twenty of them fit beside each other."""
ROOM = 0.25
LEAST_REACH = 0.1
"""Of the largest value, what the axis spans at least: noise is not to look like a change."""
FROM_ZERO_BELOW = 0.5
"""A least value below this share of the largest is shown from zero."""

LOOKS: Mapping[Outcome | None, tuple[str, str]] = {
    Outcome.PASS: ("t-pass", "circle"),
    Outcome.FAIL: ("t-fail", "triangle"),
    Outcome.INCONCLUSIVE: ("t-unsure", "square"),
    Outcome.INVALID: ("t-unsure", "square"),
    None: ("t-none", "circle"),
}
"""The class in the style sheet and the shape of a run's mark, by the outcome of its gates."""
SAID = {
    "model_sha256": "model file",
    "cpu": "processor",
    "opencv": "OpenCV",
    "numpy": "NumPy",
    "python": "Python",
}


def trend_chart(points: Sequence[Point], figure: str, name: str, unit: str) -> Markup:
    """A figure of each run, oldest first, with its interval where there is one."""
    known = [(at, one) for at, one in enumerate(points) if figure in one.figures]
    ends = [one.figures[figure] for _, one in known]
    ends += [end for _, one in known for end in one.intervals.get(figure, ())]
    chart = Chart((-0.6, len(points) - 0.4), _reach(ends), height=HEIGHT, bottom=BOTTOM, left=LEFT)
    chart.axes(x_ticks=False)
    _labels(chart, points)
    for at, (before, after) in enumerate(pairwise(points)):
        if changed(before, after):
            chart.upright(at + 0.5, "break")
    chart.line([at for at, _ in known], [one.figures[figure] for _, one in known], "trend")
    for at, one in known:
        _mark(chart, at, one, figure, unit)
    told = ", ".join(f"{label(one)} {number(one.figures[figure], 3)}" for _, one in known)
    return chart.svg(f"{name} over {len(points)} runs", f"Oldest first, in {unit}: {told}.")


def label(one: Point) -> str:
    """What a run is called below a chart: its commit, or else its day."""
    if one.commit is None:
        return one.started[:10]
    return one.commit[:7] + ("+" if one.dirty else "")


def changed(before: Point, after: Point) -> list[str]:
    """What else but the code is not as in the run before."""
    names = [name for name in PROVENANCE if before.provenance[name] != after.provenance[name]]
    return [SAID.get(name, name) for name in names]


def _mark(chart: Chart, at: int, one: Point, figure: str, unit: str) -> None:
    value = one.figures[figure]
    ends = one.intervals.get(figure)
    if ends is not None:
        x, (low, high) = chart.to_x(at), map(chart.to_y, ends)
        chart.add("line", class_="whisker", x1=x, x2=x, y1=low, y2=high)
    key, shape = LOOKS[one.outcome if one.complete else None]
    outcome = "not judged" if one.outcome is None else one.outcome.value
    said = f"{label(one)}, {one.started[:16].replace('T', ' ')}: {number(value, 3)} {unit}, "
    chart.mark(at, value, key, shape, said + (outcome if one.complete else "cut off"))


def _labels(chart: Chart, points: Sequence[Point]) -> None:
    """The commits, turned; that of this run, the last, stands out."""
    foot = chart.to_y.start + 10
    for at, one in enumerate(points):
        x = chart.to_x(at) + 4
        turned = f"rotate({TURNED} {x:.1f} {foot:.1f})"
        key = "tick end now" if at == len(points) - 1 else "tick end"
        chart.add("text", label(one), class_=key, x=x, y=foot, transform=turned)


def _reach(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=0.0)
    if high <= 0:
        return 0.0, 1.0
    if low < FROM_ZERO_BELOW * high:
        return min(low, 0.0), (1 + ROOM / 2) * high
    spare = max(ROOM * (high - low), (LEAST_REACH * high - (high - low)) / 2)
    return max(0.0, low - spare), high + spare
