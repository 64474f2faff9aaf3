"""Training TS-CAN on shards of face crops: seeded, resumable, with a curve to look at."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from rppg_core.errors import UserError
from rppg_core.lightening.batches import batches, prefetched
from rppg_core.lightening.pulse_loss import pulse_loss
from rppg_core.lightening.shards import Sequence, find_shards, load_shard, to_sequence
from rppg_core.lightening.tscan_keras import FOLD_DIV, tscan
from rppg_core.lightening.weights import SHAPES, load_weights, save_npz

WINDOW = 10  # frames
WARM_UP_STEPS = 100
CLIP_NORM = 1.0
CHECKPOINT, HISTORY, PLOT, WEIGHTS = "checkpoint.npz", "history.json", "curve.png", "weights.npz"


@dataclass(frozen=True)
class TrainSettings:
    """What a run depends on besides its shards; two equal runs take the same steps."""

    steps: int = 800
    clips_a_step: int = 2
    windows_a_clip: int = 6
    learning_rate: float = 1e-3
    seed: int = 1
    validate_every: int = 100  # steps; a checkpoint is written then too
    start: str = ""  # weights to start from; none for random ones

    def __post_init__(self) -> None:
        """Refuse settings that cannot mean anything."""
        if min(self.steps, self.clips_a_step, self.windows_a_clip, self.validate_every) < 1:
            raise UserError("steps, clips, windows and the interval of validation are 1 or more")
        if not 0 < self.learning_rate < 1:
            raise UserError(f"a learning rate of {self.learning_rate:g}; give more than 0, below 1")


def train(
    shards: str | Path,
    out: str | Path,
    validation: str | Path,
    settings: TrainSettings | None = None,
    stop_after: int | None = None,
    compiled: bool = True,
) -> Path:
    """Train on the folder `shards`, write into `out`, return the weights file there.

    A run that was cut short goes on from its last checkpoint in `out`; `stop_after` cuts one short
    after so many steps. Not `compiled`, it starts half a minute sooner and is half as fast. Raises
    UserError for shards or a checkpoint that do not fit.
    """
    settings = settings or TrainSettings()
    out = Path(out)
    paths = find_shards(shards)
    held_out = [
        to_sequence(shard, index, WINDOW)
        for shard in map(load_shard, find_shards(validation))
        for index in range(len(shard.crops))
    ]
    out.mkdir(parents=True, exist_ok=True)
    trainer = _Trainer(settings, compiled)
    trainer.resume(out / CHECKPOINT)
    last = settings.steps if stop_after is None else min(stop_after, settings.steps)
    start_s = time.monotonic()
    losses: list[float] = []
    given = prefetched(
        batches(
            paths,
            WINDOW,
            settings.windows_a_clip,
            settings.clips_a_step,
            settings.seed,
            skip=trainer.done,
        )
    )
    while trainer.done < last:
        losses.append(trainer.step(next(given)))
        if trainer.done % settings.validate_every == 0 or trainer.done == last:
            score = trainer.validate(held_out)
            trainer.history.append(
                {"step": trainer.done, "loss": float(np.mean(losses)), "correlation": score}
            )
            losses = []
            trainer.save(out / CHECKPOINT)
            _plot(trainer.history, out / PLOT)
            (out / HISTORY).write_text(json.dumps(trainer.history, indent=1) + "\n")
            _say(trainer, last, time.monotonic() - start_s)
    save_npz(out / WEIGHTS, trainer.weights())
    return out / WEIGHTS


class _Trainer:
    """The network, its optimiser and how far they have come."""

    def __init__(self, settings: TrainSettings, compiled: bool) -> None:
        self.settings = settings
        self.done = 0
        self.history: list[dict[str, float]] = []
        self._windows = settings.clips_a_step * settings.windows_a_clip
        weights = load_weights(settings.start) if settings.start else initial_weights(settings.seed)
        self._graph = tscan(weights, WINDOW, shift=shift_windows, windows=self._windows)
        self._optimizer = keras.optimizers.Adam(settings.learning_rate, clipnorm=CLIP_NORM)
        self._optimizer.build(self._graph.trainable_variables)
        self._step = tf.function(self._update, jit_compile=compiled)
        self._predict = tf.function(
            lambda motion, seen: self._graph([motion, seen], training=False), jit_compile=compiled
        )

    def step(self, batch: tuple[np.ndarray, ...]) -> float:
        """One update; returns its loss."""
        self._optimizer.learning_rate.assign(_rate(self.settings, self.done))
        self.done += 1
        return float(self._step(*map(tf.constant, batch)))

    def validate(self, held_out: list[Sequence]) -> float:
        """Mean correlation of the derivative with the truth, over whole held-out clips."""
        return float(np.mean([self.correlation(clip) for clip in held_out]))

    def correlation(self, clip: Sequence) -> float:
        """Of one clip's derivative with the truth."""
        parts = []
        for start in range(0, len(clip.appearance), self._windows):
            seen = clip.appearance[start : start + self._windows]
            moved = clip.motion[start * WINDOW : (start + self._windows) * WINDOW]
            rows = [(0, self._windows - len(seen))], [(0, self._windows * WINDOW - len(moved))]
            rest = [(0, 0)] * 3  # the network takes its number of windows and no other
            given = np.pad(moved, rows[1] + rest), np.pad(seen, rows[0] + rest)
            parts.append(np.asarray(self._predict(*given))[: len(moved), 0])
        found = np.concatenate(parts)
        return float(np.corrcoef(found, clip.derivative)[0, 1]) if found.std() > 0 else 0.0

    def weights(self) -> dict[str, np.ndarray]:
        """The network's tensors under their published names."""
        return {
            f"{layer.name}/{name}": value
            for layer in self._graph.layers
            if layer.weights
            for name, value in zip(("kernel", "bias"), layer.get_weights(), strict=True)
        }

    def save(self, path: Path) -> None:
        """Everything a run needs to go on, whole or not at all."""
        state: dict[str, Any] = {f"weight/{k}": v for k, v in self.weights().items()}
        for number, variable in enumerate(self._optimizer.variables):
            state[f"optimizer/{number}"] = np.asarray(variable)
        about = json.dumps({"settings": asdict(self.settings), "history": self.history})
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.npz")
        np.savez(unfinished, done=self.done, about=about, **state)
        unfinished.replace(path)

    def resume(self, path: Path) -> None:
        """Go on where `path` was saved; a file that is not there starts from the beginning."""
        if not path.is_file():
            return
        with np.load(path) as state:
            about = json.loads(str(state["about"]))
            if about["settings"] != asdict(self.settings):
                raise UserError(f"{path}: is of a run with other settings; give another folder")
            for layer in self._graph.layers:
                if layer.weights:
                    names = (f"weight/{layer.name}/{part}" for part in ("kernel", "bias"))
                    layer.set_weights([state[name] for name in names])
            for number, variable in enumerate(self._optimizer.variables):
                variable.assign(state[f"optimizer/{number}"])
            self.done, self.history = int(state["done"]), about["history"]

    def _update(self, motion: Any, seen: Any, truth: Any, basis: Any) -> Any:
        with tf.GradientTape() as tape:
            found = self._graph([motion, seen], training=True)
            found = ops.reshape(found, (self.settings.clips_a_step, -1))
            loss = pulse_loss(found, truth, basis)
        variables = self._graph.trainable_variables
        self._optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss


def shift_windows(features: Any) -> Any:
    """`temporal_shift` of many windows of WINDOW frames, one after the other.

    Slices, for their gradient is many times faster than a depthwise convolution's.
    """
    frames, height, width, channels = features.shape
    fold = channels // FOLD_DIV
    rows = ops.reshape(features, (frames // WINDOW, WINDOW, height, width, channels))
    nothing = ops.zeros_like(rows[:, :1, ..., :fold])
    ahead = ops.concatenate([rows[:, 1:, ..., :fold], nothing], axis=1)
    back = ops.concatenate([nothing, rows[:, :-1, ..., fold : 2 * fold]], axis=1)
    rows = ops.concatenate([ahead, back, rows[..., 2 * fold :]], axis=-1)
    return ops.reshape(rows, (frames, height, width, channels))


def initial_weights(seed: int) -> dict[str, np.ndarray]:
    """Random tensors to start from (Glorot & Bengio 2010), biases zero."""
    rng = np.random.default_rng(seed)
    weights: dict[str, np.ndarray] = {}
    for name, shape in SHAPES.items():
        if name.endswith("/bias"):
            weights[name] = np.zeros(shape, np.float32)
            continue
        taps = int(np.prod(shape[:-2]))
        bound = np.sqrt(6 / (taps * (shape[-2] + shape[-1])))
        weights[name] = rng.uniform(-bound, bound, shape).astype(np.float32)
    return weights


def _rate(settings: TrainSettings, done: int) -> float:
    """Learning rate of the next step: a short rise, then a cosine's fall to nothing."""
    warm = min(1.0, (done + 1) / WARM_UP_STEPS)
    return float(settings.learning_rate * warm * 0.5 * (1 + np.cos(np.pi * done / settings.steps)))


def _say(trainer: _Trainer, last: int, spent_s: float) -> None:
    newest = trainer.history[-1]
    print(
        f"step {trainer.done} of {last}: loss {newest['loss']:.3f}, correlation on held-out clips "
        f"{newest['correlation']:.3f}, {spent_s:.0f} s",
        flush=True,
    )


def _plot(history: list[dict[str, float]], path: Path) -> None:
    import matplotlib  # noqa: PLC0415 (only a training host has it)

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    steps = [point["step"] for point in history]
    axes.plot(steps, [point["correlation"] for point in history], "o-", color="#b3123f")
    axes.plot(steps, [point["loss"] for point in history], color="#33507a")
    axes.legend(["correlation on held-out clips", "loss in training"], frameon=False)
    axes.set(xlabel="step", ylim=(0, 1.1))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
