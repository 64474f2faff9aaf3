"""Charts of the error: by heart-rate group, against the truth, and after Bland and Altman."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from harness.reports.page.shown import Shown
from harness.reports.page.svg import Chart, padded
from harness.verdicts.accuracy import HeartRateGroup, Scored
from harness.verdicts.agreement import agreement

SHAPE = {
    HeartRateGroup.LOW: "circle",
    HeartRateGroup.MIDDLE: "square",
    HeartRateGroup.HIGH: "triangle",
}
GROUPS: tuple[HeartRateGroup | None, ...] = (None, *HeartRateGroup)
LIMITS = ("all", "low < 77", "middle", "high ≥ 90")
NEAR_BPM = 5.0
NOTHING = "–"
CLUSTER = 0.84
"""Of the room of a group, what its bars take."""
ROOM_FOR_VALUE, ROOM_FOR_LARGE_VALUE = 18.0, 26.0
"""Pixels that a bar's figure needs."""


def groups_chart(cases: Sequence[Shown]) -> Markup:
    """Mean absolute error of all and of each group, a bar for each variant."""
    tops, told = [0.0], []
    for one in cases:
        for group, name in zip(GROUPS, ("all", "low", "middle", "high"), strict=True):
            mae = _mae(one, group)
            told.append(f"{one.run.case.variant} {name} {'none' if mae is None else f'{mae:.2f}'}")
            interval = one.accuracy.intervals[group].mae_bpm
            tops += [mae or 0.0, 0.0 if interval is None else interval.high]
    chart = Chart((0, len(GROUPS)), (0, 1.12 * max(tops) or 1.0), height=240)
    chart.axes("group by true heart rate, bpm", "mean absolute error, bpm", x_ticks=False)
    width = CLUSTER / len(cases)
    for place, (group, name) in enumerate(zip(GROUPS, LIMITS, strict=True)):
        chart.text(chart.to_x(place + 0.5), chart.to_y.start + 15, name, "tick mid")
        above = min(_top(chart, one, group) for one in cases)
        for at, one in enumerate(cases):
            left = place + (1 - CLUSTER) / 2 + at * width
            _bar(chart, one, group, left, width, above)
    return chart.svg("Mean absolute error by heart-rate group", f"In bpm: {', '.join(told)}.")


def _bar(
    chart: Chart,
    one: Shown,
    group: HeartRateGroup | None,
    left: float,
    width: float,
    above: float,
) -> None:
    """A bar with its whisker; its figure stands ``above`` all whiskers of the group, in pixels."""
    mae = _mae(one, group)
    start, end = chart.to_x(left), chart.to_x(left + width)
    if mae is None:
        chart.text((start + end) / 2, chart.to_y.start - 4, NOTHING, "tick mid")
        return
    top, foot = chart.to_y(mae), chart.to_y.start
    wide, tall = 0.92 * (end - start), foot - top
    chart.add("rect", class_=f"v{one.colour}", x=start, y=top, width=wide, height=tall)
    middle = start + 0.46 * (end - start)
    interval = one.accuracy.intervals[group].mae_bpm
    if interval is not None:
        low, high = chart.to_y(interval.low), chart.to_y(interval.high)
        chart.add("line", class_="whisker", x1=middle, x2=middle, y1=low, y2=high)
    if end - start >= ROOM_FOR_VALUE:
        small = "" if end - start >= ROOM_FOR_LARGE_VALUE else " small"
        chart.text(middle, above - 3, f"{mae:.2f}", f"value mid{small}")


def _top(chart: Chart, one: Shown, group: HeartRateGroup | None) -> float:
    interval = one.accuracy.intervals[group].mae_bpm
    return chart.to_y(interval.high if interval else _mae(one, group) or 0.0)


def _mae(one: Shown, group: HeartRateGroup | None) -> float | None:
    report = one.accuracy
    return (report.overall if group is None else report.groups[group]).mae_bpm


def rate_range(cases: Sequence[Shown]) -> tuple[float, float]:
    """The heart rates of all cases with some room, so that their charts can be compared."""
    rates = [
        r for one in cases for s in one.study.scored for r in (s.reference_bpm, s.estimate_bpm)
    ]
    return padded(rates, least=4.0)


def error_range(cases: Sequence[Shown]) -> tuple[float, float]:
    """The errors of all cases, limits of agreement among them, with 0 in the middle."""
    reach = [0.1]
    for one in cases:
        found = agreement(one.study.scored)
        reach += [abs(s.error_bpm) for s in one.study.scored]
        reach += [abs(end) for end in (found.low_bpm, found.high_bpm) if end is not None]
    return -1.12 * max(reach), 1.12 * max(reach)


def scatter_chart(one: Shown, rates: tuple[float, float]) -> Markup:
    """Every recording's estimate against its truth."""
    chart = Chart(rates, rates, height=300)
    low, high = rates
    corners = [
        (low, low - NEAR_BPM), (high, high - NEAR_BPM), (high, high + NEAR_BPM),
        (low, low + NEAR_BPM),
    ]  # fmt: skip
    inside = [(x, min(max(y, low), high)) for x, y in corners]
    points = " ".join(f"{chart.to_x(x):.1f},{chart.to_y(y):.1f}" for x, y in inside)
    chart.axes("true heart rate, bpm", "estimate, bpm")
    chart.add("polygon", class_="near", points=points)
    chart.line(rates, rates, "equal")
    _points(chart, one.study.scored, lambda s: (s.reference_bpm, s.estimate_bpm))
    figures = one.accuracy.overall
    r = "" if figures.pearson_r is None else f", Pearson r {figures.pearson_r:.3f}"
    far = sum(abs(s.error_bpm) > NEAR_BPM for s in one.study.scored)
    told = f"{figures.n} recordings{r}; {far} of them more than {NEAR_BPM:g} bpm off."
    return chart.svg(f"Estimate against truth, {one.run.case.variant}", told)


def agreement_chart(one: Shown, rates: tuple[float, float], errors: tuple[float, float]) -> Markup:
    """Error against the mean of both rates, with bias and limits of agreement."""
    chart = Chart(rates, errors, height=230)
    chart.axes("mean of estimate and truth, bpm", "estimate − truth, bpm")
    chart.level(0.0, "equal")
    found = agreement(one.study.scored)
    told = "No heart rate."
    if found.bias_bpm is not None:
        chart.level(found.bias_bpm, "bias")
        told = f"Bias {found.bias_bpm:+.2f} bpm"
        if found.low_bpm is not None and found.high_bpm is not None:
            chart.level(found.low_bpm, "limit")
            chart.level(found.high_bpm, "limit")
            told += f", limits of agreement {found.low_bpm:+.2f} to {found.high_bpm:+.2f} bpm."
    _points(
        chart, one.study.scored, lambda s: ((s.reference_bpm + s.estimate_bpm) / 2, s.error_bpm)
    )
    return chart.svg(f"Bland-Altman, {one.run.case.variant}", told)


def _mean_and_error(row: Scored) -> tuple[float, float]:
    return (row.reference_bpm + row.estimate_bpm) / 2, row.error_bpm


def _points(
    chart: Chart, rows: Sequence[Scored], place: Callable[[Scored], tuple[float, float]]
) -> None:
    for one in rows:
        said = (
            f"{one.recording}: {one.estimate_bpm:.1f}, truth {one.reference_bpm:.1f} "
            f"({one.error_bpm:+.1f} bpm)"
        )
        chart.mark(*place(one), f"g-{one.group.value}", SHAPE[one.group], said)
