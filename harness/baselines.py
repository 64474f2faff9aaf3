"""Approved figures as files, ``FOLDER/BOARD/DATASET/VARIANT.yaml``: written, read, named rightly.

Writing one approves nothing: that is what a person does who looks at the difference and commits it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from harness.boards.inventory import LABEL, find_boards
from harness.boards.specs import BoardSpec
from harness.datasets.base import natural_key
from harness.datasets.registry import SPLIT_MARK
from harness.model_files import read_model, write_text
from harness.pace import pace_text
from harness.replays import CaseRun
from harness.verdicts.baseline import (
    Baseline,
    ErrorPart,
    HeartRate,
    TimePart,
    Times,
    error_part,
    time_part,
)
from harness.verdicts.latency import NS_PER_MS, RunTimes
from harness.verdicts.provenance import Provenance, flattened
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError
from rppg_core.models import VARIANTS
from rppg_core.pacing import FAST
from rppg_core.records import INSTRUCTIONS

HEADER = """\
# Approved figures of one case. Written by `pytest benchmarks/ --update-baseline`; whoever commits
# a change of it approves that. Heart rates in bpm; times as means per frame, one for each session.
"""
LINE_WIDTH = 100
YAML_MAP, YAML_SEQ = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"
AT_PACE = "@"
"""Parts the variant in a file's name from the pace of its replays, where that is not the usual."""
AGAIN = "make it again with --update-baseline, or take the committed one back"


def file_of(folder: Path, case: Case, pace: str = FAST) -> Path:
    """Return where a case's baseline at a pace lies, whether or not it is there."""
    name = case.variant if pace == FAST else f"{case.variant}{AT_PACE}{pace.replace(' ', '-')}"
    return folder / case.board / case.dataset / f"{name}.yaml"


def load_baseline(folder: Path, case: Case, pace: str = FAST) -> Baseline | None:
    """Return a case's baseline, None where it has none; UserError for one that is unusable."""
    path = file_of(folder, case, pace)
    return _read(path, case) if path.is_file() else None


def check_baselines(
    folder: Path,
    boards: Mapping[str, BoardSpec] | None,
    datasets: Collection[str] | None,
    cases: Collection[Case],
) -> None:
    """Refuse baselines of boards, datasets or variants that no longer exist.

    ``boards`` and ``datasets`` are None where they are not those that the baselines are of. Those
    of ``cases`` are also read. UserError is one line with the file and what to do.
    """
    for path, case in _files(folder):
        whole, _, _ = case.dataset.partition(SPLIT_MARK)
        known = (
            ("board", case.board, boards is None or _target_is_there(boards, case.board)),
            ("dataset", case.dataset, datasets is None or {case.dataset, whole} & {*datasets}),
            ("variant", case.variant, case.variant in VARIANTS),
        )
        for kind, name, there in known:
            if not there:
                raise UserError(
                    f"{path}: there is no {kind} {name!r} any more; if it was renamed, rename this "
                    "file (and what it says of itself) too, else delete it"
                )
        if case in cases:
            _read(path, case)


def measured(run: CaseRun, timed: bool) -> tuple[ErrorPart | None, TimePart | None]:
    """Return a run's heart rates and times as a baseline has them; None for what it has none of.

    Recordings that failed or whose times are invalid are left out. UserError where the records
    were made by a version that did not yet note what a baseline needs.
    """
    replays = {one.recording: one for one in run.replays}
    ordered = sorted(replays, key=natural_key)
    scored = {one.recording: one for one in run.scored}
    taken = {one.recording: one for one in run.times}
    if not scored:
        return None, None
    where = provenance_of(run)
    videos = {name: replays[name].campaign.get("video") for name in ordered}
    try:
        rates = {
            name: HeartRate.model_validate(
                {
                    "subject": one.subject,
                    "video": videos[name],
                    "reference_bpm": one.reference_bpm,
                    "estimate_bpm": one.estimate_bpm,
                }
            )
            for name in ordered
            if (one := scored.get(name)) is not None
        }
        times = {
            name: Times.model_validate({"video": videos[name], "stages": _per_frame(taken[name])})
            for name in ordered
            if name in taken
        }
    except ValidationError:
        raise UserError(_too_old(run)) from None
    unit: Literal["ms", "minstr"] = "minstr" if run.unit == INSTRUCTIONS else "ms"
    return error_part(where, rates), time_part(where, unit, times) if timed and times else None


def _per_frame(run: RunTimes) -> dict[str, tuple[float]]:
    """Each stage's one mean: a millionth of ns is ms, of instructions it is millions of them."""
    return {
        one.stage: (float(one.frame_ns.mean()) / NS_PER_MS,) for one in run.stages if one.total_ns
    }


def write_baseline(folder: Path, baseline: Baseline, pace: str = FAST) -> Path:
    """Write a baseline in the same order and form every time; returns its file."""
    case = Case(baseline.board, baseline.dataset, baseline.variant)
    path = file_of(folder, case, pace)
    content = baseline.model_dump(mode="json", exclude_none=True)
    for name, row in content.get("error", {}).get("recordings", {}).items():
        content["error"]["recordings"][name] = _Row(row)
    text = yaml.dump(
        content,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=LINE_WIDTH,
    )
    write_text(path, HEADER + text)
    return path


class _Row(dict[str, Any]):
    """Written on one line."""


class _Dumper(yaml.SafeDumper):
    """A line for each setting and recording, and no anchors: two parts stand each for itself."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    _Row, lambda dumper, row: dumper.represent_mapping(YAML_MAP, row.items(), flow_style=True)
)
_Dumper.add_representer(
    list, lambda dumper, runs: dumper.represent_sequence(YAML_SEQ, runs, flow_style=True)
)


def _target_is_there(boards: Mapping[str, BoardSpec], name: str) -> bool:
    """Whether a board, or each of several that share the work, is in the boards file."""
    try:
        find_boards(boards, name.replace("label=", LABEL, 1))
    except UserError:
        return False
    return True


def _files(folder: Path) -> Iterator[tuple[Path, Case]]:
    """Every baseline below a folder, with the case its place names."""
    for path in sorted(folder.glob("*/*/*.yaml")):
        variant, _, _ = path.stem.partition(AT_PACE)
        yield path, Case(path.parts[-3], path.parts[-2], variant)


def _read(path: Path, case: Case) -> Baseline:
    found = read_model(path, Baseline, AGAIN)
    said = Case(found.board, found.dataset, found.variant)
    if said != case:
        raise UserError(f"{path}: says it is of {said}; a renamed file needs the same names inside")
    return found


def provenance_of(run: CaseRun) -> Provenance:
    """What the records of a case say of where their figures come from. Raises UserError."""
    first = next(one for one in run.replays if one.record.ok).record.raw
    try:
        return Provenance(
            processor=run.named("campaign", "processor"),
            machine=run.named("host", "machine"),
            kernel=run.named("host", "kernel"),
            python=run.named("host", "python"),
            numpy=run.named("host", "numpy"),
            opencv=run.named("host", "opencv"),
            runtime=f"{run.named('runtime', 'name')} {run.named('runtime', 'version')}",
            delegate=run.named("campaign", "delegate"),
            threads=run.named("runtime", "threads"),
            model=run.named("model", "name"),
            model_sha256=run.named("model", "sha256"),
            detector=run.named("detector"),
            labels=", ".join(sorted({one.convention for one in run.replays})),
            pace=pace_of(run),
            settings=flattened(first["settings"]),
        )
    except ValidationError:
        raise UserError(_too_old(run)) from None


def pace_of(run: CaseRun) -> str:
    """At what pace the frames of a case came, and for how long; of a mixed one, every pace."""
    return pace_text(run.named("pace") or FAST, run.named("sustained", "asked_minutes"))


def _too_old(run: CaseRun) -> str:
    return (
        f"{run.case}: these records do not say all that a baseline holds for (they were made by "
        "an older version); replay without --resume"
    )
