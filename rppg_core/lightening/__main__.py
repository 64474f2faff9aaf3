"""`python -m rppg_core.lightening`: weights in, one model with its card out.

A program of its own so that a host that wants a model need not load TensorFlow into its process.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rppg_core.errors import UserError
from rppg_core.lightening.weights import Weights, load_weights
from rppg_core.model_card import PULSE, SIGNALS
from rppg_core.models import CALIBRATED, PAIRS
from rppg_core.tscan import PER_FRAME, WINDOW_MEAN

MIN_WINDOW, MAX_WINDOW = 2, 60  # frames
AS_TRAINED = "as-trained"
USER_ERROR = 2  # exit status


def main(argv: list[str] | None = None) -> int:
    """Convert as the command line says; exit status 0, or 2 after one line on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m rppg_core.lightening",
        description="Make a TFLite model out of TS-CAN weights.",
    )
    parser.add_argument(
        "--weights", required=True, help="TensorFlow.js folder, .npz, .hdf5 or .pth file"
    )
    parser.add_argument("--weights-name", required=True, help="their name, kept in the model")
    parser.add_argument("--variant", default="float32", help="form of the model (%(default)s)")
    parser.add_argument("--window", type=int, default=10, help="frames a call (%(default)s)")
    parser.add_argument("--head", default=PULSE, help=f"{', '.join(SIGNALS)} (%(default)s)")
    parser.add_argument(
        "--appearance",
        default=AS_TRAINED,
        choices=(AS_TRAINED, WINDOW_MEAN, PER_FRAME),
        help="one appearance image for a window, or one a frame (%(default)s)",
    )
    parser.add_argument("--calibration", type=Path, help="for int8: of `rppg-bench calibrate`")
    parser.add_argument("--out", required=True, type=Path, help="the .tflite file to write")
    options = parser.parse_args(argv)
    try:
        _make(options)
    except UserError as error:
        print(error, file=sys.stderr)
        return USER_ERROR
    print(f"{options.out}: {options.out.stat().st_size} bytes")
    return 0


def _make(options: argparse.Namespace) -> None:
    if not options.out.parent.is_dir():
        raise UserError(f"{options.out}: there is no folder {options.out.parent}")
    if not MIN_WINDOW <= options.window <= MAX_WINDOW:
        raise UserError(f"a window of {options.window} frames; give {MIN_WINDOW} to {MAX_WINDOW}")
    weights = load_weights(options.weights, options.head)
    if options.appearance == PER_FRAME and options.variant in PAIRS:
        raise UserError(f"{options.variant} takes one appearance image a window: {WINDOW_MEAN}")
    if options.variant in CALIBRATED and options.calibration is None:
        raise UserError(f"{options.variant} needs --calibration FILE (of `rppg-bench calibrate`)")
    with quiet_stderr():
        try:
            import tensorflow  # noqa: F401, PLC0415
        except ModuleNotFoundError:
            raise UserError(
                "making models needs TensorFlow: pip install -e '.[lightening]'"
            ) from None
        if options.variant in CALIBRATED:
            _make_integer(options, weights)
            return
        from rppg_core.lightening.convert import convert, model_card, write_model  # noqa: PLC0415

        per_frame = options.appearance == PER_FRAME
        if options.appearance == AS_TRAINED:
            per_frame = weights.per_frame
        form = (options.variant, options.window, per_frame)
        tflite = convert(weights, *form)
        write_model(options.out, tflite, model_card(weights, options.weights_name, *form))


def _make_integer(options: argparse.Namespace, weights: Weights) -> None:
    from rppg_core.lightening import edgetpu, integer  # noqa: PLC0415
    from rppg_core.lightening.calibration import load_calibration  # noqa: PLC0415
    from rppg_core.lightening.convert import write_model  # noqa: PLC0415

    calibration = load_calibration(options.calibration, options.window)
    named = (weights, options.weights_name, options.variant, calibration)
    if options.variant == "int8-naive":
        tflite = integer.convert_naive(weights, calibration)
        write_model(options.out, tflite, integer.calibrated_card(*named, appearance_per_frame=True))
        return
    integer.halves_paths(options.out)  # refuses a name before minutes are spent
    compiler = edgetpu.find_compiler() if options.variant == "int8-edgetpu" else None
    motion, appearance = integer.convert_halves(weights, calibration)
    if compiler is not None:
        motion = edgetpu.compile_model(compiler, motion)
        appearance = edgetpu.compile_model(compiler, appearance)
    integer.write_halves(options.out, (motion, appearance), *named)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what is written to stderr, by C++ too; show it only if an error ends the block.

    TensorFlow logs from C++ before any of its settings is read. A UserError needs no such context.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except UserError:
            raise
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)


if __name__ == "__main__":
    sys.exit(main())
