"""Clips the project renders itself, so that any machine has something to replay.

They lie in a cache in the layout of UBFC-rPPG DATASET_2, one `subjectN` folder each, and are read
back through its reader. A folder appears under its name only when the whole clip is in it.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from harness.datasets import encoding, physiology, portrait, rendering
from harness.datasets.base import Dataset, Progress, Recording, Signals
from harness.datasets.encoding import encode
from harness.datasets.rendering import FPS, ClipSpec, face_box, render_frames
from harness.datasets.ubfc2 import (
    LABELS_NAME,
    VIDEO_NAME,
    GroundTruth,
    Ubfc2Dataset,
    write_ground_truth,
)
from rppg_core.errors import UserError

# The modules that decide what frames a spec gives; whatever changes in them makes new clips.
RENDERER = (encoding, physiology, portrait, rendering)
DEFAULT_SEED = 2024
MIN_SECONDS = 4.0  # room for three beats of the slowest clip
MIN_SIDE_PX, MAX_SIDE_PX = 160, 1920

# Ranges of the mean heart rate, clear of the group boundaries 77 and 90 by more than the drift
# within a clip can move its spectral peak.
GROUPS_BPM = {"low": (49.0, 74.0), "middle": (80.0, 87.0), "high": (94.0, 143.0)}
PULSE_AMPLITUDE = (0.005, 0.010)  # peak to peak in green
SKIN_TONES = (0.0, 1.0)

_PROCESSES = 2
_PARTIAL_PREFIX = ".partial-"
_ABANDONED_S = 3600.0  # a render takes seconds; a partial folder this old has no owner


class SyntheticDataset(Dataset):
    """Rendered clips with exactly known pulses; `prepare` renders those that are missing."""

    kind = "synthetic"
    synthetic = True

    def __init__(self, name: str, root: Path, clips: Sequence[ClipSpec]) -> None:
        """Keep `clips` under `root`, in a folder named after all that they are made from."""
        plan = json.dumps([_renderer_version(), *(asdict(clip) for clip in clips)])
        super().__init__(name, root / hashlib.sha256(plan.encode()).hexdigest()[:16])
        self.clips = tuple(clips)
        self._files = Ubfc2Dataset(name, self.root)

    def recordings(self) -> list[Recording]:
        """List the clips, rendered or not."""
        return [
            Recording(
                id=clip.id,
                subject=clip.id,
                video=self.root / clip.id / VIDEO_NAME,
                conditions={"motion": "moving" if clip.moving else "still"},
            )
            for clip in self.clips
        ]

    def signals(self, recording: Recording) -> Signals:
        """What is known of a rendered clip; UserError before `prepare`."""
        if not recording.video.parent.is_dir():
            raise UserError(f"dataset {self.name}: {recording.id} is not rendered; prepare it")
        return self._files.signals(recording)

    def missing(self) -> list[ClipSpec]:
        """Clips still to be rendered."""
        return [clip for clip in self.clips if not (self.root / clip.id).is_dir()]

    def prepare(self, progress: Progress | None = None) -> None:
        """Render what is missing, in parallel; UserError where the cache cannot take it."""
        missing = self.missing()
        if not missing:
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(self.root)
            _render_all(missing, self.root, len(self.clips), progress or (lambda *_: None))
        except OSError as error:
            raise UserError(
                f"dataset {self.name}: cannot render into {self.root} ({error}); free some space, "
                "or give the dataset a root that can be written"
            ) from None
        except BrokenProcessPool:
            raise UserError(
                f"dataset {self.name}: a rendering process was killed, perhaps for lack of memory; "
                "run again, the finished clips are kept"
            ) from None


def default_root() -> Path:
    """The user's cache folder for rendered clips (XDG Base Directory specification)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The specification has a relative path ignored.
    cache = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return cache / "rppg-bench" / "synthetic"


def plan_clips(clips: int, seconds: float, seed: int, width: int, height: int) -> list[ClipSpec]:
    """Spread clips over the groups of heart rate, every second one of a group with head motion."""
    rng = np.random.default_rng(seed)
    groups = list(GROUPS_BPM.values())
    specs = []
    for number in range(clips):
        group, place = number % len(groups), number // len(groups)
        low, high = groups[group]
        steps = (clips - group + len(groups) - 1) // len(groups)
        # One rate from each of equal parts of the range, so that no part stays empty.
        share = (place + rng.uniform(0.2, 0.8)) / steps
        specs.append(
            ClipSpec(
                id=f"subject{number + 1}",
                width=width,
                height=height,
                frames=round(seconds * FPS),
                seed=int(rng.integers(2**31)),
                bpm=round(low + share * (high - low), 2),
                moving=(place + group) % 2 == 1,
                pulse_amplitude=round(float(np.exp(rng.uniform(*np.log(PULSE_AMPLITUDE)))), 5),
                skin_tone=round(float(rng.uniform(*SKIN_TONES)), 3),
                mirrored=bool(rng.integers(2)),
            )
        )
    return specs


def render_clip(clip: ClipSpec, root: Path) -> None:
    """Render one clip into `root`/its id, which appears whole or not at all."""
    partial = Path(tempfile.mkdtemp(prefix=_PARTIAL_PREFIX, dir=root))
    try:
        encode(render_frames(clip), partial / VIDEO_NAME, FPS, face_box(clip))
        beat = clip.heartbeat()
        times_s = np.arange(clip.frames) / FPS
        write_ground_truth(partial / LABELS_NAME, GroundTruth(beat.wave, beat.bpm, times_s))
        for name in (VIDEO_NAME, LABELS_NAME):
            _flush_to_disk(partial / name)
        partial.chmod(0o755)  # mkdtemp makes it private
        try:
            partial.rename(root / clip.id)
        except OSError:
            # Another process was first with the same clip, or the disk is at fault.
            if not (root / clip.id).is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _render_all(
    clips: Sequence[ClipSpec], root: Path, total: int, progress: Callable[[int, int, str], None]
) -> None:
    done = total - len(clips)
    # Spawned, not forked: the caller may have threads, and OpenCV does not survive a fork.
    workers = min(_PROCESSES, len(clips))
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_use_one_thread)
    try:
        futures = {pool.submit(render_clip, clip, root): clip.id for clip in clips}
        for future in as_completed(futures):
            future.result()
            done += 1
            progress(done, total, futures[future])
    finally:
        pool.shutdown(cancel_futures=True)


def _renderer_version() -> str:
    sources = (inspect.getsource(module).encode() for module in RENDERER)
    return hashlib.sha256(b"".join(sources)).hexdigest()


def _use_one_thread() -> None:
    cv2.setNumThreads(1)


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _remove_abandoned(root: Path) -> None:
    for partial in root.glob(_PARTIAL_PREFIX + "*"):
        if time.time() - partial.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(partial, ignore_errors=True)
