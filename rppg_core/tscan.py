"""TS-CAN over a TFLite interpreter: windows of frames in, the pulse derivative out.

Temporal-shift convolutional attention network (Liu et al. 2020). What a model file expects is read
from the card inside it, never from options.
"""

import hashlib
from pathlib import Path
from typing import Any, Dict, Optional, Tuple, Union

import numpy as np

from rppg_core.errors import ModelError
from rppg_core.model_card import APPEARANCE, MOTION, PULSE, form_of, read_card
from rppg_core.preprocess import SIZE_PX
from rppg_core.runtime import make_interpreter
from rppg_core.tscan_int8 import Halves, partner_of

INPUTS = ("motion", "appearance")
WINDOW_MEAN = "window-mean"
PER_FRAME = "per-frame"


class TSCAN:
    """A TS-CAN model ready to run.

    `window` is how many frames one call takes; `card` is the model's own description. Of a model in
    two files `model` is the motion half; `appearance_model` is the other, where it does not lie
    beside the first. Raises ModelError where the file is no TS-CAN this code understands.
    """

    def __init__(
        self,
        model: Union[str, Path],
        runtime: str = "auto",
        threads: int = 1,
        appearance_model: Union[str, Path, None] = None,
    ) -> None:
        self.path = Path(model)
        self.card = read_card(self.path)
        self.window, self.appearance = self._form()
        self._network = self._open(runtime, threads, appearance_model)
        self.runtime = self._network.runtime
        self.sha256 = hashlib.sha256(self.path.read_bytes()).hexdigest()

    def require_pulse(self) -> None:
        """Raise ModelError unless it is the pulse that this model gives."""
        if self.card["signal"] != PULSE:
            raise ModelError(
                f"{self.path}: gives {self.card['signal']}, no pulse; no heart rate comes of it"
            )

    def predict(self, motion: np.ndarray, appearance: np.ndarray) -> np.ndarray:
        """Pulse derivative (window,) float32 of one window of standardised inputs.

        Both inputs are (window, 36, 36, 3) float32. A `window-mean` model sees the mean appearance
        of the window, as the published weights were trained.
        """
        if self.appearance == WINDOW_MEAN:
            appearance = appearance.mean(axis=0, keepdims=True)
        return self._network.predict(motion, appearance)

    def _open(
        self, runtime: str, threads: int, other: Union[str, Path, None]
    ) -> Union["_Whole", Halves]:
        form = form_of(self.card, self.path)
        if form == APPEARANCE:
            raise ModelError(f"{self.path}: half a model; name its motion half instead")
        if form == MOTION:
            partner: Optional[Path] = partner_of(self.path) if other is None else Path(other)
            assert partner is not None  # a motion half has one, or partner_of raises
            return Halves(self.path, partner, self.window, runtime, threads)
        if other is not None:
            raise ModelError(f"{self.path}: a whole model; it takes no appearance half")
        rows = 1 if self.appearance == WINDOW_MEAN else self.window
        return _Whole(self.path, self.window, rows, runtime, threads)

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


class _Whole:
    """TS-CAN in one file, floating point at both ends."""

    def __init__(
        self, path: Path, window: int, appearance_rows: int, runtime: str, threads: int
    ) -> None:
        self._path = path
        self._window = window
        self.runtime = make_interpreter(path, runtime, threads)
        self._interpreter = self.runtime.interpreter
        rows = {"motion": window, "appearance": appearance_rows}
        self._inputs = {name: self._input(name, rows[name]) for name in INPUTS}
        self._output = self._interpreter.get_output_details()[0]
        if int(np.prod(self._output["shape"])) != window:
            raise ModelError(
                f"{path}: gives {tuple(self._output['shape'])} values for {window} frames"
            )

    def predict(self, motion: np.ndarray, appearance: np.ndarray) -> np.ndarray:
        """The derivative (window,) of inputs as the model has them."""
        self._interpreter.set_tensor(self._inputs["motion"], motion)
        self._interpreter.set_tensor(self._inputs["appearance"], appearance)
        try:
            self._interpreter.invoke()
        except RuntimeError as bad:  # some operators are refused only now
            reason = " ".join(str(bad).split())[:200]
            raise ModelError(f"{self._path}: {self.runtime.name} cannot run it: {reason}") from None
        return np.array(self._interpreter.get_tensor(self._output["index"])).reshape(self._window)

    def _input(self, name: str, rows: int) -> int:
        """The index of input `name`, after a look at its shape and type."""
        details = self._interpreter.get_input_details()
        found = [d for d in details if name in d["name"]]
        if len(details) != len(INPUTS) or len(found) != 1:
            names = ", ".join(d["name"] for d in details)
            raise ModelError(f"{self._path}: inputs are {names}; expected {', '.join(INPUTS)}")
        shape, expected = tuple(int(n) for n in found[0]["shape"]), (rows, SIZE_PX, SIZE_PX, 3)
        if shape != expected or found[0]["dtype"] != np.float32:
            raise ModelError(
                f"{self._path}: input '{name}' is {shape} {np.dtype(found[0]['dtype']).name}; "
                f"expected {expected} float32"
            )
        return int(found[0]["index"])
