"""Write float32 TS-CAN models that are wrong on purpose, beside the right one.

    python benchmarks/wrong_models.py --weights FOLDER --out FOLDER

Run the accuracy benchmark on each: the gate has to pass `right` and to fail the others, which load,
run and give plausible numbers. `rgb-swapped` has red and blue of both inputs exchanged, `no-shift`
has no temporal shift, `shuffled` has the weights of each kernel in random order.
"""

import argparse
import sys
from pathlib import Path

import keras
import numpy as np

from rppg_core.errors import UserError
from rppg_core.lightening.convert import PUBLISHED_WINDOW, export, model_card, write_model
from rppg_core.lightening.tscan_keras import input_shapes, tscan
from rppg_core.lightening.weights import load_tfjs

SHUFFLE_SEED = 0


def right(weights):
    return tscan(weights)


def rgb_swapped(weights):
    inputs = [
        keras.Input(batch_shape=shape, name=name)
        for name, shape in input_shapes(PUBLISHED_WINDOW, appearance_per_frame=False).items()
    ]
    return keras.Model(inputs, tscan(weights)([keras.ops.flip(x, axis=3) for x in inputs]))


def no_shift(weights):
    return tscan(weights, shift=lambda features: features)


def shuffled(weights):
    rng = np.random.default_rng(SHUFFLE_SEED)
    return tscan(
        {
            name: rng.permutation(tensor.ravel()).reshape(tensor.shape)
            if name.endswith("/kernel")
            else tensor
            for name, tensor in weights.items()
        }
    )


GRAPHS = {
    "right": right,
    "rgb-swapped": rgb_swapped,
    "no-shift": no_shift,
    "shuffled": shuffled,
}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True, help="TensorFlow.js folder or its model.json")
    parser.add_argument("--out", required=True, type=Path, help="folder to write NAME.tflite into")
    options = parser.parse_args(argv)
    try:
        weights = load_tfjs(options.weights)
        options.out.mkdir(parents=True, exist_ok=True)
        for name, graph in GRAPHS.items():
            path = options.out / f"{name}.tflite"
            write_model(path, export(graph(weights)), model_card(weights, name))
            print(path)
    except (UserError, FileExistsError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
