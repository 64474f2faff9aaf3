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
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path

import cv2

from harness.datasets import (
    clips,
    difficulty,
    encoding,
    light,
    motion,
    physiology,
    portrait,
    pulses,
    rendering,
    sheet,
    skin,
    truth,
)
from harness.datasets.base import Dataset, Progress, Recording, Signals
from harness.datasets.clips import ClipSpec
from harness.datasets.encoding import encode
from harness.datasets.pulses import require
from harness.datasets.rendering import face_box, render_frames
from harness.datasets.sheet import Sheet
from harness.datasets.truth import TRUTH_NAME, Truth, write_truth
from harness.datasets.ubfc2 import LABELS_NAME, GroundTruth, Ubfc2Dataset, write_ground_truth
from harness.workers import end_with_parent
from rppg_core.errors import UserError

# The modules that decide what frames a spec gives; whatever changes in them makes new clips.
RENDERER = (
    clips, difficulty, encoding, light, motion, physiology, portrait, pulses, rendering, sheet,
    skin, truth,
)  # fmt: skip

_PROCESSES = 2
_PARTIAL_PREFIX = ".partial-"
_ABANDONED_S = 3600.0  # a render takes seconds; a partial folder this old has no owner


class SyntheticDataset(Dataset):
    """Rendered clips with exactly known pulses; `prepare` renders those that are missing."""

    kind = "synthetic"
    synthetic = True

    def __init__(
        self,
        name: str,
        root: Path,
        clips: Sequence[ClipSpec],
        family: Sequence[ClipSpec] | None = None,
    ) -> None:
        """Keep `clips` under `root`, in a folder named after all that they are made from.

        Parts of one `family` share its folder, and what was rendered for another part.
        """
        self.family = tuple(clips if family is None else family)
        plan = json.dumps([_renderer_version(), *(asdict(clip) for clip in self.family)])
        super().__init__(name, root / hashlib.sha256(plan.encode()).hexdigest()[:16])
        self.clips = tuple(clips)
        self._files = Ubfc2Dataset(name, self.root)

    def recordings(self) -> list[Recording]:
        """List the clips, rendered or not."""
        return [
            Recording(
                id=clip.id,
                subject=clip.id,
                video=self.root / clip.id / clip.scene.video_name,
                conditions=clip.conditions(),
            )
            for clip in self.clips
        ]

    def narrow(self, ids: Collection[str]) -> SyntheticDataset:
        """The clips of these ids, in the same folder."""
        chosen = [clip for clip in self.clips if clip.id in ids]
        return SyntheticDataset(self.name, self.root.parent, chosen, self.family)

    def signals(self, recording: Recording) -> Signals:
        """What is known of a rendered clip; UserError before `prepare`."""
        if not recording.video.parent.is_dir():
            raise UserError(f"dataset {self.name}: {recording.id} is not rendered; prepare it")
        scene = next(clip.scene for clip in self.clips if clip.id == recording.id)
        rate_hz = None if scene.variable_rate else float(scene.rate_hz)
        return replace(self._files.signals(recording), nominal_rate_hz=rate_hz)

    def missing(self) -> list[ClipSpec]:
        """Clips still to be rendered."""
        return [clip for clip in self.clips if not (self.root / clip.id).is_dir()]

    def prepare(self, progress: Progress | None = None) -> None:
        """Render what is missing, in parallel; UserError where the cache cannot take it."""
        missing = self.missing()
        if not missing:
            return
        for kind in {clip.pulse.kind for clip in missing}:
            require(kind)
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


def render_clip(clip: ClipSpec, root: Path) -> None:
    """Render one clip into `root`/its id, which appears whole or not at all."""
    partial = Path(tempfile.mkdtemp(prefix=_PARTIAL_PREFIX, dir=root))
    try:
        names = _write_clip(clip, partial)
        for name in names:
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


def clip_truth(clip: ClipSpec) -> Truth:
    """What is known of a clip without rendering it."""
    beat = clip.heartbeat()
    visible = Sheet(clip, face_box(clip)).visible
    return Truth(clip.times_s(), beat.wave, beat.phase_beats, beat.bpm, visible)


def _write_clip(clip: ClipSpec, folder: Path) -> tuple[str, ...]:
    scene, about = clip.scene, clip_truth(clip)
    encode(
        render_frames(clip),
        folder / scene.video_name,
        about.time_s,
        face_box(clip),
        scene.bitrate_kbps,
        scene.turned_deg,
    )
    rows = GroundTruth(about.pulse, about.rate_bpm, about.time_s)
    write_ground_truth(folder / LABELS_NAME, rows)
    write_truth(folder / TRUTH_NAME, about)
    return scene.video_name, LABELS_NAME, TRUTH_NAME


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
    end_with_parent()
    cv2.setNumThreads(1)


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _remove_abandoned(root: Path) -> None:
    for partial in root.glob(_PARTIAL_PREFIX + "*"):
        if time.time() - partial.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(partial, ignore_errors=True)
