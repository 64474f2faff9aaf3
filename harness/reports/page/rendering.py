"""The page itself: content into its template, with style and script inside."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from harness.replays import CaseRun
from harness.reports.gate_words import Kind, kind_of
from harness.reports.page import content, minutes, provenance, recordings
from harness.reports.page import history as history_shown
from harness.reports.page.gate_rows import GateRow
from harness.reports.page.shown import Shown
from harness.reports.page.svg import SHAPES
from harness.reports.page.worst import worst
from harness.reports.pictures import PictureOf
from harness.reports.plain_words import Judged, gates_of, headline, outcomes, told
from harness.reports.realtime import RealTime
from harness.run_file import RunFile
from harness.verdicts.latency import STAGES
from harness.verdicts.outcome import Outcome
from rppg_core import __version__

PARTS = Path(__file__).parent / "parts"
SQUARE = "M-5-5h10v10h-10z"
GROUP_LEGEND = (
    ("g-low", "low, true rate below 77 bpm", SHAPES["circle"]),
    ("g-middle", "middle, 77 to below 90", SHAPES["square"]),
    ("g-high", "high, 90 and more", SHAPES["triangle"]),
)
SECTIONS = ("verdicts", "accuracy", "recordings", "time", "provenance", "history", "worst")


def render_page(
    runs: Sequence[CaseRun],
    kept: RunFile | None,
    results: str,
    picture_of: PictureOf,
    history: history_shown.Shown | None = None,
    unfinished: Sequence[RealTime] = (),
    real_people: bool = False,
) -> str:
    """The page of a run. Names in records are text to it, whatever they look like.

    ``unfinished`` are recordings that were to go on for minutes and have no record;
    ``real_people`` says that pictures of them were asked for.
    """
    cases = content.shown_cases(runs, kept)
    judged = [] if kept is None else content.judged_cases(kept)
    said = {
        **_head(cases, kept, judged),
        **_verdicts(judged, cases),
        **_recordings(cases),
        "kept": kept,
        "troubles": provenance.troubles(cases),
        "accuracy": content.accuracy_places(cases),
        "time": content.time_places(cases),
        **_real_time(cases, unfinished),
        "courses": content.courses(cases),
        "run_facts": provenance.run_rows(kept, results),
        "case_facts": provenance.case_facts(cases),
        "board_facts": _board_facts(kept),
        "worst": worst(cases, picture_of),
        "history": history,
        "history_legend": history_shown.LEGEND,
        "sections": [(key, key.capitalize()) for key in SECTIONS if key != "history" or history],
        "group_legend": GROUP_LEGEND,
        "stage_legend": [(f"s-{stage}", stage, SQUARE) for stage in STAGES],
        "variant_legend": _variant_legend,
        "hidden_faces": not real_people and any(not one.run.synthetic for one in cases),
    }
    return _template().render(**said)


def _head(cases: Sequence[Shown], kept: RunFile | None, judged: Sequence[Judged]) -> dict[str, Any]:
    boards = _distinct(one.run.case.board for one in cases)
    datasets = _distinct(one.run.case.dataset for one in cases)
    variants = _distinct(one.run.case.variant for one in cases)
    count = len({(one.run.case.dataset, r.recording) for one in cases for r in one.run.replays})
    synthetic = _distinct(one.run.case.dataset for one in cases if one.run.synthetic)
    counting = _distinct(one.run.case.board for one in cases if one.counts is not None)
    about = [
        provenance.day((kept and kept.started) or _first_start(cases)),
        _commit(kept),
        f"{count} recording{'s' * (count != 1)}",
        ", ".join(variants),
    ]
    return {
        "title": f"Heart rate from video: {', '.join(datasets)} on {', '.join(boards)}",
        "headline": "No verdicts were kept of this run." if kept is None else headline(judged),
        "about": " · ".join(filter(None, about)),
        "synthetic": ", ".join(synthetic),
        "all_synthetic": len(synthetic) == len(datasets),
        "counting": ", ".join(counting),
        "all_counting": len(counting) == len(boards),
        "version": __version__,
        "css": Markup(_part("page.css")),  # our own files, not a record's text
        "js": Markup(_part("page.js")),
    }


def _commit(kept: RunFile | None) -> str:
    if kept is None or kept.commit is None:
        return ""
    return f"commit {kept.commit[:10]}{' with changes' if kept.dirty else ''}"


def _verdicts(judged: Sequence[Judged], cases: Sequence[Shown]) -> dict[str, Any]:
    kinds = [kind for kind in Kind if gates_of(judged, kind)]
    figures = {one.run.case: content.key_figures(one) for one in cases}
    matrix = []
    for one in judged:
        here, known = outcomes([one]), figures.get(one.case, {})
        cells = [(here.get(kind), known.get(kind, "")) for kind in kinds]
        matrix.append((one.label or str(one.case), cells))
    rows = [GateRow(one.label, kind_of(gate), gate) for one in judged for gate in one.gates]
    rows = list(dict.fromkeys(rows))  # a failed replay is told by each benchmark
    rows.sort(key=lambda row: row.grave)
    return {
        "judged": judged,
        "told": told(judged),
        "kinds": kinds,
        "matrix": matrix,
        "gates_past": [row for row in rows if not row.gate.passed],
        "gates_passed": [row for row in rows if row.gate.passed],
        "compared": any(row.gate.baseline is not None or row.gate.interval for row in rows),
        "invalid": Outcome.INVALID,
    }


def _recordings(cases: Sequence[Shown]) -> dict[str, Any]:
    rows = recordings.recording_rows(cases)
    distinct = {
        name: _distinct(getattr(row, name) for row in rows)
        for name in ("board", "dataset", "variant", "group")
    }
    counting = {one.counts is not None for one in cases}
    speeds = {frozenset({True}): "M instr a frame", frozenset({False}): "real-time factor"}
    return {
        "recordings": rows,
        "far": f"{recordings.FAR_BPM:g}",
        "choices": [(name, values) for name, values in distinct.items() if len(values) > 1],
        "several": {
            **{name: len(values) > 1 for name, values in distinct.items()},
            "subject": any(row.subject != row.recording for row in rows),
            "conditions": any(row.conditions for row in rows),
            "note": any(row.note for row in rows),
        },
        "speed_name": speeds.get(frozenset(counting), "real-time factor or M instr"),
    }


def _real_time(cases: Sequence[Shown], unfinished: Sequence[RealTime]) -> dict[str, Any]:
    found = minutes.lasting(cases, unfinished)
    return {
        "deadlines": minutes.deadlines(cases),
        "lasting": found,
        "lasting_paced": any(one.paced for one in found),
        "pace_hint": minutes.PACE_HINT,
    }


def _board_facts(kept: RunFile | None) -> list[tuple[str, provenance.Rows]]:
    if kept is None:
        return []
    found = [(name, provenance.board_rows(facts or {})) for name, facts in kept.boards.items()]
    return [(name, rows) for name, rows in found if rows]


def _variant_legend(cases: Sequence[Shown]) -> list[tuple[str, str, str]]:
    return [(f"v{one.colour}", one.run.case.variant, SQUARE) for one in cases]


def _distinct(values: Any) -> list[str]:
    return list(dict.fromkeys(values))


def _first_start(cases: Sequence[Shown]) -> str:
    found = [str(r.record.raw.get("started_at", "")) for one in cases for r in one.run.replays]
    return min(filter(None, found), default="")


def _part(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PARTS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")
