"""The paper's line on size: the published graph as float32 and with dynamic-range quantisation.

    python benchmarks/paper_sizes.py --weights FOLDER

The paper has 2.34 MB and 0.75 MB, 32.07 %. It comes of the graph as published for a batch of 20
frames, two windows; most of what its float32 file has beyond the weights is zeros for the shifts.
"""

import argparse
import sys

from rppg_core.errors import UserError
from rppg_core.lightening.__main__ import quiet_stderr
from rppg_core.lightening.weights import load_tfjs

PAPER_FRAMES = 20  # in the batch


def sizes_bytes(weights):
    """(float32, dynamic) size of the published graph's TFLite files."""
    import tensorflow as tf  # noqa: PLC0415 (slow and talkative)

    from rppg_core.lightening.convert import PUBLISHED_WINDOW, converter_of  # noqa: PLC0415
    from rppg_core.lightening.original import published_tscan  # noqa: PLC0415

    converter = converter_of(published_tscan(weights, PUBLISHED_WINDOW, PAPER_FRAMES))
    before = len(converter.convert())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return before, len(converter.convert())


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True, help="TensorFlow.js folder or its model.json")
    try:
        weights = load_tfjs(parser.parse_args(argv).weights)
    except UserError as error:
        sys.exit(str(error))
    with quiet_stderr():
        before, after = sizes_bytes(weights)
    print(
        f"original graph, {PAPER_FRAMES} frames: float32 {before:,} bytes, "
        f"dynamic {after:,} bytes: {100 * after / before:.1f} %"
    )


if __name__ == "__main__":
    main()
