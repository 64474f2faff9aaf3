"""The Edge TPU: Google's chip beside the processor, reached through `libedgetpu.so.1`.

A model has to be compiled for it (`edgetpu_compiler`), after which one operator stands for all that
runs on the chip. pycoral loads the library where it is installed; else tflite_runtime does.
"""

import ctypes
import importlib
import re
from pathlib import Path
from typing import Any, Tuple

from rppg_core.errors import ModelError, UserError

NAME = "edgetpu"
LIBRARY = "libedgetpu.so.1"
OPERATOR = b"edgetpu-custom-op"
# libedgetpu: "Package requires runtime version (14), which is newer than this runtime version (13)"
NEWER = re.compile(r"requires runtime version \(?(\d+)\)?.*this runtime version \(?(\d+)\)?", re.S)


def is_compiled(model: Path) -> bool:
    """Whether the TFLite file `model` was compiled for an Edge TPU."""
    return OPERATOR in model.read_bytes()


def make_edgetpu_interpreter(model: Path, threads: int = 1) -> Tuple[Any, str]:
    """An interpreter that runs `model` on the Edge TPU, not yet allocated, and who made it.

    Raises ModelError for a model that was not compiled for one, UserError where library, device or
    Python package are missing.
    """
    if not is_compiled(model):
        raise ModelError(
            f"{model}: not compiled for an Edge TPU; run edgetpu_compiler on it (full-integer "
            "models alone), or leave 'delegate: edgetpu' out"
        )
    check_device()
    try:
        pycoral = importlib.import_module("pycoral.utils.edgetpu")
        return pycoral.make_interpreter(str(model)), "pycoral"
    except ImportError:
        pass
    try:
        runtime = importlib.import_module("tflite_runtime.interpreter")
    except ImportError:
        raise UserError(
            "nothing to reach the Edge TPU with: install python3-pycoral, or tflite-runtime"
        ) from None
    delegate = runtime.load_delegate(LIBRARY)
    interpreter = runtime.Interpreter(
        model_path=str(model), num_threads=threads, experimental_delegates=[delegate]
    )
    return interpreter, "tflite_runtime"


def check_device() -> None:
    """Raise UserError where there is no library, or it finds no device."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as bad:
        reason = " ".join(str(bad).split())
        raise UserError(
            f"no Edge TPU library ({reason}): install libedgetpu1-std, or leave 'delegate' out"
        ) from None
    try:
        list_devices, free_devices = library.edgetpu_list_devices, library.edgetpu_free_devices
    except AttributeError:
        return  # too old to be asked
    list_devices.restype = ctypes.c_void_p
    free_devices.argtypes = [ctypes.c_void_p]
    count = ctypes.c_size_t(0)
    devices = list_devices(ctypes.byref(count))
    if devices:
        free_devices(devices)
    if not count.value:
        raise UserError(
            "no Edge TPU found: plug it in, or replug it; over USB the user must be in 'plugdev'"
        )


def explain(reason: str) -> str:
    """What a runtime's words about a compiled model mean, with what to do; "" for other words."""
    found = NEWER.search(reason)
    if found:
        needs, has = found.groups()
        return (
            f"compiled for Edge TPU runtime {needs}, this board has {has}: update libedgetpu1 "
            f"there, or compile with --min_runtime_version {has}"
        )
    if OPERATOR.decode() in reason:
        return "compiled for an Edge TPU; set 'delegate: edgetpu', or take the uncompiled model"
    if "load delegate" in reason:
        return "the Edge TPU cannot be opened; is another program using it, or is it hung?"
    return ""
