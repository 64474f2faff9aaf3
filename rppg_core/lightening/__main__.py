"""`python -m rppg_core.lightening`: weights in, one TFLite model with its card out.

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
from rppg_core.lightening.weights import load_weights

USER_ERROR = 2  # exit status


def main(argv: list[str] | None = None) -> int:
    """Convert as the command line says; exit status 0, or 2 after one line on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m rppg_core.lightening",
        description="Make a TFLite model out of TS-CAN weights.",
    )
    parser.add_argument("--weights", required=True, help="TensorFlow.js folder, or .npz file")
    parser.add_argument("--weights-name", required=True, help="their name, kept in the model")
    parser.add_argument("--variant", default="float32", help="form of the model (%(default)s)")
    parser.add_argument("--out", required=True, type=Path, help="the .tflite file to write")
    options = parser.parse_args(argv)
    try:
        _make(options.weights, options.weights_name, options.variant, options.out)
    except UserError as error:
        print(error, file=sys.stderr)
        return USER_ERROR
    print(f"{options.out}: {options.out.stat().st_size} bytes")
    return 0


def _make(weights_path: str, weights_name: str, variant: str, out: Path) -> None:
    if not out.parent.is_dir():
        raise UserError(f"{out}: there is no folder {out.parent}")
    weights = load_weights(weights_path)
    with quiet_stderr():
        try:
            import tensorflow  # noqa: F401, PLC0415
        except ModuleNotFoundError:
            raise UserError(
                "making models needs TensorFlow: pip install -e '.[lightening]'"
            ) from None
        from rppg_core.lightening.convert import convert, model_card, write_model  # noqa: PLC0415

        tflite = convert(weights, variant)
        write_model(out, tflite, model_card(weights, weights_name, variant))


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
