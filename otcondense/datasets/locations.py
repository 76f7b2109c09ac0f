"""Where the bytes of one image are: a file, a range of bytes in a file, or a cell of a Parquet file.

A location is one string, so that it travels through data sets and logs: an absolute path, a URI, or one of these
before the path or URI of a container: `bytes:OFFSET+SIZE@`, `cell:ROW_GROUP/ROW/COLUMN@`, `features:ROW@`.
"""

import errno
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from otcondense.datasets.records import is_remote
from otcondense.errors import InputError

ROW_GROUPS_KEPT = 2
"""Image columns of row groups that a process keeps, so that rows that lie together are read together."""


def byte_range(path: str, offset: int, size: int) -> str:
    """Return the location of `size` bytes from `offset` on in a file."""
    return f"bytes:{offset}+{size}@{path}"


def parquet_cell(path: str, row_group: int, row: int, column: str) -> str:
    """Return the location of one value; `row` counts within the row group, `column` is a leaf such as `image.bytes`."""
    return f"cell:{row_group}/{row}/{quote(column, safe='.')}@{path}"


def without_image(path: str, row: int) -> str:
    """Return the location of a row that has features and no image."""
    return f"features:{row}@{path}"


def feature_row(location: str) -> tuple[str, int]:
    """Return file and row of a location that `without_image` made."""
    row, path = location.removeprefix("features:").split("@", 1)
    return path, int(row)


def is_local_file(location: str) -> bool:
    """Tell whether a location is a whole file of this machine, to which a link can lead."""
    return not is_remote(location) and location.partition(":")[0] not in _READERS


def read_image_bytes(location: str) -> bytes:
    """Return the bytes of one image.

    Raises: OSError if they cannot be read, InputError if the source has no images.
    """
    kind, _, rest = location.partition(":")
    reader = _READERS.get(kind)
    return _read_file(location) if reader is None else reader(*rest.split("@", 1))


def _read_file(path: str) -> bytes:
    if not is_remote(path):
        return Path(path).read_bytes()
    with fsspec.open(path, "rb") as file:
        return bytes(file.read())


def _read_range(numbers: str, path: str) -> bytes:
    offset, size = map(int, numbers.split("+"))
    if is_remote(path):
        filesystem, inner = fsspec.core.url_to_fs(path)
        data = bytes(filesystem.cat_file(inner, start=offset, end=offset + size))
    else:
        with Path(path).open("rb") as file:
            file.seek(offset)
            data = file.read(size)
    if len(data) != size:
        raise OSError(errno.EIO, f"the file {path} ends before byte {offset + size}")
    return data


def _read_cell(place: str, path: str) -> bytes:
    row_group, row, column = place.split("/", 2)
    changed = 0 if is_remote(path) else Path(path).stat().st_mtime_ns
    try:
        value = _row_group(path, changed, int(row_group), unquote(column))[int(row)].as_py()
    except (pa.ArrowInvalid, IndexError) as error:
        raise OSError(errno.EIO, f"damaged Parquet file: {error}") from error
    return bytes(value or b"")


@lru_cache(maxsize=ROW_GROUPS_KEPT)
def _row_group(path: str, _changed: int, row_group: int, column: str) -> Any:
    """Return one leaf column of a row group; the file's time of change keeps an older content from being used."""
    with fsspec.open(path, "rb") as file:
        values = (
            pq.ParquetFile(file)
            .read_row_group(row_group, columns=[column])
            .column(0)
            .combine_chunks()
        )
    array = values.chunk(0) if isinstance(values, pa.ChunkedArray) else values
    return array.field(column.rsplit(".", 1)[1]) if pa.types.is_struct(array.type) else array


def _refuse(_row: str, path: str) -> bytes:
    raise InputError(
        f"{path} holds features and no images; views of images and training need a source of images"
    )


_READERS: dict[str, Callable[[str, str], bytes]] = {
    "bytes": _read_range,
    "cell": _read_cell,
    "features": _refuse,
}
