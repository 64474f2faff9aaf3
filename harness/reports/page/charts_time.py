"""Charts of time: what each stage takes, and one replay from its first second to its last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from harness.replays import Replayed
from harness.reports.page.shown import Shown
from harness.reports.page.svg import (
    BOTTOM,
    RIGHT,
    WIDTH,
    Chart,
    element,
    padded,
    picture,
    thinned,
    tick_texts,
)
from harness.verdicts.latency import NS_PER_MS, NS_PER_S, STAGES
from rppg_core.records import INSTRUCTIONS

BAR_PX, ROW_PX, LABEL_PX = 22, 50, 15
WIDE_ENOUGH_PX = 30.0
"""What a share's figure needs within its bar."""
POINTS = 80
"""Of a timeline: more cannot be told apart on a phone."""


def stages_chart(cases: Sequence[Shown]) -> Markup:
    """A bar for each case, as long as a frame takes, divided into stages."""
    longest = max(sum(one.per_frame.values()) for one in cases)
    parts, told = [], []
    for row, one in enumerate(cases):
        whole = sum(one.per_frame.values())
        said = f"{_short(whole)} {one.unit} a frame"
        if one.latency is not None and one.latency.real_time_factor is not None:
            said += f", real-time factor {one.latency.real_time_factor:.3f}"
        top = row * ROW_PX
        name = one.run.case.variant
        parts.append(element("text", name, class_="name", x=0, y=top + LABEL_PX - 2))
        parts.append(element("text", said, class_="tick end", x=WIDTH, y=top + LABEL_PX - 2))
        at, shares = 0.0, []
        for stage, taken in one.per_frame.items():
            share, width = 100 * taken / whole, WIDTH * taken / longest
            shares.append(f"{stage} {share:.0f} %")
            parts.append(_part(at, top + LABEL_PX + 3, width, stage, taken, share, one.unit))
            at += width
        told.append(f"{name}: {said}, of it {', '.join(shares)}.")
    return picture(ROW_PX * len(cases), "What a frame takes, by stage", " ".join(told), parts)


def _part(
    x: float, y: float, width: float, stage: str, taken: float, share: float, unit: str
) -> Markup:
    said = f"{stage}: {_short(taken)} {unit} a frame, {share:.1f} %"
    size = {"width": max(width - 0.6, 0.4), "height": BAR_PX}
    part = element("rect", element("title", said), class_=f"s-{stage}", x=x, y=y, **size)
    if width < WIDE_ENOUGH_PX:
        return part
    middle = {"x": x + width / 2, "y": y + BAR_PX / 2 + 4}
    return part + element("text", f"{share:.0f} %", class_="on mid", **middle)


@dataclass(frozen=True, eq=False)
class Timeline:
    """One replay: ``per_frame[stage]`` (points,) in ms or M instructions at ``at_s`` (points,).

    ``temperature_c`` and ``slowest_mhz`` are rows (points, 2) of seconds and value. ``budget_ms``
    is what a frame may take to keep up, None where instructions were counted.
    """

    recording: str
    at_s: npt.NDArray[np.float64]
    per_frame: Mapping[str, npt.NDArray[np.float64]]
    unit: str
    budget_ms: float | None
    temperature_c: npt.NDArray[np.float64]
    slowest_mhz: npt.NDArray[np.float64]
    throttled: tuple[str, ...] = ()
    missed_s: tuple[float, ...] = ()
    """When a frame of a paced replay was not finished before the next was due."""
    paced: bool = False


def timeline_of(one: Replayed) -> Timeline:
    """The course of a replay that gave a heart rate."""
    record = one.record
    counted = record.timings_unit == INSTRUCTIONS
    rows = {stage: record.timings_ns[stage] / NS_PER_MS for stage in STAGES}
    health = record.raw.get("health") or {}
    film_s = record.times_s - record.times_s[0]
    missed = missed_frames(record.raw)
    at_s = film_s
    if not counted and missed is None:
        spent_s = np.cumsum(sum(record.timings_ns.values())) / NS_PER_S
        at_s = spent_s - spent_s[0]
    points = [] if counted else health.get("points") or []
    first_s = _first_frame_s(record.raw, float(at_s[-1]))
    frames = len(record.times_s)
    return Timeline(
        recording=one.recording,
        at_s=thinned(np.asarray(at_s), POINTS),
        per_frame={stage: thinned(row, POINTS) for stage, row in rows.items()},
        unit="M instructions" if counted else "ms",
        budget_ms=None if counted else 1e3 * record.duration_s / frames,
        temperature_c=_within(_row(points, "temperature_c"), first_s, float(at_s[-1])),
        slowest_mhz=_within(_row(points, "slowest_mhz"), first_s, float(at_s[-1])),
        throttled=tuple(map(str, health.get("throttled") or ())),
        missed_s=tuple(float(at_s[frame]) for frame in missed or () if frame < frames),
        paced=missed is not None,
    )


def _first_frame_s(raw: Mapping[str, Any], last_s: float) -> float:
    """When the first frame came, on the watch over the board; ``last_s`` is the last since then.

    The board is watched from before the first frame until after the last; where a recording went
    on for minutes, its frames here are of the first pass.
    """
    if raw.get("sustained"):
        return 0.0
    return max(0.0, float((raw.get("health") or {}).get("seconds", 0.0)) - last_s)


def _within(row: npt.NDArray[np.float64], first_s: float, last_s: float) -> npt.NDArray[np.float64]:
    """The values (points, 2) seen from the first frame to the last, in seconds since the first."""
    if not len(row):
        return row
    moved = row - (first_s, 0.0)
    inside = moved[(moved[:, 0] >= 0) & (moved[:, 0] <= last_s)]
    if len(inside) > 1:
        return inside
    moved[:, 0] = np.clip(moved[:, 0], 0.0, last_s)  # over before the watch looked twice
    return moved


def missed_frames(raw: Mapping[str, Any]) -> list[int] | None:
    """The frames of a paced replay that were late; None where frames did not come by themselves."""
    pacing = raw.get("pacing") or {}
    return None if pacing.get("missed") is None else list(pacing.get("missed_frames", ()))


def _row(points: Sequence[Mapping[str, Any]], name: str) -> npt.NDArray[np.float64]:
    found = [(point["at_s"], point[name]) for point in points if name in point]
    return np.asarray(found, np.float64).reshape(-1, 2)


def timeline_charts(line: Timeline) -> list[Markup]:
    """The stages over the time of a replay; below them temperature and clock, where known."""
    across = (0.0, float(line.at_s[-1]) or 1.0)
    strips = _strips(line.temperature_c, line.slowest_mhz, across)
    return [_stages_over_time(line, across), *strips]


def health_strips(points: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """Temperature and clock over the whole time that a board was watched, where known."""
    warm, clock = _row(points, "temperature_c"), _row(points, "slowest_mhz")
    ends = [float(row[-1, 0]) for row in (warm, clock) if len(row)]
    return _strips(warm, clock, (0.0, max(ends, default=0.0) or 1.0), "time on the board, s")


def _strips(
    warm: npt.NDArray[np.float64],
    clock: npt.NDArray[np.float64],
    across: tuple[float, float],
    label: str = "",
) -> list[Markup]:
    kinds = ((warm, "Temperature", "°C", "warm"), (clock, "Slowest clock", "MHz", "clock"))
    return [
        _strip(row, across, (name, unit, key), label) for row, name, unit, key in kinds if len(row)
    ]


def _stages_over_time(line: Timeline, across: tuple[float, float]) -> Markup:
    floor = np.zeros(len(line.at_s))
    tops = []
    for stage in STAGES:
        tops.append((stage, floor, floor + line.per_frame[stage]))
        floor = floor + line.per_frame[stage]
    whole = floor
    top = 1.1 * float(whole.max())
    budget = line.budget_ms
    near = budget is not None and budget < 2 * top
    chart = Chart(across, (0, max(top, 1.1 * budget) if near and budget else top), height=210)
    label = "film, s" if budget is None or line.paced else "time on the board, s"
    chart.axes(label, f"{line.unit} a frame")
    for stage, low, high in tops:
        there = np.concatenate([line.at_s, line.at_s[::-1]])
        edge = np.concatenate([high, low[::-1]])
        points = " ".join(
            f"{chart.to_x(x):.1f},{chart.to_y(y):.1f}" for x, y in zip(there, edge, strict=True)
        )
        chart.add("polygon", element("title", stage), class_=f"s-{stage}", points=points)
    for at in line.missed_s:
        x = chart.to_x(at)
        chart.add("line", class_="late", x1=x, x2=x, y1=chart.top - 8, y2=chart.top - 1)
    told = f"{float(whole.min()):.3g} to {float(whole.max()):.3g} {line.unit} a frame"
    if line.missed_s:
        told += f"; frames that were late are marked above, {len(line.missed_s)} of them"
    if budget is not None:
        told += f"; {budget:.1f} ms would keep up with the film"
        if near:
            chart.level(budget, "limit")
            chart.text(WIDTH - RIGHT, chart.to_y(budget) - 4, "keeps up below", "tick end")
    return chart.svg(f"What a frame took in the course of {line.recording}", f"{told}.")


def _strip(
    row: npt.NDArray[np.float64],
    across: tuple[float, float],
    what: tuple[str, ...],
    label: str,
) -> Markup:
    """One quantity over time; ``what`` is its name, its unit and its class in the style sheet."""
    name, unit, key = what
    values = row[:, 1].tolist()
    bottom = BOTTOM if label else 8
    chart = Chart(across, padded(values, 0.15, 0.5), height=74 + bottom, bottom=bottom, top=22)
    up = chart.to_y.ticks(2)
    for value, said in zip(up, tick_texts(up), strict=True):
        at = chart.to_y(value)
        chart.add("line", class_="grid", x1=chart.left, x2=WIDTH - RIGHT, y1=at, y2=at)
        chart.text(chart.left - 5, at + 4, said, "tick end")
    chart.axes(label, y_ticks=False, x_ticks=bool(label))
    chart.line(row[:, 0].tolist(), values, key)
    chart.text(chart.left, 13, f"{name}, {unit}", "label")
    told = f"{min(values):.0f} to {max(values):.0f} {unit}."
    return chart.svg(f"{name} of the board", told)


def _short(value: float) -> str:
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"
