"""Variables out of MATLAB files, both of the formats to v7 and of v7.3, which is HDF5.

What is asked for is read and the rest left on the disk. A damaged file is a UserError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
import numpy.typing as npt
from scipy.io import loadmat, whosmat

from harness.datasets.reading import one_line
from rppg_core.errors import UserError

Array = npt.NDArray[Any]
Found = TypeVar("Found")


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each variable as MATLAB has it, reading none."""
    return _guarded(path, _hdf5_shapes if _is_hdf5(path) else _classic_shapes)


def read_variables(path: Path, names: Sequence[str]) -> dict[str, Array]:
    """Return those of the named variables that are there, in MATLAB's order of axes."""
    if _is_hdf5(path):
        return _guarded(path, lambda path: _hdf5_variables(path, names))
    return _guarded(path, lambda path: _classic_variables(path, names))


def _guarded(path: Path, read: Callable[[Path], Found]) -> Found:
    try:
        return read(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; fetch it") from None
    except MemoryError:
        raise UserError(f"{path}: does not fit into memory; free some") from None
    except Exception as error:  # neither SciPy nor HDF5 has an error of its own for damage
        raise UserError(
            f"{path}: cannot be read as a MATLAB file ({one_line(error)}); fetch it again"
        ) from None


def _is_hdf5(path: Path) -> bool:
    return bool(h5py.is_hdf5(path))


def _classic_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    return {name: tuple(shape) for name, shape, _ in whosmat(path, appendmat=False)}


def _classic_variables(path: Path, names: Sequence[str]) -> dict[str, Array]:
    found = loadmat(path, appendmat=False, variable_names=list(names))
    return {name: np.asarray(found[name]) for name in names if name in found}


def _hdf5_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    with h5py.File(path, "r") as file:
        return {
            name: item.shape[::-1] for name, item in file.items() if isinstance(item, h5py.Dataset)
        }


def _hdf5_variables(path: Path, names: Sequence[str]) -> dict[str, Array]:
    with h5py.File(path, "r") as file:
        return {name: _array(file[name]) for name in names if name in file}


def _array(item: Any) -> Array:
    """MATLAB writes its axes in reverse, and text as character codes."""
    values: Array = np.asarray(item[()]).T
    if item.attrs.get("MATLAB_class") == b"char":
        return np.array(["".join(chr(code) for code in values.ravel(order="F"))])
    return values
