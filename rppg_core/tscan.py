"""TS-CAN over a TFLite interpreter: windows of frames in, the pulse derivative out.

Temporal-shift convolutional attention network (Liu et al. 2020). What a model file expects is read
from the card inside it, never from options.
"""

import hashlib
from pathlib import Path
from typing import Any, Dict, Tuple, Union

import numpy as np

from rppg_core.errors import ModelError
from rppg_core.model_card import read_card
from rppg_core.preprocess import SIZE_PX
from rppg_core.runtime import make_interpreter

INPUTS = ("motion", "appearance")
WINDOW_MEAN = "window-mean"
PER_FRAME = "per-frame"


class TSCAN:
    """A TS-CAN model ready to run.

    `window` is how many frames one call takes; `card` is the model's own description. Raises
    ModelError where the file is no TS-CAN this code understands.
    """

    def __init__(self, model: Union[str, Path], runtime: str = "auto", threads: int = 1) -> None:
        self.path = Path(model)
        self.card = read_card(self.path)
        self.window, self.appearance = self._form()
        self.runtime = make_interpreter(self.path, runtime, threads)
        self.sha256 = hashlib.sha256(self.path.read_bytes()).hexdigest()
        self._interpreter = self.runtime.interpreter
        rows = {"motion": self.window, "appearance": self._appearance_rows()}
        self._inputs = {name: self._input(name, rows[name]) for name in INPUTS}
        self._output = self._interpreter.get_output_details()[0]
        if int(np.prod(self._output["shape"])) != self.window:
            raise ModelError(
                f"{self.path}: gives {tuple(self._output['shape'])} values for {self.window} frames"
            )

    def predict(self, motion: np.ndarray, appearance: np.ndarray) -> np.ndarray:
        """Pulse derivative (window,) float32 of one window of standardised inputs.

        Both inputs are (window, 36, 36, 3) float32. A `window-mean` model sees the mean appearance
        of the window, as the published weights were trained.
        """
        if self.appearance == WINDOW_MEAN:
            appearance = appearance.mean(axis=0, keepdims=True)
        self._interpreter.set_tensor(self._inputs["motion"], motion)
        self._interpreter.set_tensor(self._inputs["appearance"], appearance)
        self._interpreter.invoke()
        return np.array(self._interpreter.get_tensor(self._output["index"])).reshape(self.window)

    def _form(self) -> Tuple[int, str]:
        card: Dict[str, Any] = self.card
        window, appearance = card.get("window"), card.get("appearance")
        if card.get("architecture") != "ts-can" or appearance not in (WINDOW_MEAN, PER_FRAME):
            raise ModelError(
                f"{self.path}: a '{card.get('architecture')}' model with '{appearance}' appearance "
                "is not one this version can run; make it again or update"
            )
        if not isinstance(window, int) or window < 2:
            raise ModelError(f"{self.path}: its card names no window of 2 or more frames")
        return window, str(appearance)

    def _appearance_rows(self) -> int:
        return 1 if self.appearance == WINDOW_MEAN else self.window

    def _input(self, name: str, rows: int) -> int:
        """The index of input `name`, after a look at its shape and type."""
        details = self._interpreter.get_input_details()
        found = [d for d in details if name in d["name"]]
        if len(details) != len(INPUTS) or len(found) != 1:
            names = ", ".join(d["name"] for d in details)
            raise ModelError(f"{self.path}: inputs are {names}; expected {', '.join(INPUTS)}")
        shape, expected = tuple(int(n) for n in found[0]["shape"]), (rows, SIZE_PX, SIZE_PX, 3)
        if shape != expected or found[0]["dtype"] != np.float32:
            raise ModelError(
                f"{self.path}: input '{name}' is {shape} {np.dtype(found[0]['dtype']).name}; "
                f"expected {expected} float32"
            )
        return int(found[0]["index"])
