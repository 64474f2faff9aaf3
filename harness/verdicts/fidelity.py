"""How much of the float model is left in another form of it: the two, recording by recording.

Mean errors alone would not do: one recording with two near-equal spectral peaks moves them by a
beat or more, either way, while the pulse is the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from harness.verdicts.accuracy import HeartRateGroup

# Within this of the truth the float model is on the pulse; where another form is then further than
# this from the float model, it has lost it. Half a step of a 10 s window's spectrum.
LOCK_BPM = 3.0
# Below this, the signal-to-noise ratio of two equal derivatives would be infinite.
SMALLEST_NOISE = 1e-12


@dataclass(frozen=True, eq=False)
class Pair:
    """One recording through both; the derivatives of the pulse are (frames,)."""

    recording: str
    reference_bpm: float
    float_bpm: float
    variant_bpm: float
    float_derivative: npt.NDArray[np.float64]
    variant_derivative: npt.NDArray[np.float64]

    @property
    def locked(self) -> bool:
        """Whether the float model is on the pulse."""
        return abs(self.float_bpm - self.reference_bpm) <= LOCK_BPM

    @property
    def difference_bpm(self) -> float:
        """How far apart the two heart rates are."""
        return abs(self.variant_bpm - self.float_bpm)

    @property
    def lost(self) -> bool:
        """Whether the float model is on the pulse and the other form is not."""
        return self.locked and self.difference_bpm > LOCK_BPM

    @property
    def error_change_bpm(self) -> float:
        """How much larger the variant's absolute error is."""
        own = abs(self.variant_bpm - self.reference_bpm)
        return own - abs(self.float_bpm - self.reference_bpm)

    @property
    def correlation(self) -> float:
        """Pearson's r of the derivatives; 0 where one of them does not vary."""
        one, other = _centred(self.float_derivative), _centred(self.variant_derivative)
        norm = math.sqrt(float(one @ one) * float(other @ other))
        return float(one @ other) / norm if norm > 0 else 0.0

    @property
    def snr_db(self) -> float:
        """Power of the float derivative over that of the difference, means removed."""
        signal = _centred(self.float_derivative)
        noise = _centred(self.variant_derivative) - signal
        power = float(signal @ signal)
        return 10 * math.log10(
            max(power, SMALLEST_NOISE) / max(float(noise @ noise), SMALLEST_NOISE)
        )


@dataclass(frozen=True)
class Making:
    """How a model was made, as its files tell.

    `shared_scales` counts convolutions whose integer kernels all have one scale;
    `calibration_recordings` is None for a model that was not calibrated.
    """

    shared_scales: int
    calibration_recordings: int | None = None


@dataclass(frozen=True)
class FidelityReport:
    """Figures over recordings that gave a heart rate with both; None where there are none.

    Sizes are of all files of a model; None where they are not known.
    """

    pairs: tuple[Pair, ...]
    size_bytes: int | None
    float_bytes: int | None = None
    making: Making | None = None

    @property
    def size_percent(self) -> float | None:
        """The size as a share of the float model's."""
        if self.size_bytes is None or not self.float_bytes:
            return None
        return 100 * self.size_bytes / self.float_bytes

    def of(self, group: HeartRateGroup | None) -> FidelityReport:
        """The same of one group's recordings; of all for None."""
        return replace(self, pairs=tuple(self._of(group)))

    @property
    def lost(self) -> tuple[str, ...]:
        """Recordings on which the pulse was lost."""
        return tuple(one.recording for one in self.pairs if one.lost)

    @property
    def paired_bpm(self) -> float | None:
        """Mean difference of heart rates over recordings both are locked on."""
        return _mean([one.difference_bpm for one in self.pairs if one.locked and not one.lost])

    @property
    def mean_correlation(self) -> float | None:
        """Mean of the recordings' correlations."""
        return _mean([one.correlation for one in self.pairs])

    @property
    def mean_snr_db(self) -> float | None:
        """Mean of the recordings' signal-to-noise ratios."""
        return _mean([one.snr_db for one in self.pairs])

    @property
    def mae_bpm(self) -> tuple[float | None, float | None]:
        """Mean absolute errors of the float model and of the other."""
        return (
            _mean([abs(one.float_bpm - one.reference_bpm) for one in self.pairs]),
            _mean([abs(one.variant_bpm - one.reference_bpm) for one in self.pairs]),
        )

    def mae_change_bpm(self, group: HeartRateGroup | None = None) -> float | None:
        """Mean absolute error minus that of the float model, of one group or of all."""
        return _mean([one.error_change_bpm for one in self._of(group)])

    def n(self, group: HeartRateGroup | None = None) -> int:
        """How many recordings a group, or the whole, has."""
        return len(self._of(group))

    def _of(self, group: HeartRateGroup | None) -> list[Pair]:
        return [
            one
            for one in self.pairs
            if group is None or HeartRateGroup.of(one.reference_bpm) == group
        ]


def _centred(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(values - values.mean(), dtype=np.float64)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
