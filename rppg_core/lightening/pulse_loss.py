"""What training makes small: how far a pulse is from the truth, whatever its scale.

One minus the correlation with the truth over several consecutive windows, of the derivative and of
the wave in the heart's band: what a heart rate is read from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

BAND_HZ = (0.6, 4.0)  # rates of 40 to 180 bpm, and the second harmonic of most
MSE_SHARE = 0.05  # of the loss: keeps the output's scale, which a correlation leaves open


def pulse_loss(found: Any, truth: Any, basis: Any) -> Any:
    """Mean loss over clips of `found` against `truth`, both derivatives (clips, n).

    `basis` (clips, n, k), of `band_basis`, turns a derivative into its wave's spectrum.
    """
    found = found - ops.mean(found, axis=1, keepdims=True)
    spectra = [ops.einsum("cn,cnk->ck", signal, basis) for signal in (found, truth)]
    shape, wave = _cosine(found, truth), _cosine(*spectra)
    scale = ops.mean(ops.square(found - truth))
    return 1 - ops.mean(shape + wave) / 2 + MSE_SHARE * scale


def _cosine(first: Any, second: Any) -> Any:
    inner = ops.sum(first * second, axis=1)
    norms = ops.sum(ops.square(first), axis=1) * ops.sum(ops.square(second), axis=1)
    return inner / ops.sqrt(norms + 1e-8)


def band_basis(frames: int, fps: float) -> np.ndarray:
    """(frames, k) float32: a derivative times this is its integral's spectrum in the heart's band.

    Cosines and sines under a Hann window, each over its frequency, as integration divides by it.
    """
    finest_hz = fps / (2 * frames)
    low, high = BAND_HZ
    high = min(high, 0.45 * fps)
    # A fixed number of rows whatever the rate: the network is compiled for one shape.
    rates_hz = np.linspace(low, high, max(2, frames // 2))
    weight = np.hanning(frames + 2)[1:-1, None] * np.sqrt((rates_hz[1] - rates_hz[0]) / finest_hz)
    angle = 2 * np.pi * rates_hz * np.arange(frames)[:, None] / fps
    both = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    return np.asarray(weight * both / np.tile(rates_hz, 2), np.float32)
