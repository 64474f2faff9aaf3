"""Calibration of full-integer models: windows of inputs out of the recordings of a dataset.

    python -m harness.calibration --out FILE [--dataset NAME --subjects A,B]

Without a dataset, clips are rendered for it that no configured dataset holds. What a model was
calibrated with is in its card, and such recordings are refused for its evaluation.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.datasets.base import Dataset, Recording
from harness.datasets.plans import plan_clips
from harness.datasets.registry import open_dataset
from harness.datasets.synthetic import SyntheticDataset, default_root
from rppg_core.errors import UserError
from rppg_core.faces import make_detector
from rppg_core.lightening.calibration import Calibration, save_calibration
from rppg_core.pipeline import Pipeline
from rppg_core.video import open_source

DETECTOR = "haar"  # needs no file, so that the same recordings give the same windows anywhere
WINDOWS = 32  # three times as many change the models' agreement with float32 by 0.3 dB
SEED = 0
# Rendered for calibration alone; the seed is none that a dataset has by default.
OWN_CLIPS, OWN_SECONDS, OWN_SEED, OWN_SIZE_PX = 6, 8.0, 90_210, (640, 480)
FINGERPRINT_BYTES = 1 << 20  # of a file's beginning


class _Listener:
    """Stands where the model does in a pipeline and keeps what it is given."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.heard: list[tuple[np.ndarray, np.ndarray]] = []

    def predict(self, motion: np.ndarray, appearance: np.ndarray) -> np.ndarray:
        self.heard.append((motion, appearance))
        return np.zeros(self.window, np.float32)


def windows_of(
    video: Path, window: int, times_s: Sequence[float] | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """What the model is given for `video`: (motion, appearance), each (window, 36, 36, 3)."""
    listener = _Listener(window)
    pipeline = Pipeline(make_detector(DETECTOR, {}), listener)  # type: ignore[arg-type]
    with open_source(video, times_s=times_s) as source:
        for frame in source:
            pipeline.push(frame)
    return listener.heard


def calibrate(
    dataset: Dataset,
    subjects: Sequence[str] = (),
    window: int = 10,
    count: int = WINDOWS,
    seed: int = SEED,
) -> Calibration:
    """Up to `count` windows of recordings of `subjects` (all, if none is named), drawn by `seed`.

    Raises UserError for subjects that the dataset does not have.
    """
    recordings = dataset.recordings()
    unknown = sorted(set(subjects) - {one.subject for one in recordings})
    if unknown:
        raise UserError(f"dataset {dataset.name} has no subject {', '.join(unknown)}")
    chosen = [one for one in recordings if not subjects or one.subject in subjects]
    heard: list[tuple[str, int, np.ndarray, np.ndarray]] = []
    for recording in chosen:
        times = dataset.labels(recording).frame_times_s
        windows = windows_of(recording.video, window, None if times is None else times.tolist())
        heard += [(recording.id, number, *pair) for number, pair in enumerate(windows)]
    if not heard:
        raise UserError(
            f"dataset {dataset.name}: no window with a face in {len(chosen)} recordings"
        )
    picked = np.random.default_rng(seed).permutation(len(heard))[:count]
    drawn = [heard[i] for i in np.sort(picked)]
    frames: dict[str, list[int]] = {}
    for name, number, _, _ in drawn:
        frames.setdefault(name, []).append(number)
    about: dict[str, Any] = {
        "dataset": dataset.name,
        "subjects": sorted({one.subject for one in chosen}),
        "recordings": {one.id: fingerprint(one) for one in chosen},
        "windows": frames,
        "seed": seed,
        "detector": DETECTOR,
    }
    return Calibration(
        np.stack([one[2] for one in drawn]), np.stack([one[3] for one in drawn]), about
    )


def own_dataset() -> SyntheticDataset:
    """Clips rendered for calibration, not yet prepared."""
    clips = plan_clips(OWN_CLIPS, OWN_SECONDS, OWN_SEED, *OWN_SIZE_PX)
    return SyntheticDataset("calibration", default_root(), clips)


def fingerprint(recording: Recording) -> str:
    """What tells a recording's video from others wherever it lies, without reading all of it."""
    video = recording.video
    digest = hashlib.sha256()
    for path in sorted(video.iterdir()) if video.is_dir() else [video]:
        digest.update(f"{path.stat().st_size}\n".encode())
        if path.is_file() and not video.is_dir():
            with path.open("rb") as stream:
                digest.update(stream.read(FINGERPRINT_BYTES))
    return digest.hexdigest()


def refuse_overlap(card: dict[str, Any], dataset: Dataset, recordings: Sequence[Recording]) -> None:
    """Raise UserError if a model was calibrated with a recording that it is to be judged by."""
    calibrated = set(card.get("calibration", {}).get("recordings", {}).values())
    if not calibrated:
        return
    for one in recordings:
        if one.video.exists() and fingerprint(one) in calibrated:
            raise UserError(
                f"{one.id} of dataset {dataset.name} is among the recordings the "
                f"{card['variant']} model was calibrated with; calibrate with other subjects or "
                "leave these out"
            )


def main(arguments: list[str] | None = None) -> int:
    """Write a calibration file; exit status 2 after one line for a user's mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.calibration", description="Windows to calibrate int8 models with."
    )
    parser.add_argument("--out", required=True, type=Path, help="the .npz file to write")
    parser.add_argument("--dataset", help="a configured dataset (default: clips of its own)")
    parser.add_argument("--datasets", type=Path, default=Path("datasets.yaml"))
    parser.add_argument("--subjects", default="", help="its subjects to use, comma-separated")
    parser.add_argument("--window", type=int, default=10, help="frames of a window")
    options = parser.parse_args(arguments)
    subjects = [name for name in options.subjects.split(",") if name]
    try:
        if options.dataset is None:
            dataset: Dataset = own_dataset()
        elif subjects:
            dataset = open_dataset(options.dataset, options.datasets)
        else:
            raise UserError("name the --subjects to calibrate with; the others are to evaluate on")
        dataset.prepare(lambda ready, of, _: print(f"rendered {ready} of {of}", file=sys.stderr))
        save_calibration(options.out, calibrate(dataset, subjects, options.window))
    except UserError as bad:
        print(bad, file=sys.stderr)
        return 2
    except OSError as bad:
        print(f"{bad.filename or options.out}: {bad.strerror}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
