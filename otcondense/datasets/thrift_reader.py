"""Values in the compact protocol of Thrift, in which Parquet writes its footer.

Source: thrift-compact-protocol.md of Apache Thrift.
"""

from collections.abc import Iterator

STOP, TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(13)
"""Types of the compact protocol."""
DOUBLE_BYTES = 8
LONG_LIST = 15
"""A list of so many entries or more has its length after the header."""
DEEPEST = 32
"""Structures inside each other; the format has nine."""
LONGEST_NUMBER = 70
"""Bits of a variable-length number, with room for the last byte."""


class EndsEarlyError(ValueError):
    """The data end in the middle of a value."""

    def __init__(self) -> None:
        super().__init__("its footer or a page ends too early")


class ThriftReader:
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
        try:
            value, self.place = _number(self._data, self.place)
        except IndexError as error:
            raise EndsEarlyError from error
        return value

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

    def skip(self, kind: int) -> None:
        """Pass over a value."""
        try:
            place = _after(self._data, self.place, kind, 0)
        except IndexError as error:
            raise EndsEarlyError from error
        if place > len(self._data):
            raise EndsEarlyError
        self.place = place


# Most of a footer is passed over, and listing takes as long as that: so these functions take places
# and make no calls for the most frequent types.


def _after(data: bytes, place: int, kind: int, depth: int) -> int:
    """Return the place after a value; IndexError or a place behind the end if it ends early."""
    if depth > DEEPEST:
        raise ValueError("its footer is nested too deeply")
    if kind == STRUCT:
        while (head := data[place]) & 0x0F != STOP:
            place = _after_number(data, place + 1) if not head >> 4 else place + 1
            place = _after(data, place, head & 0x0F, depth + 1)
        return place + 1
    if kind in (I16, I32, I64):
        while data[place] >= 0x80:
            place += 1
        return place + 1
    if kind == BINARY:
        length, place = _number(data, place)
        return place + length
    if kind in (LIST, SET):
        return _after_list(data, place, depth)
    if kind == MAP:
        return _after_map(data, place, depth)
    if kind in (BYTE, DOUBLE):
        return place + (1 if kind == BYTE else DOUBLE_BYTES)
    if kind in (TRUE, FALSE):
        return place
    raise ValueError(f"its footer holds a value of the unknown type {kind}")


def _number(data: bytes, place: int) -> tuple[int, int]:
    """Return an unsigned number and the place after it."""
    value = 0
    for shift in range(0, LONGEST_NUMBER, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("its footer holds a number without an end")


def _after_number(data: bytes, place: int) -> int:
    return _number(data, place)[1]


def _after_list(data: bytes, place: int, depth: int) -> int:
    head = data[place]
    length, kind = head >> 4, head & 0x0F
    place += 1
    if length == LONG_LIST:
        length, place = _number(data, place)
    return _after_entries(data, place, length, (kind,), depth)


def _after_map(data: bytes, place: int, depth: int) -> int:
    length, place = _number(data, place)
    if not length:
        return place
    kinds = data[place]
    return _after_entries(data, place + 1, length, (kinds >> 4, kinds & 0x0F), depth)


def _after_entries(data: bytes, place: int, length: int, kinds: tuple[int, ...], depth: int) -> int:
    """Return the place after the entries of a list, or the keys and values of a map."""
    if length > len(data) - place:
        raise EndsEarlyError
    for _ in range(length):
        for kind in kinds:
            # An entry that is true or false takes a byte; as a field it takes none.
            place = _after(data, place, BYTE if kind in (TRUE, FALSE) else kind, depth + 1)
            if place > len(data):
                raise EndsEarlyError
    return place
