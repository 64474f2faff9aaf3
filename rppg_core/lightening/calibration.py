"""Windows of real inputs that say what ranges of numbers a full-integer model has to hold.

A file is made by `harness.calibration` out of recordings of a dataset, and read here.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rppg_core.errors import UserError
from rppg_core.preprocess import SIZE_PX

FRAME_SHAPE = (SIZE_PX, SIZE_PX, 3)


@dataclass(frozen=True, eq=False)
class Calibration:
    """`motion` is (n, window, 36, 36, 3), `appearance` (n, window, 36, 36, 3), both float32.

    `about` says which recordings they are from and how they were chosen, as JSON can hold it.
    """

    motion: np.ndarray
    appearance: np.ndarray
    about: dict[str, Any]

    @property
    def window(self) -> int:
        """Frames in a window."""
        return int(self.motion.shape[1])

    @property
    def sha256(self) -> str:
        """SHA-256 over both arrays."""
        digest = hashlib.sha256(self.motion.tobytes())
        digest.update(self.appearance.tobytes())
        return digest.hexdigest()


def save_calibration(path: Path, calibration: Calibration) -> None:
    """Write a calibration file."""
    np.savez(
        path,
        motion=calibration.motion,
        appearance=calibration.appearance,
        about=np.array(json.dumps(calibration.about, sort_keys=True)),
    )


def load_calibration(path: Path, window: int) -> Calibration:
    """A calibration file for models of `window` frames. Raises UserError."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            motion, appearance = stored["motion"], stored["appearance"]
            about = json.loads(str(stored["about"]))
    except FileNotFoundError:
        raise UserError(f"{path}: no such calibration file") from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as bad:
        raise UserError(f"{path}: not a calibration file ({' '.join(str(bad).split())})") from None
    for array in (motion, appearance):
        if array.ndim != 5 or len(array) == 0 or array.shape[1:] != (window, *FRAME_SHAPE):
            raise UserError(
                f"{path}: windows of shape {array.shape[1:]}; a model of {window} frames is "
                f"calibrated with {(window, *FRAME_SHAPE)}"
            )
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise UserError(f"{path}: holds values that are no finite float32 numbers")
    if len(motion) != len(appearance) or not isinstance(about, dict):
        raise UserError(f"{path}: its parts do not belong together")
    return Calibration(motion, appearance, about)
