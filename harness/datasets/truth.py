"""The exact truth about a rendered clip, frame by frame, in a small file beside its video."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.datasets.base import FloatArray
from rppg_core.errors import UserError

TRUTH_NAME = "truth.csv"
COLUMNS = ("time_s", "pulse", "phase_beats", "rate_bpm", "visible")


@dataclass(frozen=True, eq=False)
class Truth:
    """One value for each frame, each array (frames,).

    `pulse` is the wave in the skin, rising with blood volume, with a peak-to-peak of about 1;
    `phase_beats` counts beats and is whole at each systolic peak, so that its fraction is the
    phase; `rate_bpm` is the rate of the moment; `visible` is False while the face is covered.
    Pulse, phase and rate go on while it is.
    """

    time_s: FloatArray
    pulse: FloatArray
    phase_beats: FloatArray
    rate_bpm: FloatArray
    visible: npt.NDArray[np.bool_]


def write_truth(path: Path, truth: Truth) -> None:
    """Write a truth file: CSV with a header, one row for each frame."""
    rows = zip(
        truth.time_s, truth.pulse, truth.phase_beats, truth.rate_bpm, truth.visible, strict=True
    )
    lines = [f"{t:.6f},{p:.6f},{b:.6f},{r:.4f},{int(v)}" for t, p, b, r, v in rows]
    path.write_text("\n".join([",".join(COLUMNS), *lines, ""]), encoding="ascii")


def read_truth(video: Path) -> Truth:
    """Read the truth beside a rendered clip's `video`; UserError where there is none whole."""
    path = video.parent / TRUTH_NAME
    try:
        with path.open(encoding="ascii", newline="") as stream:
            rows = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); only rendered clips have a truth"
        ) from None
    try:
        values = np.array(rows[1:], np.float64)
    except ValueError:
        values = np.empty((0, 0))
    if not rows or tuple(rows[0]) != COLUMNS or values.shape != (len(rows) - 1, len(COLUMNS)):
        raise UserError(f"{path}: not a truth of the columns {', '.join(COLUMNS)}; render it again")
    if not np.isfinite(values).all() or not np.isin(values[:, 4], (0, 1)).all():
        raise UserError(f"{path}: holds a value that is none; render it again")
    time_s, pulse, phase, rate, visible = values.T
    return Truth(time_s, pulse, phase, rate, visible == 1)
