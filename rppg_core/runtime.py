"""The TFLite interpreter, whichever of its packages a machine has.

A board has pycoral or tflite_runtime, a host ai_edge_litert or tflite_runtime. Google's pycoral
comes from Coral's own packages; what `pip` finds under that name is something else.
"""

import importlib
from pathlib import Path
from typing import Any, NamedTuple, Tuple, Union

from rppg_core import edgetpu
from rppg_core.errors import ModelError, UserError

RUNTIMES = ("pycoral", "tflite_runtime", "ai_edge_litert")
# Where each package keeps its Interpreter; pycoral's make_interpreter wraps tflite_runtime's.
_MODULES = {
    "pycoral": "pycoral.utils.edgetpu",
    "tflite_runtime": "tflite_runtime.interpreter",
    "ai_edge_litert": "ai_edge_litert.interpreter",
}


class Runtime(NamedTuple):
    """An interpreter with its tensors allocated, and what runs it."""

    interpreter: Any
    name: str
    version: str


def make_interpreter(model: Union[str, Path], runtime: str = "auto", threads: int = 1) -> Runtime:
    """An interpreter for the TFLite file `model`, ready to run on `threads` CPU threads.

    `auto` takes the first of RUNTIMES that is installed; pycoral, which always runs on an Edge TPU,
    has to be asked for. `edgetpu` runs on that chip by whatever package can. Raises ModelError for
    a file the runtime refuses and UserError when there is no runtime, or no chip.
    """
    path = Path(model)
    if not path.is_file():
        raise ModelError(f"{path}: no such model file")
    on_chip = runtime in (edgetpu.NAME, "pycoral")
    module: Any = None
    name = runtime
    if runtime != edgetpu.NAME:
        name, module = _find_runtime(runtime)
    try:
        if on_chip:
            interpreter, name = edgetpu.make_edgetpu_interpreter(path, threads)
        else:
            interpreter = module.Interpreter(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError, SystemError, OSError) as bad:
        reason = " ".join(str(bad).split())
        reason = edgetpu.explain(reason) or reason[:200]
        by = name if name == edgetpu.NAME else f"{name} {_version(name)}"
        raise ModelError(f"{path}: {by} cannot run this model: {reason}") from bad
    version = _version(name)
    return Runtime(interpreter, f"{name} ({edgetpu.NAME})" if on_chip else name, version)


def _find_runtime(runtime: str) -> Tuple[str, Any]:
    if runtime != "auto" and runtime not in RUNTIMES:
        raise UserError(f"unknown runtime '{runtime}'; there are auto, {', '.join(RUNTIMES)}")
    for name in RUNTIMES[1:] if runtime == "auto" else (runtime,):
        try:
            return name, importlib.import_module(_MODULES[name])
        except ImportError:
            continue
    wanted = " or ".join(RUNTIMES[1:]) if runtime == "auto" else runtime
    raise UserError(f"no TFLite runtime: install {wanted} for this Python")


def _version(name: str) -> str:
    package = "tflite_runtime" if name == "pycoral" else name
    found = getattr(importlib.import_module(package), "__version__", None)
    if found is None:
        try:
            from importlib import metadata  # noqa: PLC0415 # novermin: 3.8 and later

            found = metadata.version(package.replace("_", "-"))
        except Exception:  # a version that cannot be told is no failure
            found = "unknown"
    return str(found)
