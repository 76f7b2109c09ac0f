"""Images in a column of a Parquet file, read a window of rows at a time.

The rows of a class follow each other in most files. So the window moves on with them, and a row
group is read once, however large it is. A row before the window starts its row group again.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa

from otcondense.datasets.access import IMAGE_BYTES
from otcondense.datasets.kinds import SOURCES
from otcondense.datasets.parquet_open import open_parquet
from otcondense.datasets.records import is_remote
from otcondense.reading import check_size

ROW_GROUPS_KEPT = 2
"""Row groups whose windows a process keeps, so that neighbouring rows are read together."""
WINDOW_BYTES = 2**30
"""Bytes of the images of a window: most row groups fit, and are read once whatever their order."""
BATCH_BYTES = 2**25
"""Bytes of the images that are decompressed together."""
MOST_BATCH_ROWS = 1024
"""Rows that are decompressed together at most."""


def cell(path: str, row_group: int, row: int, column: str) -> str:
    """Return the location of one value.

    Args:
        path: the Parquet file.
        row_group: number of the row group.
        row: row within the row group.
        column: a leaf such as `image.bytes`.
    """
    reader = SOURCES["parquet"].reader
    assert reader is not None
    return f"{reader.prefix}:{row_group}/{row}/{quote(column, safe='.')}@{path}"


def read_cell(place: str, path: str) -> bytes:
    """Return the bytes of one image.

    Raises: OSError if the file cannot be read or is damaged.
    """
    row_group, row, column = place.split("/", 2)
    changed = 0 if is_remote(path) else Path(path).stat().st_mtime_ns
    try:
        window = _window(path, changed, int(row_group), unquote(column), os.getpid())
        value = window.value(int(row))
    except (pa.ArrowException, LookupError, ValueError) as error:
        raise OSError(errno.EIO, f"damaged Parquet file: {error}") from error
    check_size(f"an image in {path}", value.as_buffer().size if value.is_valid else 0, IMAGE_BYTES)
    return bytes(value.as_py() or b"")


@lru_cache(maxsize=ROW_GROUPS_KEPT)
def _window(path: str, _changed: int, row_group: int, column: str, _process: int) -> "_Window":
    """Return the window on one leaf column of a row group.

    `_changed` is the file's time of change: the content of an earlier file is not used again. A
    process that was forked, such as a worker of a DataLoader, opens the file again: it would share
    the place in the open file with the others.
    """
    return _Window(path, row_group, column)


class _Window:
    """The latest rows of one leaf column of a row group."""

    def __init__(self, path: str, row_group: int, column: str) -> None:
        self._path = path
        self._row_group = row_group
        self._column = column
        self._lock = Lock()
        self._open = ExitStack()
        self._restart()

    def _restart(self) -> None:
        self._open.close()
        self._open = ExitStack()
        self._kept: list[pa.Array] = []
        self._first = 0
        """Row of the first value kept."""
        self._batches: Iterator[Any] = self._read()

    def _read(self) -> Iterator[Any]:
        source = self._open.enter_context(open_parquet(self._path))
        source.check(self._column, [self._row_group])
        group = source.groups[self._row_group]
        (leaf,) = group.below(self._column)
        mean = max(1, leaf.plain_bytes // max(1, group.rows))
        rows = min(MOST_BATCH_ROWS, max(1, BATCH_BYTES // mean))
        yield from source.file.iter_batches(
            batch_size=rows, row_groups=[self._row_group], columns=[self._column]
        )

    def value(self, row: int) -> Any:
        """Return the value of one row.

        Raises: IndexError if there is none; errors of Arrow for a damaged file.
        """
        with self._lock:
            if row < self._first:
                self._restart()
            while row >= self._first + sum(map(len, self._kept)):
                self._advance()
            position = row - self._first
            for part in self._kept:
                if position < len(part):
                    return _plain_value(part, position)
                position -= len(part)
            raise AssertionError("the row is in the window")

    def _advance(self) -> None:
        """Read the next rows, and forget the first ones if the window is full."""
        batch = next(self._batches, None)
        if batch is None:
            raise IndexError(f"row group {self._row_group} has fewer rows")
        part = batch.column(0)
        if pa.types.is_struct(part.type):
            part = part.field(0)
        self._kept.append(part)
        while len(self._kept) > 1 and sum(each.nbytes for each in self._kept) > WINDOW_BYTES:
            self._first += len(self._kept.pop(0))


def _plain_value(part: pa.Array, position: int) -> Any:
    """Return one value of a column that may be a dictionary."""
    value = part[position]
    return value.value if isinstance(value, pa.DictionaryScalar) else value
