"""Files of NumPy as parts of a stream."""

import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from jobs.stream.parts import FEATURES, KINDS, Columns, Part, rows_of_a_part
from otcondense import npy
from otcondense.errors import InputError
from otcondense.reading import DAMAGED_ARCHIVE, check_size, open_regular

MEMBER = ".npy"
"""Suffix of an array in an .npz file."""
EXPANSION = 100
"""Bytes of an array that a byte of an .npz file may stand for; zeros could be a thousand."""
FLOOR = 2**26
"""Bytes that any array may have."""


def npy_parts(path: str, start: int, columns: Columns) -> Iterator[Part]:
    """Yield the rows of a .npy file [n, d] from row `start` on.

    Raises: InputError if it is damaged or shorter than it says.
    """
    columns.of(path, [FEATURES])
    with open_regular(path) as file, npy.readable(path):
        header = npy.read_header(file)
        first = file.tell()
        held = file.seek(0, 2) - first
        if header.size_bytes > held:
            raise ValueError(f"it claims {header.text} and has {held} bytes")
        _check_form(f"{FEATURES} in {path}", header.dtype, header.shape)
        file.seek(first)
        if header.is_fortran:
            yield from _cut({FEATURES: npy.read_array(file, header)}, start)
        else:
            yield from _read(file, first, header, start)


def _read(file: Any, first: int, header: npy.Header, start: int) -> Iterator[Part]:
    """Yield the rows of an array in C order, of which only a part is in memory."""
    count, width = header.shape
    row_bytes = header.dtype.itemsize * width
    step = rows_of_a_part(row_bytes)
    for row in range(start, count, step):
        rows = min(count - row, step)
        file.seek(first + row * row_bytes)
        part = npy.Header((rows, width), header.dtype, is_fortran=False)
        yield Part(npy.read_array(file, part))


def npz_parts(path: str, start: int, columns: Columns) -> Iterator[Part]:
    """Yield the rows of a .npz file from row `start` on; its arrays are read whole.

    Raises: InputError if it is damaged, has no features, or arrays of other lengths.
    """
    with _archive(path) as archive:
        names = [name.removesuffix(MEMBER) for name in archive.namelist() if MEMBER in name]
        used = columns.of(path, names)
        arrays = {kind: _member(path, archive, name) for kind, name in used.items()}
    features = arrays[FEATURES]
    _check_form(f"{FEATURES} in {path}", features.dtype, features.shape)
    for kind in KINDS:
        if kind in arrays and arrays[kind].shape != features.shape[:1]:
            raise InputError(
                f"{kind} in {path} must have a value for each of {len(features)} rows, found "
                f"{list(arrays[kind].shape)}"
            )
    with npy.readable(path):
        yield from _cut(arrays, start)


def _cut(arrays: dict[str, np.ndarray], start: int) -> Iterator[Part]:
    features = arrays[FEATURES]
    step = rows_of_a_part(features.dtype.itemsize * features.shape[1])
    for row in range(start, len(features), step):
        rows = slice(row, row + step)
        named = {kind: npy.plain_values(arrays[kind][rows]) for kind in KINDS if kind in arrays}
        yield Part(features[rows], **named)


@contextmanager
def _archive(path: str) -> Iterator[zipfile.ZipFile]:
    with open_regular(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except (*DAMAGED_ARCHIVE, ValueError, struct.error) as error:
            raise InputError(
                f"{path} is not a readable .npz file ({error}); write it again with numpy.savez"
            ) from error
        with archive:
            yield archive


def _member(path: str, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with npy.readable(path):
        info = archive.getinfo(f"{name}{MEMBER}")
        try:
            with archive.open(info) as file:
                header = npy.read_header(file)
                allowed = max(EXPANSION * info.compress_size, FLOOR)
                check_size(f"{name} in {path}", header.size_bytes, allowed)
                return npy.read_array(file, header)
        except DAMAGED_ARCHIVE as error:
            raise ValueError(str(error) or type(error).__name__) from error


def _check_form(where: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or dtype.kind not in "fiub":
        raise InputError(
            f"{where} must be numbers [n, d], found {dtype} {list(shape)}; "
            "give a row of numbers for each image"
        )
