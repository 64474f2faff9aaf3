"""Calibration of full-integer models: windows of inputs out of the recordings of a dataset.

    rppg-bench calibrate [DATASET --subjects A,B] --out FILE

Without a dataset, clips are rendered for it that no configured dataset holds. What a model was
calibrated with is in its card, and such recordings are refused for its evaluation.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.datasets.base import Dataset, Progress, Recording
from harness.datasets.plans import plan_clips
from harness.datasets.registry import SPLIT_MARK, open_dataset
from harness.datasets.synthetic import SyntheticDataset, default_root
from harness.reports.progress import CampaignProgress
from rppg_core import __version__
from rppg_core.errors import UserError
from rppg_core.faces import make_detector
from rppg_core.lightening.calibration import Calibration, save_calibration
from rppg_core.models import WINDOW, cache_dir
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
    """Raise UserError if a model was calibrated with what it is to be judged by.

    That is a subject of the dataset of this name, whichever of its splits, or a recording that is
    the same file under whatever name.
    """
    about = card.get("calibration", {})
    whole, own = (
        name.partition(SPLIT_MARK)[0] for name in (about.get("dataset", ""), dataset.name)
    )
    subjects = about.get("subjects", ()) if whole == own else ()
    calibrated = set(about.get("recordings", {}).values())
    for one in recordings:
        if one.subject in subjects:
            what = f"of subject {one.subject}, whom"
        elif calibrated and one.video.exists() and fingerprint(one) in calibrated:
            what = "among the recordings"
        else:
            continue
        raise UserError(
            f"{one.id} of dataset {dataset.name} is {what} the {card['variant']} model was "
            "calibrated with; calibrate with other subjects or leave these out"
        )


def _whole(name: str) -> str:
    """The dataset that `name` is, or is a split of."""
    return name.partition(SPLIT_MARK)[0]


def own_calibration(window: int) -> Path:
    """A calibration file of clips rendered for it, made once. Raises UserError."""
    made_by = (own_dataset().root.name, Path(__file__).read_text(encoding="utf-8"), __version__)
    digest = hashlib.sha256("\n".join(made_by).encode()).hexdigest()[:12]
    target = cache_dir() / "made" / f"calibration-{window}-{digest}.npz"
    if not target.is_file():
        write_calibration(target, None, (), window)
    return target


def calibration_for_quantize(
    window: int, dataset: str | None, subjects: str, datasets_file: Path
) -> Path:
    """What `rppg quantize` calibrates with: subjects of a dataset, or clips of its own."""
    if dataset is None:
        if subjects:
            raise UserError("--subjects: of which --calibration-dataset?")
        return own_calibration(window)
    chosen = _names(subjects)
    named = hashlib.sha256(repr((dataset, chosen, datasets_file.resolve())).encode()).hexdigest()
    target = cache_dir() / "made" / f"calibration-{dataset}-{window}-{named[:12]}.npz"
    return write_calibration(target, open_dataset(dataset, datasets_file), chosen, window)


def write_calibration(
    target: Path,
    dataset: Dataset | None,
    subjects: Sequence[str],
    window: int,
    progress: Progress | None = None,
) -> Path:
    """Write a calibration file of subjects of `dataset`, or of clips rendered for it."""
    if (dataset is None) != (not subjects):
        raise UserError("name a dataset and its --subjects; its others are to evaluate on")
    source = dataset or own_dataset()
    if window < 1:
        raise UserError(f"a window of {window} frames holds nothing")
    source.prepare(progress)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".part-{os.getpid()}-{target.name}")
    save_calibration(part, calibrate(source, subjects, window))
    return part.replace(target)


def add_commands(commands: Any) -> None:
    """Add `rppg-bench calibrate` to a command line."""
    add = commands.add_parser("calibrate", help="windows of recordings, to make int8 models with")
    add.add_argument("dataset", nargs="?", help="(default: clips rendered for it)")
    add.add_argument("--subjects", default="", help="its subjects to use, comma-separated")
    add.add_argument("--window", type=int, default=WINDOW, help="frames of a window")
    add.add_argument("--out", required=True, type=Path, metavar="FILE", help="the .npz to write")
    add.add_argument("--datasets", type=Path, default=Path("datasets.yaml"), metavar="FILE")
    add.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """`rppg-bench calibrate`: a calibration file."""
    if options.out.suffix != ".npz":
        raise UserError(f"{options.out}: name the file to write NAME.npz")
    dataset = options.dataset and open_dataset(options.dataset, options.datasets)
    progress = CampaignProgress()
    try:
        subjects = _names(options.subjects)
        write_calibration(options.out, dataset, subjects, options.window, progress.rendered)
    except OSError as bad:
        raise UserError(f"{bad.filename or options.out}: {bad.strerror}") from None
    finally:
        progress.close()
    print(options.out)
    return 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
