"""What label files say about a recording, and the truth that is derived from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# A resting or exercising person; anything outside is a mistake in a label, not a heart rate.
PLAUSIBLE_BPM = (30.0, 240.0)


@dataclass(frozen=True, eq=False)
class Signals:
    """What a dataset's own files say about one recording, parsed but not repaired.

    Times are in s on one clock; None where the dataset has no such thing. `frame_times_s` (frames,)
    is when each frame was taken; `ppg` (samples,) the contact pulse wave at `ppg_times_s`;
    `hr_bpm` (readings,) the sensor's heart rate at `hr_times_s` (None: one value for all of the
    recording). `nominal_rate_hz` is the frame rate that the dataset's files or authors declare.
    """

    frame_times_s: FloatArray | None = None
    ppg: FloatArray | None = None
    ppg_times_s: FloatArray | None = None
    hr_bpm: FloatArray | None = None
    hr_times_s: FloatArray | None = None
    nominal_rate_hz: float | None = None


@dataclass(frozen=True, eq=False)
class Labels:
    """The truth about one recording.

    `convention` names how `reference_bpm` was derived. `frame_times_s` (frames,) replace the
    container's timestamps and never decrease, but may repeat; `ppg` (frames,) is the contact
    pulse wave at those times. Both are None where the dataset has none. `references` are the
    heart rates by every convention that the dataset offers, None where one gives none; `defects`
    the codes of unrepaired defects, where the labels were checked.
    """

    reference_bpm: float
    convention: str
    frame_times_s: FloatArray | None = None
    ppg: FloatArray | None = None
    references: Mapping[str, float | None] = field(default_factory=dict)
    defects: tuple[str, ...] = ()
