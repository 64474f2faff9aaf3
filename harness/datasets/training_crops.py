"""Face crops with a known pulse, to train TS-CAN on: wide in everything that may differ.

They are what `rppg_core.preprocess.shrink` would give of a video, made at crop level and so a
hundred times cheaper than video. No clip of the synthetic dataset is among them: other seeds, other
code for motion, light and noise.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from harness.datasets.base import FloatArray
from harness.datasets.crop_faces import CANVAS_PX, CropFace, field, make_face
from harness.datasets.physiology import simulate, smooth_noise
from harness.datasets.portrait import Image
from harness.datasets.rendering import PULSE_RGB
from rppg_core.errors import UserError

SIZE_PX = 36
FULL_SCALE = 65535  # crops are kept as 16-bit shares of white: a pulse is 1/1000 of it
FRAMES = 121  # twelve 10-frame windows of differences
CLIPS_A_SHARD = 50

BPM = (40.0, 180.0)
FPS = (15.0, 20.0, 24.0, 25.0, 30.0, 30.0, 30.0, 30.0, 50.0, 60.0)
PULSE_AMPLITUDE = (0.0015, 0.015)  # peak to peak in green, as a share of its brightness
PULSE_RGB_SPREAD = 0.12  # cameras and lights differ in what they make of the pulse's colour
PULSE_DELAY_S = 0.04  # standard deviation over the face

MOVING_SHARE = 0.6
MOTION_PX = (0.02, 1.5)  # standard deviation of the shift, in px of the 36
REST_PX = 0.05
TURN_DEG, NEARING = 1.5, 0.008  # standard deviations at the largest motion
SHADING_PER_PX = 0.012  # change of brightness across the face, for a px of the 36

LIGHT_DRIFT = (0.002, 0.03)
FLICKER = (0.0001, 0.004)  # all channels alike, inside the pulse's band
TINT = (0.0002, 0.003)
GLOSS = (0.01, 0.2)
BLINK_S, BLINK_DEPTH = 0.08, 0.3
SPEECH_DEPTH = 0.25

SENSOR_NOISE = (0.08, 0.8)  # 8-bit steps, in a pixel of the 36
BLOCK_NOISE = (0.03, 0.5)  # 8-bit steps: what an encoder leaves of a block until the next key frame
KEYFRAME_EVERY = (8, 120)


@dataclass(frozen=True, eq=False)
class CropClip:
    """`crops` (n, 36, 36, 3) float32 in [0, 1] and the `pulse` (n,) in them, at `fps`."""

    crops: Image
    pulse: FloatArray
    fps: float
    bpm: float


def render_crops(seed: Sequence[int], frames: int = FRAMES) -> CropClip:
    """Render one clip; two equal seeds give the same."""
    rng = np.random.default_rng(list(seed))
    face = make_face(rng)
    fps, bpm = float(rng.choice(FPS)), float(rng.uniform(*BPM))
    beat = simulate(rng, bpm, frames, fps)
    shift, turn, nearing = _motion(rng, frames, fps)
    others, other_weights = _skin_layers(rng, face, frames, fps)
    pulse = _pulse_layers(rng, face, _log_uniform(rng, PULSE_AMPLITUDE))
    layers = np.concatenate([pulse, others]).reshape(len(pulse) + len(others), -1)
    across = SHADING_PER_PX * rng.normal(0, 1, 2) @ shift
    weights = np.stack([beat.wave, beat.slope_hz, across, *other_weights], axis=1)
    lit = weights.astype(np.float32) @ layers + face.rgb.reshape(-1)
    moved = _moved(lit.reshape(frames, CANVAS_PX, CANVAS_PX, 3), shift, turn, nearing)
    moved *= _light(rng, frames, fps)
    _add_noise(rng, moved)
    return CropClip(np.clip(moved / 255, 0, 1), beat.wave, fps, float(beat.bpm.mean()))


def write_shards(folder: Path, clips: int, seed: int, processes: int = 2) -> list[Path]:
    """Render `clips` clips into .npz files of `CLIPS_A_SHARD`; those that are there are kept.

    Each holds crops (clips, n, 36, 36, 3) uint16 in shares of 65535, pulse (clips, n) float32,
    fps and bpm (clips,).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot hold shards: {error.strerror}") from None
    starts = range(0, clips, CLIPS_A_SHARD)
    paths = [folder / f"shard-{seed}-{start:06d}.npz" for start in starts]
    tasks = [
        (path, seed, start, min(start + CLIPS_A_SHARD, clips))
        for path, start in zip(paths, starts, strict=True)
        if not path.is_file()
    ]
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_one_thread) as pool:
        for done, _ in enumerate(pool.map(_write_shard, tasks), 1):
            print(f"\r{done} of {len(tasks)} shards", end="", file=sys.stderr, flush=True)
    if tasks:
        print(file=sys.stderr)
    return paths


def _write_shard(task: tuple[Path, int, int, int]) -> None:
    path, seed, start, end = task
    made = [render_crops((seed, number)) for number in range(start, end)]
    partial = path.with_name(f".{path.name}.{os.getpid()}.npz")
    np.savez(
        partial,
        crops=np.stack([np.round(clip.crops * FULL_SCALE).astype(np.uint16) for clip in made]),
        pulse=np.array([clip.pulse for clip in made], np.float32),
        fps=np.array([clip.fps for clip in made]),
        bpm=np.array([clip.bpm for clip in made]),
    )
    partial.replace(path)


def _pulse_layers(rng: np.random.Generator, face: CropFace, amplitude: float) -> Image:
    """What the pulse and its slope in 1/s add to the picture, and shading: (3, 72, 72, 3)."""
    colour = PULSE_RGB * (1 + PULSE_RGB_SPREAD * rng.standard_normal(3))
    pulse = -amplitude * face.strength[..., None] * colour * face.rgb
    # A delay of the wave, to first order, is its slope subtracted.
    delay_s = PULSE_DELAY_S * field(rng, 4)[..., None]
    across = np.linspace(-1, 1, CANVAS_PX)
    direction = rng.normal(0, 1, 2)
    shading = direction[0] * across[None, :] + direction[1] * across[:, None]
    shaded = shading[..., None] * face.skin[..., None] * face.rgb
    return np.stack([pulse, -delay_s * pulse, shaded]).astype(np.float32)


def _skin_layers(
    rng: np.random.Generator, face: CropFace, frames: int, fps: float
) -> tuple[Image, list[FloatArray]]:
    """Highlights, blinks and speech: pictures (3, 72, 72, 3), and the weights (n,) of each."""
    bright = cv2.GaussianBlur(face.rgb.mean(axis=2), (0, 0), 2)
    lit = bright[face.skin > 0.5]
    threshold = np.quantile(lit, 0.6) if len(lit) else 255.0
    gloss = np.clip(bright - threshold, 0, None) * face.skin
    gloss_weight = _log_uniform(rng, GLOSS) * smooth_noise(rng, frames, rng.uniform(0.3, 1) * fps)
    time_s = np.arange(frames) / fps
    blinks = np.zeros(frames)
    at_s = rng.uniform(0, 5)
    while at_s < time_s[-1]:
        blinks += np.exp(-(((time_s - at_s) / BLINK_S) ** 2)) * BLINK_DEPTH
        at_s += rng.uniform(1.5, 6)
    speech = np.zeros(frames)
    if rng.uniform() < 0.3:
        speech = SPEECH_DEPTH * rng.uniform() * smooth_noise(rng, frames, 0.1 * fps)
    pictures = (
        np.repeat(gloss[..., None], 3, axis=2),
        face.eyes[..., None] * face.rgb,
        face.mouth[..., None] * face.rgb,
    )
    return np.stack(pictures).astype(np.float32), [gloss_weight, blinks, speech]


def _motion(
    rng: np.random.Generator, frames: int, fps: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shift (2, n) in px of the 36, turn (n,) in radians, change of size (n,)."""
    moving = rng.uniform() < MOVING_SHARE
    size_px = _log_uniform(rng, MOTION_PX) if moving else rng.uniform(0, REST_PX)
    smoothing = rng.uniform(0.15, 1.0) * fps
    shift = np.stack([smooth_noise(rng, frames, smoothing) for _ in range(2)])
    if moving and rng.uniform() < 0.4:  # nodding, walking, music: as regular as a pulse
        cycle = rng.uniform() + rng.uniform(0.4, 3.5) * np.arange(frames) / fps
        shift += rng.normal(0, 0.7, (2, 1)) * np.sin(2 * np.pi * cycle)
    turn, nearing = (smooth_noise(rng, frames, smoothing) for _ in range(2))
    share = size_px / MOTION_PX[1]
    return shift * size_px, np.deg2rad(TURN_DEG) * share * turn, NEARING * share * nearing


def _moved(lit: Image, shift: FloatArray, turn: FloatArray, nearing: FloatArray) -> Image:
    """Each frame (72, 72, 3) turned, neared and shifted, then shrunk to (n, 36, 36, 3)."""
    out = np.empty((len(lit), SIZE_PX, SIZE_PX, 3), np.float32)
    middle = (CANVAS_PX - 1) / 2
    for index, frame in enumerate(lit):
        matrix = cv2.getRotationMatrix2D(
            (middle, middle), float(np.rad2deg(turn[index])), float(1 + nearing[index])
        )
        matrix[:, 2] = (
            matrix[:, 2] + 2 * shift[:, index]
        )  # the canvas has two pixels for one of the crop
        moved = cv2.warpAffine(
            frame, matrix, (CANVAS_PX, CANVAS_PX), borderMode=cv2.BORDER_REFLECT_101
        )
        cv2.resize(moved, (SIZE_PX, SIZE_PX), dst=out[index], interpolation=cv2.INTER_AREA)
    return out


def _light(rng: np.random.Generator, frames: int, fps: float) -> Image:
    """Gain (n, 1, 36, 3): drift, flicker, white balance, and light that moves across."""

    def noise(share: tuple[float, float], low_s: float, high_s: float) -> FloatArray:
        size = _log_uniform(rng, share)
        return size * smooth_noise(rng, frames, rng.uniform(low_s, high_s) * fps)

    even = 1 + noise(LIGHT_DRIFT, 0.5, 2.0) + noise(FLICKER, 0.05, 0.2)
    if rng.uniform() < 0.3:  # mains light against the shutter, a screen: periodic
        phase = 2 * np.pi * (rng.uniform() + rng.uniform(0.5, 5) * np.arange(frames) / fps)
        even += _log_uniform(rng, FLICKER) * np.sin(phase)
    tint = np.stack([noise(TINT, 0.5, 2.0) for _ in range(3)], axis=1)
    tilt = noise(LIGHT_DRIFT, 0.5, 2.0) * 0.7
    across = np.linspace(-1, 1, SIZE_PX)
    gain = (even[:, None] + tint)[:, None, :] * (1 + tilt[:, None] * across)[..., None]
    return gain[:, None].astype(np.float32)


def _add_noise(rng: np.random.Generator, crops: Image) -> None:
    """The sensor's noise and an encoder's, in place."""
    channels = _log_uniform(rng, SENSOR_NOISE) * rng.uniform(0.8, 1.3, 3)
    crops += rng.standard_normal(crops.shape, np.float32) * np.asarray(channels, np.float32)
    strength = _log_uniform(rng, BLOCK_NOISE)
    every = int(rng.integers(*KEYFRAME_EVERY))
    cells = int(rng.integers(9, SIZE_PX + 1))
    decay = rng.uniform(0.8, 1.0)
    phase = int(rng.integers(every))
    blocks = np.zeros((SIZE_PX, SIZE_PX, 3), np.float32)
    for index in range(len(crops)):
        if (index + phase) % every == 0 or index == 0:
            small = rng.standard_normal((cells, cells, 3)).astype(np.float32) * np.float32(strength)
            blocks = np.asarray(
                cv2.resize(small, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_NEAREST)
            )
        crops[index] += blocks
        blocks = blocks * np.float32(decay)


def _log_uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(*np.log(bounds))))


def _one_thread() -> None:
    cv2.setNumThreads(1)


def main(arguments: list[str] | None = None) -> int:
    """`python -m harness.datasets.training_crops FOLDER`: render shards for `rppg train`."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.datasets.training_crops", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    try:
        write_shards(options.folder, options.clips, options.seed, options.processes)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
