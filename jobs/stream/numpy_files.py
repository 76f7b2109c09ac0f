"""Files of NumPy as parts of a stream."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jobs.stream.parts import FEATURES, KINDS, Columns, Part, rows_of_a_part
from otcondense import npy, npz
from otcondense.errors import InputError
from otcondense.reading import open_regular


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
    """Yield the rows of an array in C order; only some are in memory at a time."""
    count, width = header.shape
    row_bytes = header.dtype.itemsize * width
    step = rows_of_a_part(row_bytes)
    for row in range(start, count, step):
        rows = min(count - row, step)
        file.seek(first + row * row_bytes)
        part = npy.Header((rows, width), header.dtype, is_fortran=False)
        yield Part(row, npy.read_array(file, part))


def npz_parts(path: str, start: int, columns: Columns) -> Iterator[Part]:
    """Yield the rows of a .npz file from row `start` on; its arrays are read whole.

    Raises: InputError if it is damaged, has no features, or arrays of other lengths.
    """
    with npz.opened(path) as archive:
        used = columns.of(path, npz.names_of(archive))
        arrays = {kind: npz.read_member(path, archive, name) for kind, name in used.items()}
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
        yield Part(row, features[rows], **named)


def _check_form(where: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or dtype.kind not in "fiub":
        raise InputError(
            f"{where} must be numbers [n, d], found {dtype} {list(shape)}; "
            "give a row of numbers for each image"
        )
