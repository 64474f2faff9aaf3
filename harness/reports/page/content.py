"""What the page says, section by section: plain values, ready for the template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from harness.examine import study
from harness.replays import CaseRun
from harness.reports.gate_words import Kind
from harness.reports.intervals import written
from harness.reports.layout import milliseconds, number
from harness.reports.page.charts_accuracy import (
    agreement_chart,
    error_range,
    groups_chart,
    rate_range,
    scatter_chart,
)
from harness.reports.page.charts_time import stages_chart, timeline_charts, timeline_of
from harness.reports.page.shown import Shown, colours, places
from harness.reports.plain_words import Judged
from harness.run_file import RunFile
from harness.verdicts.accuracy import AccuracyReport, HeartRateGroup, score
from harness.verdicts.counts import count
from harness.verdicts.gates import CORRELATION
from harness.verdicts.latency import measure
from harness.verdicts.thresholds import Case
from rppg_core.records import INSTRUCTIONS


@dataclass(frozen=True)
class Place:
    """One board and dataset with the variants on it; a row of figures is (name, cells...)."""

    name: str
    synthetic: bool
    counting: bool
    cases: Sequence[Shown]
    charts: Mapping[str, Sequence[Markup]]
    figures: Sequence[Sequence[str]] = ()
    sure: bool = False

    @property
    def scored(self) -> list[str]:
        """The variants that gave a heart rate, as their charts are in order."""
        return [one.run.case.variant for one in self.cases if one.study.scored]


@dataclass(frozen=True)
class Course:
    """One replay of a case, the slowest, from beginning to end."""

    label: str
    recording: str
    charts: Sequence[Markup]
    notes: Sequence[str] = field(default=())


def shown_cases(runs: Sequence[CaseRun], kept: RunFile | None) -> list[Shown]:
    """Every case with its figures, in the order of board, dataset and variant."""
    numbers = colours([run.case.variant for run in runs])
    found = []
    for run in sorted(runs, key=lambda one: case_order(one.case)):
        counting = run.unit == INSTRUCTIONS
        found.append(
            Shown(
                label=case_label(run.case, [one.case for one in runs]),
                colour=numbers[run.case.variant],
                run=run,
                study=study(run, parts=False),
                accuracy=score(run.scored),
                latency=None if counting or not run.times else measure(run.times),
                counts=count(run.times) if counting and run.times else None,
                gates=None if kept is None else kept.gates.get(run.case, ()),
            )
        )
    return found


def judged_cases(kept: RunFile) -> list[Judged]:
    """The gates of each case; a case without records is among them."""
    cases = sorted(kept.gates, key=case_order)
    return [Judged(case, case_label(case, cases), kept.gates[case]) for case in cases]


def case_label(case: Case, among: Sequence[Case]) -> str:
    """The parts of a case's name that differ; empty where there is only one case."""
    parts = []
    for name in ("board", "dataset", "variant"):
        if len({getattr(one, name) for one in among}) > 1:
            parts.append(str(getattr(case, name)))
    return ", ".join(parts)


def key_figures(one: Shown) -> dict[Kind, str]:
    """The figure of each question that a person asks for first."""
    found = {}
    mae = one.accuracy.overall.mae_bpm
    if mae is not None:
        found[Kind.ACCURACY] = f"MAE {mae:.2f} bpm"
    if one.latency is not None and one.latency.real_time_factor is not None:
        found[Kind.SPEED] = f"RTF {one.latency.real_time_factor:.3f}"
    elif one.counts is not None:
        found[Kind.SPEED] = f"{number(one.counts.minstr_per_frame, 2)} M instr a frame"
    correlation = [g.figure for g in one.gates or () if g.gate == CORRELATION and g.figure]
    if correlation:
        found[Kind.LIKENESS] = f"r {correlation[0]:.4f}"
    return found


def case_order(case: Case) -> tuple[str, str, bool, str]:
    """The order of cases: by board and dataset, float32 first."""
    return case.board, case.dataset, case.variant != "float32", case.variant


def accuracy_places(cases: Sequence[Shown]) -> list[Place]:
    """Figures and charts of the error, by board and dataset."""
    found = []
    for here in places(cases).values():
        scored = [one for one in here if one.study.scored]
        charts: dict[str, Sequence[Markup]] = {"groups": [], "scatter": [], "agreement": []}
        if scored:
            rates, errors = rate_range(scored), error_range(scored)
            charts["groups"] = [groups_chart(scored)]
            charts["scatter"] = [scatter_chart(one, rates) for one in scored]
            charts["agreement"] = [agreement_chart(one, rates, errors) for one in scored]
        sure = any(_has_intervals(one.accuracy) for one in here)
        rows = [row for one in here for row in _accuracy_rows(one)]
        found.append(_place(here, charts, rows, sure))
    return found


def time_places(cases: Sequence[Shown]) -> list[Place]:
    """Figures and charts of the time, by board and dataset."""
    found = []
    for here in places(cases).values():
        timed = [one for one in here if one.per_frame]
        charts = {"stages": [stages_chart(timed)] if timed else []}
        rows = [row for one in here for row in _time_rows(one)]
        found.append(_place(here, charts, rows))
    return found


def _place(
    here: Sequence[Shown],
    charts: Mapping[str, Sequence[Markup]],
    figures: Sequence[Sequence[str]],
    sure: bool = False,
) -> Place:
    board, dataset = here[0].place
    return Place(
        name=f"{dataset} on {board}",
        synthetic=any(one.run.synthetic for one in here),
        counting=any(one.run.unit == INSTRUCTIONS for one in here),
        cases=here,
        charts=charts,
        figures=figures,
        sure=sure,
    )


def _has_intervals(report: AccuracyReport) -> bool:
    return any(each.mae_bpm is not None for each in report.intervals.values())


def _accuracy_rows(one: Shown) -> Iterator[tuple[str, ...]]:
    for group in (None, *HeartRateGroup):
        figures = one.accuracy.overall if group is None else one.accuracy.groups[group]
        yield (
            one.run.case.variant,
            "all" if group is None else group.value,
            str(figures.n),
            number(figures.mae_bpm, 2),
            written(one.accuracy.intervals[group].mae_bpm),
            number(figures.rmse_bpm, 2),
            number(figures.pearson_r, 3),
            number(figures.mean_snr_db, 1),
        )


def _time_rows(one: Shown) -> Iterator[tuple[str, ...]]:
    name = one.run.case.variant
    if one.counts is not None:
        for each in one.counts.stages:
            percentiles = (each.p50_minstr, each.p90_minstr, each.p99_minstr)
            yield (
                name,
                each.stage,
                f"{each.calls:,}",
                *(number(figure, 3) for figure in percentiles),
                number(each.minstr_per_frame, 3),
                f"{each.share_percent:.1f}",
            )
    elif one.latency is not None:
        for stage in one.latency.stages:
            yield (
                name,
                stage.stage,
                f"{stage.calls:,}",
                *(milliseconds(figure) for figure in (stage.p50_ms, stage.p90_ms, stage.p99_ms)),
                milliseconds(stage.ms_per_frame, digits_below_1=3),
                f"{stage.share_percent:.1f}",
            )


def courses(cases: Sequence[Shown]) -> list[Course]:
    """The slowest replay of each case, second by second."""
    found = []
    for one in cases:
        replays = [each for each in one.run.replays if each.record.ok]
        if not replays:
            continue
        slowest = max(
            replays,
            key=lambda each: (
                sum(int(row.sum()) for row in each.record.timings_ns.values())
                / each.record.duration_s
            ),
        )
        line = timeline_of(slowest)
        notes = []
        if line.missed_s:
            notes.append(f"{_frames(len(line.missed_s))}, marked above the chart.")
        if line.throttled:
            notes.append(f"Throttled: {', '.join(line.throttled)}.")
        if line.budget_ms is not None and not (len(line.temperature_c) or len(line.slowest_mhz)):
            notes.append("This board tells neither its temperature nor its clock.")
        if slowest.recording in one.run.invalid:
            notes.append(f"Not counted: {one.run.invalid[slowest.recording]}.")
        label = one.label or one.run.case.variant
        found.append(Course(label, slowest.recording, timeline_charts(line), notes))
    return found


def _frames(late: int) -> str:
    return "1 late frame" if late == 1 else f"{late:,} late frames"
