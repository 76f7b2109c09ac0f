"""Arrays of any origin as numbers: whatever is wrong with one is said with its name."""

import reprlib
import sys
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otcondense.errors import InputError

NUMBERS = frozenset("fiub")
"""Kinds of dtypes that become float64."""


def as_array(name: str, values: Any) -> NDArray[Any]:
    """Return an array of any dtype, not copied; a tensor may be on any device, bfloat16 too.

    Raises: InputError with the name for rows of several lengths, sparse arrays and masked values.
    """
    if hasattr(values, "toarray"):
        raise InputError(f"{name} must be a dense array, found a sparse one; give {name}.toarray()")
    torch = sys.modules.get("torch")  # no tensor exists before the first import of torch
    if torch is not None and isinstance(values, torch.Tensor):
        if values.layout is not torch.strided:
            raise InputError(
                f"{name} must be a dense tensor, found a sparse one; give {name}.to_dense()"
            )
        values = values.detach().cpu()
        values = (values.float() if values.dtype is torch.bfloat16 else values).numpy()
    if np.ma.is_masked(values):
        raise InputError(f"{name} must have a value everywhere, found masked ones")
    try:
        array: NDArray[Any] = np.asarray(values)
    except ValueError as error:
        raise InputError(f"{name} must have rows of one length, found several lengths") from error
    return array


def as_numbers(name: str, values: Any) -> NDArray[Any]:
    """Return an array of numbers; only one of objects, such as a table of columns, becomes float64.

    Raises: InputError with the name of the argument, and of the column of a table.
    """
    array = as_array(name, values)
    if array.dtype.kind == "O" and not array.ndim:
        raise InputError(f"{name} must be an array of numbers, found {reprlib.repr(values)}")
    if array.dtype.kind == "O":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            found = _column_without_numbers(values) or f"an object: {error}"
            raise InputError(f"{name} must be numeric, found {found}") from error
    if array.dtype.kind == "c":
        raise InputError(
            f"{name} must be real numbers, found dtype {array.dtype}: Complex data not supported"
        )
    if array.dtype.kind not in NUMBERS:
        raise InputError(f"{name} must be numeric, found dtype {array.dtype}")
    return array


def _column_without_numbers(table: Any) -> str:
    """Return the first column of a table of pandas that is not numeric; empty if there is none."""
    if not hasattr(table, "columns"):
        return ""
    for place, column in enumerate(table.columns):
        try:
            np.asarray(table.iloc[:, place]).astype(np.float64)
        except (TypeError, ValueError):
            return f"other values in the column {column!r}; leave it out"
    return ""


def as_matrix(name: str, values: Any, first_row: int = 0) -> NDArray[Any]:
    """Return finite numbers with rows and columns, as `as_numbers` does.

    Args:
        name: of the argument, for messages.
        values: the rows.
        first_row: number of the first of them, for messages.

    Raises: InputError with the name of the argument, the expected and the found value.
    """
    array = as_numbers(name, values)
    if array.ndim != 2:
        raise InputError(f"{name} must have 2 dimensions, found shape {array.shape}")
    if array.shape[1] == 0:
        raise InputError(
            f"{name} must have columns, found 0 feature(s) (shape={array.shape}) while a minimum "
            "of 1 is required; give features"
        )
    if not len(array):
        raise InputError(f"{name} must hold at least one image, found shape {array.shape}")
    _check_finite(name, array, first_row)
    return array


def as_rows(
    name: str, values: ArrayLike, ndim: int, size: int | None = None
) -> NDArray[np.float64]:
    """Return `values` as a finite, contiguous float64 array of `ndim` dimensions and `size` rows.

    Raises: InputError with the name of the argument, the expected and the found shape or value.
    """
    array = as_numbers(name, values)
    with np.errstate(over="ignore"):
        array = np.asarray(array, dtype=np.float64, order="C")
    if array.ndim != ndim:
        raise InputError(f"{name} must have {ndim} dimension(s), found shape {array.shape}")
    if size is not None and len(array) != size:
        raise InputError(f"{name} must have one row per image ({size}), found {len(array)}")
    _check_finite(name, array)
    return array


def _check_finite(name: str, array: NDArray[Any], first_row: int = 0) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        first = first_row + int(np.argwhere(~finite)[0][0])
        raise InputError(
            f"{name} must be finite, found {int((~finite).sum())} NaN or infinite value(s), "
            f"the first in row {first}"
        )


def of_all(name: str, values: ArrayLike | None, size: int) -> NDArray[Any] | None:
    """Return an argument with one row of finite numbers for each image; None stays None.

    Raises: InputError with its name for another number of rows, or other values.
    """
    if values is None:
        return None
    array = as_numbers(name, values)
    if array.ndim == 0 or len(array) != size:
        raise InputError(f"{name} must have one row per image ({size}), found {array.shape}")
    _check_finite(name, array)
    return array
