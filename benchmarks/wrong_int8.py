"""Write TS-CAN models that were converted wrongly, beside a right one.

    python benchmarks/wrong_int8.py --weights FOLDER --calibration FILE --out FOLDER

Give each to `pytest benchmarks/test_quantization.py --model FILE`: the gate has to pass `right` and
to fail the others, which load and run. `noise` and `dark` are calibrated with random numbers and
with one dim, almost motionless window, `swapped` with motion and appearance exchanged; `per-tensor`
has one scale for all kernels of a layer; `zero-point` was folded with the first convolution's zero
point off by one; `window-9` takes 9 frames of weights that were trained on 10; `swapped-inputs` and
`no-normalisation` are whole models with the inputs' names exchanged and without the scaling of the
attention masks.
"""

import argparse
import sys
from pathlib import Path
from unittest import mock

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from rppg_core.errors import UserError
from rppg_core.lightening import integer, ranges, tscan_keras
from rppg_core.lightening.calibration import Calibration, load_calibration
from rppg_core.lightening.convert import PUBLISHED_WINDOW, export, model_card, write_model
from rppg_core.lightening.weights import load_weights

NOISE_SEED = 0
NOISE_SCALE = 0.05  # standard deviations; real inputs have 1
DIM = 0.01  # of a still, dark clip's inputs
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
        DIM * calibration.motion[:1], DIM * calibration.appearance[:1], calibration.about
    )
    return right(weights, still)


def swapped(weights, calibration):
    return right(
        weights, Calibration(calibration.appearance, calibration.motion, calibration.about)
    )


def per_tensor(weights, calibration):
    make = integer.converter_of

    def coarse(graph):
        converter = make(graph)
        converter._experimental_disable_per_channel = True
        return converter

    with mock.patch.object(integer, "converter_of", coarse):
        return right(weights, calibration)


def zero_point(weights, calibration):
    motion, appearance = right(weights, calibration)
    model = bytearray(motion)
    root = schema.Model.GetRootAs(model, 0)
    graph = root.Subgraphs(0)
    first = next(one for name, one in ranges.operators(root) if name == "CONV_2D")
    kernel, bias = (graph.Tensors(first.Inputs(i)) for i in (1, 2))
    taken = root.Buffers(kernel.Buffer()).DataAsNumpy().view(np.int8)
    sums = taken.reshape(kernel.Shape(0), -1).astype(np.int32).sum(axis=1)
    root.Buffers(bias.Buffer()).DataAsNumpy().view(np.int32)[:] += sums
    return bytes(model), appearance


def shortened(calibration):
    return Calibration(calibration.motion[:, :9], calibration.appearance[:, :9], calibration.about)


def window_9(weights, calibration):
    return right(weights, shortened(calibration))


def swapped_inputs(weights):
    graph = tscan_keras.tscan(weights, PUBLISHED_WINDOW, appearance_per_frame=True)
    motion, appearance = (
        tscan_keras.keras.Input(batch_shape=x.shape, name=x.name) for x in graph.inputs
    )
    return export(
        tscan_keras.keras.Model([motion, appearance], graph([appearance, motion])), "dynamic"
    )


def no_normalisation(weights):
    def plain(name, features):
        return tscan_keras.layers.Conv2D(1, 1, activation="sigmoid", name=name)(features)

    with mock.patch.object(tscan_keras, "_mask", plain):
        return export(tscan_keras.tscan(weights, PUBLISHED_WINDOW), "dynamic")


HALVES = {
    "right": right,
    "noise": noise,
    "dark": dark,
    "swapped": swapped,
    "per-tensor": per_tensor,
    "zero-point": zero_point,
    "window-9": window_9,
}
WHOLE = {"swapped-inputs": swapped_inputs, "no-normalisation": no_normalisation}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True, help="as `rppg quantize --weights` takes them")
    parser.add_argument("--weights-name", default="tscan-afrl", help="(default: %(default)s)")
    parser.add_argument("--calibration", required=True, type=Path, help="of `rppg-bench calibrate`")
    parser.add_argument("--out", required=True, type=Path, help="folder to write models into")
    options = parser.parse_args(argv)
    try:
        weights = load_weights(options.weights)
        calibration = load_calibration(options.calibration, PUBLISHED_WINDOW)
        options.out.mkdir(parents=True, exist_ok=True)
        for name, fault in HALVES.items():
            path = options.out / f"{name}.motion.tflite"
            models = fault(weights, calibration)
            made_with = shortened(calibration) if name == "window-9" else calibration
            integer.write_halves(path, models, weights, options.weights_name, "int8", made_with)
            print(path)
        for name, fault in WHOLE.items():
            path = options.out / f"{name}.tflite"
            form = ("dynamic", PUBLISHED_WINDOW, fault is swapped_inputs)
            write_model(path, fault(weights), model_card(weights, options.weights_name, *form))
            print(path)
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
