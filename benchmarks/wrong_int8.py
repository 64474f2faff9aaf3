"""Write int8 TS-CAN models that were converted wrongly, beside the right one.

    python benchmarks/wrong_int8.py --weights FOLDER --calibration FILE --out FOLDER

Run the quantization benchmark on each NAME.motion.tflite: the gate has to pass `right` and to fail
the others, which load and run. `noise` and `dark` are calibrated with random numbers and with one
dim, almost motionless window, `swapped` with motion and appearance exchanged. One scale for all
channels of a layer is no fault here: it costs these weights 0.2 dB.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from rppg_core.errors import UserError
from rppg_core.lightening import integer
from rppg_core.lightening.calibration import Calibration, load_calibration
from rppg_core.lightening.convert import PUBLISHED_WINDOW
from rppg_core.lightening.weights import load_tfjs

NOISE_SEED = 0
NOISE_SCALE = 0.05  # standard deviations; real inputs have 1
WINDOWS = 8


def right(weights, calibration):
    return integer.convert_halves(weights, calibration)


def noise(weights, calibration):
    rng = np.random.default_rng(NOISE_SEED)
    motion, appearance = (
        (NOISE_SCALE * rng.normal(size=(WINDOWS, *part.shape[1:]))).astype(np.float32)
        for part in (calibration.motion, calibration.appearance)
    )
    return right(weights, Calibration(motion, appearance, calibration.about))


def dark(weights, calibration):
    still = Calibration(
        0.01 * calibration.motion[:1], 0.01 * calibration.appearance[:1], calibration.about
    )
    return right(weights, still)


def swapped(weights, calibration):
    return right(
        weights, Calibration(calibration.appearance, calibration.motion, calibration.about)
    )


FAULTS = {
    "right": right,
    "noise": noise,
    "dark": dark,
    "swapped": swapped,
}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True, help="TensorFlow.js folder or its model.json")
    parser.add_argument("--weights-name", default="tscan-afrl", help="(default: %(default)s)")
    parser.add_argument("--calibration", required=True, type=Path, help="of `rppg-bench calibrate`")
    parser.add_argument("--out", required=True, type=Path, help="folder to write models into")
    options = parser.parse_args(argv)
    try:
        weights = load_tfjs(options.weights)
        calibration = load_calibration(options.calibration, PUBLISHED_WINDOW)
        options.out.mkdir(parents=True, exist_ok=True)
        for name, fault in FAULTS.items():
            path = options.out / f"{name}.motion.tflite"
            models = fault(weights, calibration)
            integer.write_halves(path, models, weights, options.weights_name, "int8", calibration)
            print(path)
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
