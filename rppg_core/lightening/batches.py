"""What each step of a training sees, in an order that follows from its seed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from rppg_core.errors import UserError
from rppg_core.lightening.pulse_loss import band_basis
from rppg_core.lightening.shards import Sequence, load_shard, to_sequence


def batches(
    paths: list[Path], window: int, windows_a_clip: int, clips_a_step: int, seed: int, skip: int = 0
) -> Iterator[tuple[np.ndarray, ...]]:
    """(motion, appearance, truth, basis) of each step after the first `skip`, without end.

    Every step's clips follow from the seed and the step's place alone.
    """
    step = 0
    for epoch in range(sys.maxsize):
        rng = np.random.default_rng([seed, epoch])
        for which in rng.permutation(len(paths)):
            shard = None
            order = rng.permutation(_clips_in(paths[which]))
            seeds = rng.integers(2**31, size=len(order))
            for first in range(0, len(order) - clips_a_step + 1, clips_a_step):
                step += 1
                if step <= skip:
                    continue
                shard = shard or load_shard(paths[which])
                chosen = slice(first, first + clips_a_step)
                yield _batch(
                    [to_sequence(shard, int(clip), window) for clip in order[chosen]],
                    seeds[chosen].tolist(),
                    window,
                    windows_a_clip,
                )
        if step == 0:
            raise UserError(f"no shard holds the {clips_a_step} clips that a step takes")


def _batch(
    clips: list[Sequence], seeds: list[int], window: int, windows: int
) -> tuple[np.ndarray, ...]:
    parts: list[tuple[np.ndarray, ...]] = []
    for clip, seed in zip(clips, seeds, strict=True):
        rng = np.random.default_rng(seed)
        if len(clip.appearance) < windows:
            raise UserError(f"a clip of {len(clip.appearance)} windows; a step takes {windows}")
        start = int(rng.integers(len(clip.appearance) - windows + 1))
        frames = slice(start * window, (start + windows) * window)
        mirror = -1 if rng.integers(2) else 1
        truth = clip.derivative[frames]
        truth = (truth - truth.mean()) / max(float(truth.std()), 1e-6)
        parts.append(
            (
                clip.motion[frames, :, ::mirror],
                clip.appearance[start : start + windows, :, ::mirror],
                truth[None],
                band_basis(windows * window, clip.fps)[None],
            )
        )
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _clips_in(path: Path) -> int:
    with np.load(path) as stored:
        return len(stored["fps"])


def prefetched(batches: Iterator[Any]) -> Iterator[Any]:
    """The same, each made while the one before is in use."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, batches)
        while True:
            batch = coming.result()
            coming = pool.submit(next, batches)
            yield batch
