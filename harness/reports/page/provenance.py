"""Where the figures come from: software, models, boards, settings, labels; and what went wrong."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from harness.reports.intervals import INTERVALS_NOTE
from harness.reports.page.shown import Shown
from harness.run_file import RunFile

Rows = list[tuple[str, str]]
HOST_FACTS = ("cpu", "cpus", "machine", "system", "kernel", "python", "numpy", "opencv")


def run_rows(kept: RunFile | None, results: str) -> Rows:
    """What holds for the whole run."""
    rows: Rows = []
    if kept is not None:
        commit = (kept.commit or "") + (
            " with changes that are not committed" if kept.dirty else ""
        )
        rows = [
            ("started", day(kept.started)),
            ("commit", f"{commit}, branch {kept.branch}" if kept.branch and commit else commit),
            ("command", shlex.join(kept.command)),
            ("rppg-bench", kept.version),
        ]
    rows += [("records", results), ("95 % intervals", INTERVALS_NOTE)]
    return [(name, text) for name, text in rows if text]


@dataclass(frozen=True)
class CaseFacts:
    """What holds for every case, and rows (name, one text a case) of what differs."""

    common: Rows
    names: list[str]
    differing: list[tuple[str, list[str]]]


def case_facts(cases: Sequence[Shown]) -> CaseFacts:
    """The facts of all cases, each said once where they agree."""
    each = [dict(_case_rows(one)) for one in cases]
    common: Rows = []
    differing = []
    for name in dict.fromkeys(key for facts in each for key in facts):
        texts = [facts.get(name, "") for facts in each]
        if len(set(texts)) == 1:
            common.append((name, texts[0]))
        else:
            differing.append((name, texts))
    return CaseFacts(common, [one.label for one in cases], differing)


def _case_rows(one: Shown) -> Rows:
    """What holds for one case, from its records."""
    run = one.run
    size = run.model_bytes
    band = [run.named("settings", "pulse", end) for end in ("low_hz", "high_hz")]
    host = [(name, run.named("host", name)) for name in HOST_FACTS]
    defects = sum(bool(each.label_defects) for each in run.replays)
    labels = one.study.conventions
    if defects:
        labels += f"; {defects} with unrepaired defects"
    dataset = run.case.dataset + (" (synthetic: no person was measured)" if run.synthetic else "")
    rows: Rows = [
        ("board", run.case.board),
        ("variant", run.case.variant),
        ("dataset", dataset),
        ("model", run.named("model", "name")),
        ("model SHA-256", run.named("model", "sha256")),
        ("model size", "" if size is None else f"{size:,} bytes"),
        ("runtime", f"{run.named('runtime', 'name')} {run.named('runtime', 'version')}"),
        ("threads", run.named("runtime", "threads")),
        ("face detector", run.named("detector")),
        ("heart rate", f"{run.named('settings', 'pulse', 'method')}, {'-'.join(band)} Hz"),
        ("reference", labels),
        ("host", ", ".join(f"{name} {text}" for name, text in host if text)),
        ("peak memory", _peak_memory(one)),
        ("code", run.named("code_version")),
    ]
    return [(name, text.strip()) for name, text in rows if text.strip(" -")]


def _peak_memory(one: Shown) -> str:
    peaks = [each.record.raw.get("peak_memory_bytes") for each in one.run.replays]
    known = [peak for peak in peaks if isinstance(peak, int)]
    return f"{max(known) / 1e6:.1f} MB" if known else ""


def board_rows(facts: Mapping[str, Any]) -> Rows:
    """A board's facts as its run's file keeps them, those of one value alone."""
    return [
        (str(name), str(value))
        for name, value in facts.items()
        if isinstance(value, str | int | float) and str(value)
    ]


def troubles(cases: Sequence[Shown]) -> list[str]:
    """Recordings without a heart rate, and times that are in no figure."""
    lines = []
    for one in cases:
        where = f" ({one.label})" if one.label else ""
        lines += [
            f"{name}{where}: no heart rate: {' '.join(reason.split())}"
            for name, reason in sorted(one.run.failures.items())
        ]
        lines += [
            f"{name}{where}: times not counted: {reason}"
            for name, reason in sorted(one.run.invalid.items())
        ]
    return lines


def day(started: str) -> str:
    """When something was started, as people write it."""
    try:
        when = datetime.fromisoformat(started.replace("Z", "+00:00"))
    except ValueError:
        return started
    return when.astimezone(timezone.utc).strftime("%d %B %Y, %H:%M UTC")
