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
        # Footers are mostly such numbers: one loop without calls makes listing twice as fast.
        data, place, value = self._data, self.place, 0
        for shift in range(0, LONGEST_NUMBER, 7):
            if place >= len(data):
                raise EndsEarlyError
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                self.place = place
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
        if kind in (I16, I32, I64):
            self._unsigned()
        elif kind == BINARY:
            self._jump(self._unsigned())
        elif depth > DEEPEST:
            raise ValueError("its footer is nested too deeply")
        elif kind == STRUCT:
            for _, inner in self.fields():
                self.skip(inner, depth + 1)
        elif kind in (LIST, SET):
            self._skip_list(depth)
        elif kind in (BYTE, DOUBLE):
            self._jump(1 if kind == BYTE else DOUBLE_BYTES)
        elif kind == MAP:
            self._skip_map(depth)
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
