"""What each stage handed on, out of records; and the run to hold a case against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.replays import CaseRun, Replayed, load_cases
from harness.verdicts.hops import Array, Rows, Tolerances, Trace, tolerances_for
from harness.verdicts.thresholds import Case
from rppg_core.errors import UserError

STAGE_OF_ERROR = {
    "NoFaceError": "detect",
    "ModelError": "predict",
    "PulseError": "postprocess",
}
"""By what a replay failed; whatever is not listed came of the video."""
EMPTY = np.empty(0)
OF_A_BOARD = (
    *(("host", name) for name in ("machine", "cpu", "opencv", "numpy")),
    *(("runtime", name) for name in ("name", "version")),
)
"""What in a record decides how the same code rounds."""


def traces_of(run: CaseRun) -> tuple[Trace, ...]:
    """Every replay of a case. Raises UserError for a broken record."""
    return tuple(trace_of(one) for one in run.replays)


def trace_of(one: Replayed) -> Trace:
    """One replay; what an older record lacks is None. Raises UserError for a broken record."""
    raw = one.record.raw
    if not one.record.ok:
        stage = STAGE_OF_ERROR.get(raw["error"].get("kind", ""), "decode")
        nothing = np.empty((0, 4))
        return Trace(
            one.recording, EMPTY, nothing, EMPTY, EMPTY, EMPTY, 0.0,
            failed_stage=stage, failure=one.record.error or "failed",
        )  # fmt: skip
    try:
        result, kept = raw["result"], raw.get("fingerprints")
        pulse = result["pulse"]
        wave = np.asarray(pulse["samples"], np.float64)
        return Trace(
            one.recording,
            one.record.times_s,
            boxes_of(result["boxes"], len(one.record.times_s)),
            np.asarray(result["derivative"], np.float64),
            wave,
            pulse["start_s"] + np.arange(len(wave)) / pulse["fps"],
            float(result["bpm"]),
            picture=_rows(kept, "picture"),
            crop=_rows(kept, "crop"),
            motion=_rows(kept, "motion"),
            appearance=_rows(kept, "appearance"),
        )
    except (KeyError, TypeError, ValueError, IndexError) as bad:
        raise UserError(
            f"the record of {one.recording!r} is broken ({bad!r}); replay it again"
        ) from None


def boxes_of(moves: Sequence[Mapping[str, Any]], frames: int) -> Array:
    """The box of every frame (frames, 4), NaN without a face, of a record's list of moves."""
    boxes = np.full((frames, 4), np.nan)
    for move in moves:
        boxes[move["frame"] :] = np.nan if move["box"] is None else move["box"]
    return boxes


def usual_tolerances(before: CaseRun, after: CaseRun) -> Tolerances:
    """What two runs may differ by: less where machine, libraries and model are the same."""
    same_board = all(before.named(*path) == after.named(*path) for path in OF_A_BOARD)
    same_model = before.named("model", "sha256") == after.named("model", "sha256")
    return tolerances_for(same_board=same_board, same_model=same_model)


def reference_of(case: Case, folders: Sequence[Path], detector: str) -> CaseRun:
    """The run in `folders` that a case is held against: of its dataset, detector and variant.

    One of the same board before one of another. Raises UserError where there is none.
    """
    runs = [run for folder in folders for run in load_cases(folder)]
    fitting = [
        run
        for run in runs
        if (run.case.dataset, run.case.variant) == (case.dataset, case.variant)
        and run.named("detector") == detector
    ]
    if not fitting:
        have = ", ".join(sorted({f"{one.case}, {one.named('detector')}" for one in runs}))
        where = ", ".join(map(str, folders))
        raise UserError(
            f"{where}: no replays of {case.dataset} through {case.variant} with {detector} to "
            f"hold {case} against; there are: {have}"
        )
    return min(fitting, key=lambda one: one.case.board != case.board)


def _rows(kept: Mapping[str, Any] | None, part: str) -> Rows | None:
    if kept is None:
        return None
    rows = zip(kept["frame"], kept[part], strict=True)
    return {int(frame): np.asarray(row, np.float64) for frame, row in rows}
