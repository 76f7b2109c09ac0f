"""Some rows of arrays in .npy files, here or in a store."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from otcondense import npy
from otcondense.datasets.access import open_file
from otcondense.datasets.records import is_remote


def header_of(path: str) -> npy.Header:
    """Return the header of a .npy file.

    Raises: InputError as `loaded`.
    """
    with npy.readable(path), open_file(path) as file:
        return _checked_header(file)


def _checked_header(file: Any) -> npy.Header:
    """Read the header of an open file, up to its data.

    Raises: ValueError if it claims more than the file holds.
    """
    header = npy.read_header(file)
    start = file.tell()
    file.seek(0, 2)
    if start + header.size_bytes > file.tell():
        raise ValueError(f"it claims {header.text} and has {file.tell()} bytes")
    file.seek(start)
    return header


@contextmanager
def loaded(path: str) -> Iterator[np.ndarray]:
    """Give a .npy file as an array: mapped if it is local, else read whole.

    Raises: InputError for a damaged file, one that claims more than it holds, and for pickled
        objects, which are never loaded.
    """
    with npy.readable(path):
        with open_file(path) as file:
            header = _checked_header(file)
            if is_remote(path):
                array = npy.read_array(file, header)
            else:
                array = np.lib.format.open_memmap(path, mode="r")
        yield array


def npy_rows(path: str, rows: Int64[np.ndarray, " n"]) -> Float32[np.ndarray, "n d"]:
    """Return some rows of an array [m, d] in a .npy file, in the order given.

    A local file is mapped. Of one in a store, the rows between the first and the last are read too.

    Raises: InputError as `loaded`.
    """
    if not is_remote(path):
        with loaded(path) as array:
            return np.asarray(array[rows], dtype=np.float32)
    with npy.readable(path), open_file(path) as file:
        header = _checked_header(file)
        if header.is_fortran:
            return np.asarray(npy.read_array(file, header)[rows], dtype=np.float32)
        first = int(rows.min())
        count, length = int(rows.max()) + 1 - first, header.shape[1]
        file.seek(first * length * header.dtype.itemsize, 1)
        part = npy.Header((count, length), header.dtype, is_fortran=False)
        return np.asarray(npy.read_array(file, part)[rows - first], dtype=np.float32)
