"""Full-integer TS-CAN: two models of batch 1 and the arithmetic between them.

The *appearance* model gives the features that the attention masks are made of, once per window; the
*motion* model sees all frames of a window in one tall picture. `rppg_core.lightening.halves` says
why, and builds them.
"""

import hashlib
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np

from rppg_core.errors import ModelError
from rppg_core.model_card import APPEARANCE, MOTION, form_of, read_card
from rppg_core.preprocess import SIZE_PX
from rppg_core.runtime import Runtime, make_interpreter

PERIOD_ROWS = 40  # a frame's 36 rows and 4 of zeros, so that no convolution reaches its neighbour
SECOND_PERIOD_ROWS = PERIOD_ROWS // 2  # after the first pooling
FIRST_MASK_PX, SECOND_MASK_PX = 34, 15  # sides of the attention masks
MASKS, MASK_CHANNELS = ("first", "second"), (32, 64)  # features that a mask is made of
MASK_MEAN = 0.5  # what a mask's mean over the picture is scaled to
FINER = 16  # how much smaller a step of the motion's fine part is than one of its coarse part
HIDDEN = 128  # numbers that a frame's derivative is a weighted sum of
MOTION_ENDING, APPEARANCE_ENDING = ".motion.tflite", ".appearance.tflite"
COMPILED = "_edgetpu.tflite"  # what edgetpu_compiler puts at the end of a name


def partner_of(path: Union[str, Path]) -> Optional[Path]:
    """The second file of a model, where `path` is the motion half of a pair; else None.

    It lies beside the first: NAME.motion.tflite and NAME.appearance.tflite. Raises ModelError.
    """
    path = Path(path)
    if form_of(read_card(path), path) != MOTION:
        return None
    name, other = path.name, APPEARANCE_ENDING
    if name.endswith(COMPILED):
        name = name[: -len(COMPILED)] + ".tflite"
        other = other[: -len(".tflite")] + COMPILED
    if not name.endswith(MOTION_ENDING):
        raise ModelError(
            f"{path}: the motion half of a model is to be named NAME{MOTION_ENDING}, or its "
            "appearance half cannot be found"
        )
    partner = path.with_name(name[: -len(MOTION_ENDING)] + other)
    if not partner.is_file():
        raise ModelError(f"{path}: its appearance half {partner.name} is not beside it")
    return partner


class Halves:
    """A motion and an appearance model that belong together, ready to run.

    Raises ModelError where they do not, or are not of the form this code runs.
    """

    def __init__(
        self, motion: Path, appearance: Path, window: int, runtime: str, threads: int
    ) -> None:
        card = read_card(motion)
        check_pair(motion, card, appearance)
        self._window = window
        self._head = _last_layer(motion, card.get("head"), HIDDEN)
        masks = read_card(appearance).get("masks")
        if not isinstance(masks, dict):
            raise ModelError(f"{appearance}: its card holds no masks; make the model again")
        self._masks = [
            _last_layer(appearance, masks.get(n), c) for n, c in zip(MASKS, MASK_CHANNELS)
        ]
        self.runtime = make_interpreter(motion, runtime, threads)
        self._motion = _Model(motion, self.runtime)
        self._appearance = _Model(appearance, make_interpreter(appearance, runtime, threads))
        rows = window * PERIOD_ROWS
        self._tall = self._motion.input((1, rows, SIZE_PX, 6))
        self._first = self._motion.input((1, rows, FIRST_MASK_PX, 1))
        self._second = self._motion.input((1, rows // 2, SECOND_MASK_PX, 1))
        self._hidden = self._motion.output((1, window, 1, HIDDEN))
        self._picture = self._appearance.input((1, SIZE_PX, SIZE_PX, 6))
        self._seen = [
            self._appearance.output((1, side, side, channels))
            for side, channels in zip((FIRST_MASK_PX, SECOND_MASK_PX), MASK_CHANNELS)
        ]

    def predict(self, motion: np.ndarray, appearance: np.ndarray) -> np.ndarray:
        """Pulse derivative (window,) of motion (window, 36, 36, 3), appearance (1, 36, 36, 3)."""
        self._picture.set_frames(in_steps(appearance, self._picture.scale), SIZE_PX)
        self._appearance.invoke()
        first, second = (
            attention(seen.get(), *mask) for seen, mask in zip(self._seen, self._masks)
        )
        self._tall.set_frames(in_steps(shifted(motion), self._tall.scale), PERIOD_ROWS)
        self._first.set_mask(first, PERIOD_ROWS)
        self._second.set_mask(second, SECOND_PERIOD_ROWS)
        self._motion.invoke()
        kernel, bias = self._head
        hidden = self._hidden.get().reshape(self._window, HIDDEN)
        return np.asarray(hidden @ kernel + bias, dtype=np.float32)


def attention(seen: np.ndarray, kernel: np.ndarray, bias: np.float32) -> np.ndarray:
    """Masks (n, h, w, 1) of features (n, h, w, c): a sigmoid scaled to a mean of one half."""
    logits = (seen.reshape(-1, len(kernel)) @ kernel + bias).reshape((*seen.shape[:3], 1))
    mask = 1.0 / (1.0 + np.exp(-logits))
    return np.asarray(mask * (MASK_MEAN / mask.mean(axis=(1, 2), keepdims=True)), np.float32)


def shifted(motion: np.ndarray) -> np.ndarray:
    """The temporal shift of frames (n, h, w, 3): red of the next, green of the previous one."""
    moved = np.zeros_like(motion)
    moved[:-1, ..., 0] = motion[1:, ..., 0]
    moved[1:, ..., 1] = motion[:-1, ..., 1]
    moved[..., 2] = motion[..., 2]
    return moved


def in_steps(motion: np.ndarray, step: float) -> np.ndarray:
    """Frames (n, h, w, 3) as (n, h, w, 6) int8: of each colour whole `step`s, then FINER ones.

    What lies beyond the 127 steps of 8 bits, which only head motion does, is cut off.
    """
    finest = motion * np.float32(FINER / step)
    np.rint(finest, out=finest)
    np.clip(finest, -127 * FINER, 127 * FINER, out=finest)
    fine = finest.astype(np.int16)
    whole = (fine + FINER // 2) // FINER  # rounds down
    fine -= whole * FINER
    # Two bytes beside each other are one little-endian number: quicker than to interleave them.
    return np.asarray(((whole & 0xFF) | (fine << 8)).astype("<i2").view(np.int8))


def tall_picture(frames: np.ndarray, period_rows: int) -> np.ndarray:
    """Frames (n, h, w, c) below one another, each in `period_rows` rows: (1, n * period, w, c)."""
    count, height, width, channels = frames.shape
    tall = np.zeros((count, period_rows, width, channels), dtype=frames.dtype)
    tall[:, :height] = frames
    return tall.reshape(1, count * period_rows, width, channels)


def check_pair(motion: Path, card: Dict[str, Any], appearance: Path) -> None:
    """Refuse, by ModelError, an `appearance` file that the motion model was not made with."""
    form = form_of(read_card(appearance), appearance)
    if form != APPEARANCE:
        raise ModelError(f"{appearance}: the {form} form of a model, not an appearance half")
    if hashlib.sha256(appearance.read_bytes()).hexdigest() != card.get("partner_sha256"):
        raise ModelError(
            f"{appearance}: not the appearance half that {motion.name} was made with; make or copy "
            "the two together"
        )


def _last_layer(path: Path, layer: Any, inputs: int) -> Tuple[np.ndarray, np.float32]:
    """Weights (inputs,) and bias of a layer that is left to the host, out of the card."""
    try:
        kernel = np.array(layer["kernel"], dtype=np.float32)
        bias = np.float32(layer["bias"])
    except (KeyError, TypeError, ValueError):
        raise ModelError(f"{path}: its card holds no weights of a last layer") from None
    if kernel.shape != (inputs,) or not (np.isfinite(kernel).all() and np.isfinite(bias)):
        raise ModelError(f"{path}: its card's last layer is not {inputs} finite weights and a bias")
    return kernel, bias


class _Model:
    """An interpreter whose tensors are found by their shapes, all of which differ."""

    def __init__(self, path: Path, runtime: Runtime) -> None:
        self._path = path
        self._interpreter = runtime.interpreter

    def input(self, shape: Tuple[int, ...]) -> "_Tensor":
        return self._of_shape(self._interpreter.get_input_details(), shape)

    def output(self, shape: Tuple[int, ...]) -> "_Tensor":
        return self._of_shape(self._interpreter.get_output_details(), shape)

    def invoke(self) -> None:
        self._interpreter.invoke()

    def _of_shape(self, details: List[Dict[str, Any]], shape: Tuple[int, ...]) -> "_Tensor":
        found = [d for d in details if tuple(d["shape"]) == shape and d["dtype"] == np.int8]
        if len(found) != 1 or not found[0]["quantization"][0] > 0:
            raise ModelError(f"{self._path}: has no int8 tensor of shape {shape} to exchange")
        return _Tensor(self._interpreter, found[0])


class _Tensor:
    """One int8 input or output. A value is its integer, less `zero`, times `scale`."""

    def __init__(self, interpreter: Any, details: Dict[str, Any]) -> None:
        self._interpreter = interpreter
        self._index = details["index"]
        self.scale, self._zero = float(details["quantization"][0]), int(details["quantization"][1])
        self._filled = np.full(details["shape"], self._zero, dtype=np.int8)

    def set_mask(self, mask: np.ndarray, period_rows: int) -> None:
        """A mask (1, h, w, 1), the same for every frame of a tall picture."""
        self.set_frames(np.rint(mask * np.float32(1.0 / self.scale)), period_rows)

    def set_frames(self, steps: np.ndarray, period_rows: int) -> None:
        """Whole steps (n or 1, h, w, c) for a tall picture; the rows between stay zero."""
        _, rows, width, channels = self._filled.shape
        frames = self._filled.reshape(rows // period_rows, period_rows, width, channels)
        frames[:, : steps.shape[1]] = self._integers(steps)
        self._interpreter.set_tensor(self._index, self._filled)

    def get(self) -> np.ndarray:
        integers = self._interpreter.get_tensor(self._index)
        real = (integers.astype(np.float32) - np.float32(self._zero)) * np.float32(self.scale)
        return np.asarray(real)

    def _integers(self, steps: np.ndarray) -> np.ndarray:
        """What lies outside the range that was calibrated is clipped to it."""
        if self._zero == 0 and steps.dtype == np.int8:
            return steps
        return np.asarray(np.clip(steps.astype(np.float32) + self._zero, -128, 127), dtype=np.int8)
