"""Run a model over windows of inputs: `python runtimes.py MODEL INPUTS.npz OUT.npz`.

For any Python a board may have; what it is run with is written beside the values.
"""

import sys

import numpy as np

from rppg_core.tscan import TSCAN


def main(model_path, inputs, out):
    model = TSCAN(model_path)
    with np.load(inputs) as windows:
        pairs = zip(windows["motion"], windows["appearance"])  # noqa: B905 (3.7)
        values = np.stack([model.predict(*pair) for pair in pairs])
    python = "{}.{}".format(*sys.version_info)
    np.savez(out, values=values, runtime=[model.runtime.name, model.runtime.version, python])


if __name__ == "__main__":
    main(*sys.argv[1:])
