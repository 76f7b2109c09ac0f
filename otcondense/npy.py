"""Files in NumPy's format .npy: the header is read and checked before memory is taken."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from otcondense.errors import InputError

FORMAT_1 = (1, 0)
"""Version of the format with short headers."""
FIRST_SURROGATE = 0xD800
LAST_SURROGATE = 0xDFFF
LAST_CHARACTER = 0x10FFFF
"""Of Unicode."""
PLAIN_KINDS = frozenset("biufSU")
"""Kinds of dtypes that are numbers or text; others are pickled, or have parts."""


class Header:
    """Shape and type of the array in a file."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], *, is_fortran: bool) -> None:
        self.shape = shape
        self.dtype = dtype
        self.is_fortran = is_fortran

    @property
    def size_bytes(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def text(self) -> str:
        """Type and shape in words."""
        return f"{self.dtype} {list(self.shape)}"


def read_header(file: Any) -> Header:
    """Read the header of an open .npy file, up to its data.

    Raises: ValueError for a damaged header, and for an array of objects, rows without bytes or a
        structure.
    """
    try:
        if np.lib.format.read_magic(file) == FORMAT_1:
            shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, is_fortran, dtype = np.lib.format.read_array_header_2_0(file)
    except ValueError:
        raise
    except Exception as error:  # a header is Python source, whose parser raises errors of all types
        raise ValueError(f"its header is damaged: {type(error).__name__}") from error
    if dtype.kind not in PLAIN_KINDS:
        raise ValueError(f"it holds {dtype}, not plain numbers or text")
    if dtype.itemsize == 0 or 0 in shape[1:] or min(shape, default=1) < 0:
        raise ValueError(f"its rows have no bytes: {dtype} {list(shape)}")
    return Header(shape, dtype, is_fortran=is_fortran)


def write_header(file: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Write the header of an array in C order, whose data follow in parts."""
    descr = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def read_array(file: Any, header: Header) -> np.ndarray:
    """Return the array whose header was read.

    The caller has checked that it is not too large.

    Raises: ValueError if the file ends before it.
    """
    data = np.empty(header.size_bytes, np.uint8)
    view = data.data
    filled = 0
    while filled < len(data):
        count = file.readinto(view[filled:])
        if not count:
            raise ValueError(f"it ends after {filled} bytes of {header.text}")
        filled += count
    flat = data.view(header.dtype)
    return flat.reshape(header.shape, order="F" if header.is_fortran else "C")


def plain_values(array: np.ndarray) -> list[Any]:
    """Return the numbers or texts of an array [n] as Python values.

    Raises: ValueError for text that is not valid Unicode, which numpy does not check.
    """
    if array.dtype.kind == "U":
        points = np.ascontiguousarray(array).view(f"{array.dtype.byteorder}u4")
        is_surrogate = (points >= FIRST_SURROGATE) & (points <= LAST_SURROGATE)
        if (is_surrogate | (points > LAST_CHARACTER)).any():
            raise ValueError("its texts are not valid Unicode")
    return list(array.tolist())


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Turn the errors of a damaged file into one that names it.

    Raises: InputError.
    """
    try:
        yield
    except InputError:
        raise
    except (ValueError, EOFError) as error:
        raise InputError(
            f"{path} is not a readable array of plain numbers or text ({error}); "
            "write such an array with numpy.save"
        ) from error
