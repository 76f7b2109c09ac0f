"""The sizes that a Parquet file claims in its footer and its pages, read without Arrow.

pyarrow ends the whole process if a program asks for the metadata of a column that a bit flip has
made inconsistent. Reading the column itself gives an error, so sizes are the only thing that is
read here.

Source: parquet.thrift of the Parquet format, and the compact protocol of Thrift.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAGIC = b"PAR1"
TAIL_BYTES = 8
"""Length of the footer and the magic number, at the end of a file."""
STOP, TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(13)
"""Types of the compact protocol."""
DOUBLE_BYTES = 8
LONG_LIST = 15
"""A list of so many entries or more has its length after the header."""
DEEPEST = 32
"""Structures inside each other; the format has nine."""
LONGEST_NUMBER = 70
"""Bits of a variable-length number, with room for the last byte."""
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
    return list(_row_groups(_Reader(file.read(length))))


def _row_groups(reader: "_Reader") -> Iterator[RowGroup]:
    for field, kind in reader.fields():
        if field == ROW_GROUPS and kind == LIST:
            for _ in reader.entries(STRUCT):
                yield _row_group(reader)
        else:
            reader.skip(kind)


def _row_group(reader: "_Reader") -> RowGroup:
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


def _leaf(reader: "_Reader") -> Leaf:
    path = ""
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
            else:
                reader.skip(inner)
    # Some writers state no place for a dictionary that is there, some state 0 for none.
    start = min(filter(None, (numbers[DICTIONARY_START], numbers[DATA_START])), default=0)
    return Leaf(path, numbers[VALUES], numbers[PLAIN], numbers[STORED], start)


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
            return _parsed_header(_Reader(data))
        except EndsEarlyError:
            if len(data) < size or size >= LONGEST_HEADER:
                raise
            size *= 16


def _parsed_header(reader: "_Reader") -> _PageHeader:
    numbers = {PAGE_PLAIN: 0, PAGE_STORED: 0}
    for field, kind in reader.fields():
        if field in numbers and kind == I32:
            numbers[field] = reader.count()
        else:
            reader.skip(kind)
    return _PageHeader(reader.place, numbers[PAGE_PLAIN], numbers[PAGE_STORED])


class EndsEarlyError(ValueError):
    """The data end in the middle of a value."""

    def __init__(self) -> None:
        super().__init__("its footer or a page ends too early")


class _Reader:
    """Reads values of the compact protocol one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.place = 0
        """Place of the next byte."""

    def _byte(self) -> int:
        if self.place >= len(self._data):
            raise EndsEarlyError
        self.place += 1
        return self._data[self.place - 1]

    def _unsigned(self) -> int:
        value = 0
        for shift in range(0, LONGEST_NUMBER, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("its footer holds a number without an end")

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)

    def _jump(self, count: int) -> None:
        if count > len(self._data) - self.place:
            raise EndsEarlyError
        self.place += count

    def count(self) -> int:
        """Return the next number, which must not be negative."""
        value = self._signed()
        if value < 0:
            raise ValueError(f"its footer claims {value} rows or bytes")
        return value

    def text(self) -> str:
        """Return the next string."""
        length = self._unsigned()
        start = self.place
        self._jump(length)
        return self._data[start : self.place].decode()

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield number and type of each field of a structure; the caller reads or skips it."""
        number = 0
        while (head := self._byte()) & 0x0F != STOP:
            delta = head >> 4
            number = number + delta if delta else self._signed()
            yield number, head & 0x0F

    def entries(self, expected: int) -> Iterator[int]:
        """Yield the position of each entry of a list; the caller reads it.

        Raises: ValueError for entries of another type.
        """
        head = self._byte()
        length = head >> 4
        if length == LONG_LIST:
            length = self._unsigned()
        if length and head & 0x0F != expected:
            raise ValueError("its footer holds values of another type")
        if length > len(self._data) - self.place:
            raise EndsEarlyError
        yield from range(length)

    def skip(self, kind: int, depth: int = 0) -> None:
        """Pass over a value."""
        if depth > DEEPEST:
            raise ValueError("its footer is nested too deeply")
        if kind in (BYTE,):
            self._jump(1)
        elif kind in (I16, I32, I64):
            self._unsigned()
        elif kind == DOUBLE:
            self._jump(DOUBLE_BYTES)
        elif kind == BINARY:
            self._jump(self._unsigned())
        elif kind in (LIST, SET):
            self._skip_list(depth)
        elif kind == MAP:
            self._skip_map(depth)
        elif kind == STRUCT:
            for _, inner in self.fields():
                self.skip(inner, depth + 1)
        elif kind not in (TRUE, FALSE):
            raise ValueError(f"its footer holds a value of the unknown type {kind}")

    def _skip_list(self, depth: int) -> None:
        kind = self._data[self.place] & 0x0F if self.place < len(self._data) else STOP
        for _ in self.entries(kind):
            # An entry of a list that is true or false takes a byte; as a field it takes none.
            self.skip(BYTE if kind in (TRUE, FALSE) else kind, depth + 1)

    def _skip_map(self, depth: int) -> None:
        length = self._unsigned()
        if length > len(self._data) - self.place:
            raise EndsEarlyError
        kinds = self._byte() if length else 0
        for _ in range(length):
            for kind in (kinds >> 4, kinds & 0x0F):
                self.skip(BYTE if kind in (TRUE, FALSE) else kind, depth + 1)
