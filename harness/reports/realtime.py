"""Real time as tables: frames that came by themselves, minute after minute, and who keeps up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from harness.plain_text import printable
from harness.reports.layout import (
    NOTHING,
    Row,
    add_case,
    dataset_name,
    empty_table,
    milliseconds,
    number,
    plain_table,
    verdicts_of,
)
from harness.verdicts.outcome import GateResult
from harness.verdicts.realtime import Minute, RealTimeReport, SustainedRun, rank
from harness.verdicts.thresholds import Case

MOST_MINUTES = 12
"""Of more minutes the first, the last and some between are shown; records have them all."""


@dataclass(frozen=True)
class RealTime:
    """A case whose frames came at a pace (``report``), or that went on for minutes (``runs``)."""

    case: Case
    synthetic: bool
    report: RealTimeReport | None
    gates: tuple[GateResult, ...]
    runs: tuple[SustainedRun, ...]
    run_gates: tuple[GateResult, ...]

    @property
    def names(self) -> tuple[str, str, str]:
        """What stands beside its rows."""
        return self.case.board, dataset_name(self.case, self.synthetic), self.case.variant


def realtime_tables(cases: Sequence[RealTime]) -> Iterator[Table]:
    """The tables that there is something for."""
    if any(one.report for one in cases):
        yield _paced_table(cases)
    if any(one.runs for one in cases):
        yield _minutes_table(cases)
    targets: dict[str, list[SustainedRun]] = {}
    for one in cases:
        if one.runs:
            targets.setdefault(f"{one.case.board} / {one.case.variant}", []).extend(one.runs)
    if len(targets) > 1:
        yield _standings_table(targets)


def realtime_notes(cases: Iterable[RealTime]) -> Iterator[tuple[str, str]]:
    """What has to be said below: names and lines."""
    for one in cases:
        for run in one.runs:
            if run.unfinished:
                text = f"{one.case}, {run.recording}: {run.unfinished}"
                yield "unfinished", printable(text)
            if run.throttled:
                after = run.throttled_after_s
                when = "" if after is None else f" after {after:.0f} s"
                what = ", ".join(run.throttled)
                yield "throttled", printable(f"{one.case}, {run.recording}:{when} {what}")


def _paced_table(cases: Iterable[RealTime]) -> Table:
    title = "Real time: frames at their recorded times; delay in ms from frame to heart rate"
    columns = ("late %", "drop %", "wait", "max", "n", "p50", "p99", "first s")
    table = empty_table(title, ("frames", *columns))
    for one in cases:
        if one.report is None:
            continue
        found = one.report
        most = NOTHING if found.backlog_max is None else str(found.backlog_max)
        row = (
            str(found.frames),
            number(found.missed_percent, 2),
            number(found.dropped_percent, 2),
            number(found.backlog_mean, 2),
            most,
            str(found.heart_rates),
            milliseconds(found.delay_p50_ms),
            milliseconds(found.delay_p99_ms),
            number(found.first_s, 2),
        )
        gates = [text for gate in one.gates for text in verdicts_of([gate], gate.gate)]
        add_case(table, one.names, [row], [gates])
    return table


def _minutes_table(cases: Iterable[RealTime]) -> Table:
    title = "Minute by minute: RTF: time taken / time filmed; MAE in bpm"
    columns = ("s", "RTF", "late %", "drop %", "max", "p99 ms", "MAE", "°C", "MHz")
    table = empty_table(title, ("minute", *columns))
    for one in cases:
        for number_of_run, run in enumerate(one.runs):
            gates = one.run_gates if number_of_run == 0 else ()
            verdicts = [text for gate in gates for text in verdicts_of([gate], gate.gate)]
            rows = [_minute_row(minute) for minute in _shown(run.minutes)]
            rows = rows or [(NOTHING,) * (len(columns) + 1)]
            names = (*one.names, printable(run.recording))
            rows += [("",) * len(rows[0])] * max(0, len(verdicts) - len(rows))
            beside = [[text] for text in verdicts] + [[]] * (len(rows) - len(verdicts))
            add_case(table, names, rows, beside)
    return table


def _minute_row(one: Minute) -> Row:
    return (
        str(one.number),
        number(one.seconds, 0 if one.seconds >= 10 else 1),
        number(one.real_time_factor, 3),
        number(one.missed_percent, 2),
        number(one.dropped_percent, 2),
        NOTHING if one.backlog_max is None else str(one.backlog_max),
        milliseconds(one.delay_p99_ms),
        number(one.mae_bpm, 2),
        number(one.temperature_c, 0),
        number(one.mhz, 0),
    )


def _shown(minutes: Sequence[Minute]) -> list[Minute]:
    if len(minutes) <= MOST_MINUTES:
        return list(minutes)
    step = (len(minutes) - 1) / (MOST_MINUTES - 1)
    return [minutes[round(i * step)] for i in range(MOST_MINUTES)]


def _standings_table(targets: dict[str, list[SustainedRun]]) -> Table:
    places = rank(targets)
    last = max((one.last_minute for one in places), default=1)
    table = plain_table(f"Who keeps up: real-time factor in minute 1 and minute {last}")
    table.add_column("board / variant", overflow="fold", min_width=16)
    for column in ("minute 1", "place", f"minute {last}", "place", "change", "throttled"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in places:
        after = one.throttled_after_s
        table.add_row(
            Text(one.target, style="bold"),
            number(one.first, 3),
            str(one.first_place),
            number(one.last, 3),
            str(one.last_place),
            f"{one.change_percent:+.1f} %",
            NOTHING if after is None else f"{after:.0f} s",
        )
    return table
