"""Skin tones: the Monk scale, and what a tone makes of the portrait's skin.

Ellis Monk, "The Monk Skin Tone Scale", 2022 (doi.org/10.31235/osf.io/pdf4c); the colours are those
published with it at skintone.google.
"""

from __future__ import annotations

import numpy as np

from harness.datasets.base import FloatArray

MONK_HEX = (
    "f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96",
    "a07e56", "825c43", "604134", "3a312a", "292420",
)  # fmt: skip
MONK_RGB: FloatArray = np.array([tuple(bytes.fromhex(tone)) for tone in MONK_HEX], np.float64)

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
# A swatch's brightness is taken whole, of its colour half: swatches are paler than skin in a
# photograph, which is redder, above all at the two ends of the scale.
SWATCH_COLOUR = 0.5

# Mean of the portrait's own skin, R, G, B; between the scale's fifth and sixth tone.
PORTRAIT_SKIN_RGB = np.array([196.7, 165.1, 139.6])

# Skin of the darkest tone of clips without a tone of the scale, against the portrait's own. Haar
# cascades lose a face that is darker: at (0.81, 0.76, 0.73) they found it in half of the frames.
DARKEST_TONE = np.array([0.87, 0.83, 0.81])


def tone_gain(skin_tone: float, monk: int) -> FloatArray:
    """What R, G, B (3,) of the portrait's skin are multiplied by.

    `monk` is 1 to 10 for a tone of the scale; 0 takes `skin_tone`, from 0, the portrait's own,
    to 1, the darkest.
    """
    if monk:
        gain = MONK_RGB[monk - 1] / PORTRAIT_SKIN_RGB
        bright = float(LUMA @ MONK_RGB[monk - 1] / (LUMA @ PORTRAIT_SKIN_RGB))
        return np.asarray(bright * (gain / bright) ** SWATCH_COLOUR)
    return 1 + skin_tone * (DARKEST_TONE - 1)


def nearest_monk(gain: FloatArray) -> int:
    """The tone of the scale, 1 to 10, nearest to the portrait's skin times `gain` (3,)."""
    away = np.linalg.norm(MONK_RGB - PORTRAIT_SKIN_RGB * gain, axis=1)
    return int(np.argmin(away)) + 1
