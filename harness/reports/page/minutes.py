"""Real time on the page: deadlines of paced replays, and what each minute of a long one came to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.realtime import paced_runs, sustained_runs
from harness.reports.layout import milliseconds, number
from harness.reports.page.charts_time import health_strips
from harness.reports.page.shown import Shown
from harness.reports.page.svg import Chart, padded
from harness.reports.realtime import RealTime
from harness.verdicts.realtime import Minute, SustainedRun, measure_realtime

NONE = "–"
PACE_HINT = (
    "Late: not finished before the next frame was due, of the frames that were taken. "
    "Delay: from a frame to the heart rate that it completes."
)
NO_DELAY = "No delay: no heart rate came before a recording's last frame, as where it is too short."
DELAYS = ("delay p50, ms", "delay p99, ms", "first heart rate, s")
DEADLINES = ("frames", "late", "dropped", "longest backlog", *DELAYS)
MINUTE = "minute"
COLUMNS = (
    MINUTE, "seconds", "real-time factor", "late, %", "dropped, %", "longest backlog",
    "delay p99, ms", "MAE, bpm", "hottest, °C", "slowest, MHz",
)  # fmt: skip
FEWEST = 3
"""Minutes that make a course."""


@dataclass(frozen=True)
class Deadlines:
    """A row (name, cells...) for each case; ``delayless`` says why there is no delay."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    delayless: str = ""


@dataclass(frozen=True)
class Lasting:
    """One recording that was replayed for minutes; columns without any figure are left out."""

    label: str
    recording: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    charts: Sequence[Markup]
    notes: Sequence[str]
    paced: bool


def deadlines(cases: Sequence[Shown]) -> Deadlines | None:
    """What came too late where frames came by themselves.

    None without such a case; those that went on for minutes are told minute by minute.
    """
    rows = []
    for one in cases:
        paced = paced_runs(one.run)
        if not paced or sustained_runs(one.run):
            continue
        found = measure_realtime(paced)
        rows.append(
            (
                one.label or one.run.case.variant,
                f"{found.frames:,}",
                _of(sum(run.missed for run in paced), found.missed_percent),
                _of(sum(run.dropped for run in paced), found.dropped_percent),
                NONE if found.backlog_max is None else str(found.backlog_max),
                _number(found.delay_p50_ms, 0),
                _number(found.delay_p99_ms, 0),
                _number(found.first_s, 1),
            )
        )
    if not rows:
        return None
    columns, shown = _without_empty(("case", *DEADLINES), rows)
    return Deadlines(columns[1:], shown, "" if set(DELAYS) <= set(columns) else NO_DELAY)


def lasting(cases: Sequence[Shown], unfinished: Sequence[RealTime] = ()) -> list[Lasting]:
    """Every recording that was replayed for minutes, those without a record among them."""
    found = []
    for one in cases:
        health = {each.recording: each.record.raw.get("health") or {} for each in one.run.replays}
        label = one.label or one.run.case.variant
        for run in sustained_runs(one.run):
            strips = health_strips(health[run.recording].get("points") or ())
            found.append(_lasting(label, run, strips))
    for left in unfinished:
        found += [_lasting(str(left.case), run, []) for run in left.runs]
    return found


def _lasting(label: str, run: SustainedRun, strips: Sequence[Markup]) -> Lasting:
    columns, rows = _without_empty(COLUMNS, [_row(minute) for minute in run.minutes])
    enough = len(run.judged) >= FEWEST
    paced = any(one.dropped is not None for one in run.minutes)
    return Lasting(
        label=label,
        recording=run.recording,
        columns=columns,
        rows=rows,
        charts=[_factor_chart(run), *strips] if enough else [],
        notes=list(_notes(run, paced)),
        paced=paced,
    )


def _row(one: Minute) -> tuple[str, ...]:
    return (
        str(one.number),
        f"{one.seconds:.0f}",
        _number(one.real_time_factor, 3),
        _number(one.missed_percent, 2),
        _number(one.dropped_percent, 2),
        NONE if one.backlog_max is None else str(one.backlog_max),
        NONE if one.delay_p99_ms is None else milliseconds(one.delay_p99_ms),
        _number(one.mae_bpm, 2),
        _number(one.temperature_c, 0),
        _number(one.mhz, 0),
    )


def _notes(run: SustainedRun, paced: bool) -> Iterator[str]:
    if run.unfinished:
        yield f"Cut off: {run.unfinished}."
    short = [one for one in run.minutes if one not in run.judged]
    if short:
        yield "The last minute was cut too short to be judged."
    if run.throttled:
        after = run.throttled_after_s
        when = "" if after is None else f" after {after:.0f} s"
        yield f"Throttled{when}: {', '.join(run.throttled)}."
    if paced and all(one.delay_p99_ms is None for one in run.minutes):
        yield NO_DELAY


def _factor_chart(run: SustainedRun) -> Markup:
    """Real-time factor of each minute that is long enough."""
    known = [
        (one.number, one.real_time_factor) for one in run.judged if one.real_time_factor is not None
    ]
    factors = [factor for _, factor in known]
    top = max(factors, default=0.0)
    low, high = padded(factors, 0.2, 0.1 * top)
    last = run.minutes[-1].number
    chart = Chart((0.5, last + 0.5), (max(low, 0.0), high), height=180, left=60)
    chart.axes(MINUTE, "real-time factor", whole=True)
    chart.line([at for at, _ in known], factors, "trend")
    for at, factor in known:
        chart.mark(at, factor, "v0", "circle", f"minute {at}: {factor:.3f}")
    told = ", ".join(f"{factor:.3f}" for factor in factors)
    return chart.svg(f"Real-time factor of {run.recording}, minute by minute", f"{told}.")


def _without_empty(
    columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """The columns that have a figure in any row."""
    kept = [at for at in range(len(columns)) if any(row[at] != NONE for row in rows)]
    return [columns[at] for at in kept], [[row[at] for at in kept] for row in rows]


def _of(count: int, percent: float | None) -> str:
    return NONE if percent is None else f"{count:,} ({percent:.1f} %)"


def _number(value: float | None, digits: int) -> str:
    return NONE if value is None else number(value, digits)
