"""The sizes that a Parquet file claims in its footer and its pages, read without Arrow.

pyarrow ends the whole process if a program asks for the metadata of a column that a bit flip has
made inconsistent. Reading the column itself gives an error, so sizes are the only thing that is
read here.

Source: parquet.thrift of the Parquet format.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from otcondense.datasets.thrift_reader import (
    BINARY,
    I32,
    I64,
    LIST,
    STRUCT,
    EndsEarlyError,
    ThriftReader,
)

MAGIC = b"PAR1"
TAIL_BYTES = 8
"""Length of the footer and the magic number, at the end of a file."""
ROW_GROUPS = 4
"""Field of the footer."""
COLUMNS = 1
NUM_ROWS = 3
"""Fields of a row group."""
META_DATA = 3
"""Field of a column of a row group."""
PATH, VALUES, PLAIN, STORED, DATA_START, DICTIONARY_START = 3, 5, 6, 7, 9, 11
"""Fields of its metadata: path in the schema, number of values, bytes without and with compression,
places of the first page of data and of the dictionary."""
STATISTICS, NULL_COUNT = 12, 3
"""Field of its metadata, and the field in it with the number of rows without a value."""
PAGE_PLAIN, PAGE_STORED = 2, 3
"""Fields of the header of a page: its bytes without and with compression."""
HEADER_BYTES = 2**12
"""Bytes that are read for the header of a page at first."""
LONGEST_HEADER = 2**24
"""Bytes of the header of a page at most: it can hold the smallest and the largest value."""


@dataclass(frozen=True)
class Leaf:
    """One column of plain values in one row group."""

    path: str
    """Names from the column down to the values, joined by dots."""
    values: int
    plain_bytes: int
    """Bytes without compression."""
    stored_bytes: int
    """Bytes in the file."""
    start: int
    """Place of its first page in the file."""
    nulls: int | None = None
    """Rows without a value, None if the file does not say."""


@dataclass(frozen=True)
class RowGroup:
    """One row group."""

    rows: int
    leaves: tuple[Leaf, ...]

    def below(self, name: str) -> list[Leaf]:
        """Return the leaves of a column, or the one of this path."""
        start = f"{name}."
        return [leaf for leaf in self.leaves if leaf.path == name or leaf.path.startswith(start)]


def read_row_groups(file: Any) -> list[RowGroup]:
    """Return the row groups of an open Parquet file.

    Raises: ValueError for a damaged footer.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - TAIL_BYTES))
    tail = file.read(TAIL_BYTES)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or length > size - TAIL_BYTES:
        raise ValueError("it has no footer")
    file.seek(size - TAIL_BYTES - length)
    return list(_row_groups(ThriftReader(file.read(length))))


def _row_groups(reader: ThriftReader) -> Iterator[RowGroup]:
    for field, kind in reader.fields():
        if field == ROW_GROUPS and kind == LIST:
            for _ in reader.entries(STRUCT):
                yield _row_group(reader)
        else:
            reader.skip(kind)


def _row_group(reader: ThriftReader) -> RowGroup:
    leaves: list[Leaf] = []
    rows = 0
    for field, kind in reader.fields():
        if field == COLUMNS and kind == LIST:
            leaves += [_leaf(reader) for _ in reader.entries(STRUCT)]
        elif field == NUM_ROWS and kind == I64:
            rows = reader.count()
        else:
            reader.skip(kind)
    return RowGroup(rows, tuple(leaves))


def _leaf(reader: ThriftReader) -> Leaf:
    path = ""
    nulls: int | None = None
    numbers = dict.fromkeys((VALUES, PLAIN, STORED, DATA_START, DICTIONARY_START), 0)
    for outer, kind in reader.fields():
        if outer != META_DATA or kind != STRUCT:
            reader.skip(kind)
            continue
        for field, inner in reader.fields():
            if field == PATH and inner == LIST:
                path = ".".join(reader.text() for _ in reader.entries(BINARY))
            elif field in numbers and inner == I64:
                numbers[field] = reader.count()
            elif field == STATISTICS and inner == STRUCT:
                nulls = _null_count(reader)
            else:
                reader.skip(inner)
    # Some writers state no place for a dictionary that is there, some state 0 for none.
    start = min(filter(None, (numbers[DICTIONARY_START], numbers[DATA_START])), default=0)
    return Leaf(path, numbers[VALUES], numbers[PLAIN], numbers[STORED], start, nulls)


def _null_count(reader: ThriftReader) -> int | None:
    nulls: int | None = None
    for field, kind in reader.fields():
        if field == NULL_COUNT and kind == I64:
            nulls = reader.count()
        else:
            reader.skip(kind)
    return nulls


def page_bytes(file: Any, leaf: Leaf) -> int:
    """Return the bytes that the pages of a leaf claim to become, by their own headers.

    Only the headers are read.

    Raises: ValueError for a damaged header.
    """
    total = 0
    place = leaf.start
    while place < leaf.start + leaf.stored_bytes:
        header = _page_header(file, place)
        total += header.plain
        place += header.length + header.stored
    return total


@dataclass(frozen=True)
class _PageHeader:
    length: int
    """Bytes of the header itself."""
    plain: int
    stored: int


def _page_header(file: Any, place: int) -> _PageHeader:
    """Read the header of a page, whose length is not known before."""
    size = HEADER_BYTES
    while True:
        file.seek(place)
        data = file.read(size)
        try:
            return _parsed_header(ThriftReader(data))
        except EndsEarlyError:
            if len(data) < size or size >= LONGEST_HEADER:
                raise
            size *= 16


def _parsed_header(reader: ThriftReader) -> _PageHeader:
    numbers = {PAGE_PLAIN: 0, PAGE_STORED: 0}
    for field, kind in reader.fields():
        if field in numbers and kind == I32:
            numbers[field] = reader.count()
        else:
            reader.skip(kind)
    return _PageHeader(reader.place, numbers[PAGE_PLAIN], numbers[PAGE_STORED])
