"""Models made wrongly, one file each, beside two made right. See `seeded_faults.py`."""

from pathlib import Path

import wrong_int8
import wrong_models

from harness.calibration import own_calibration
from rppg_core.lightening import integer
from rppg_core.lightening.calibration import load_calibration
from rppg_core.lightening.convert import PUBLISHED_WINDOW, export, model_card, write_model
from rppg_core.lightening.weights import load_weights
from rppg_core.models import BUNDLED

PREDICT, RIGHT = "predict", "-"
# What is at fault, by the names of `wrong_int8` and `wrong_models`.
INTEGER = {
    "right": ("none (control), int8", RIGHT),
    "zero-point": ("wrong zero-point", PREDICT),
    "per-tensor": ("per-tensor weights", "making: scales of the kernels"),
    "noise": ("calibrated with noise", PREDICT),
    "dark": ("calibrated with one dim window", PREDICT),
    "window-9": ("off-by-one window", PREDICT),
}
FLOAT = {
    "right": ("none (control), float32", RIGHT),
    "rgb-swapped": ("swapped channels", PREDICT),
    "no-shift": ("missing temporal shift", PREDICT),
}
WHOLE = {"no-normalisation": ("dropped attention normalisation", PREDICT)}


def broken_models(folder: Path, options):
    """Make the models one after the other: what is wrong, the stage at fault, the file."""
    named = options.model
    weights = load_weights(options.weights or str(BUNDLED / f"{named}.npz"))
    calibration = load_calibration(own_calibration(PUBLISHED_WINDOW), PUBLISHED_WINDOW)
    for name, (what, stage) in FLOAT.items():
        if options.only in what:
            path = folder / f"{name}.tflite"
            made = export(wrong_models.GRAPHS[name](weights))
            write_model(path, made, model_card(weights, named))
            yield what, stage, path
    for name, (what, stage) in WHOLE.items():
        if options.only in what:
            path = folder / f"{name}.tflite"
            made = wrong_int8.WHOLE[name](weights)
            write_model(path, made, model_card(weights, named, "dynamic"))
            yield what, stage, path
    for name, (what, stage) in INTEGER.items():
        if options.only in what:
            path = folder / f"{name}.motion.tflite"
            halves = wrong_int8.HALVES[name](weights, calibration)
            with_ = wrong_int8.shortened(calibration) if name == "window-9" else calibration
            integer.write_halves(path, halves, weights, named, "int8", with_)
            yield what, stage, path
