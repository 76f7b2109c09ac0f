"""The headers of an Arrow stream, read before Arrow takes memory for its content."""

import struct
from collections.abc import Iterator

import pyarrow as pa

HEADER = 2
"""Number of the field of a message that holds its header."""
DICTIONARY_DATA = 1
"""Number of the field of a dictionary that holds its values, as a batch."""
COMPRESSION = 3
"""Number of the field of a batch that says how it is compressed."""


def compressed_messages(buffer: pa.Buffer) -> Iterator[int]:
    """Yield the number of every message of a stream whose content is compressed.

    A few compressed bytes can claim to become any number of bytes.

    Raises: pyarrow's errors, ValueError or struct.error for a damaged stream.
    Source: Message.fbs and Schema.fbs of Arrow's format, and FlatBuffers' layout of tables.
    """
    for number, message in enumerate(pa.ipc.MessageReader.open_stream(buffer)):
        data = message.metadata.to_pybytes()
        place = {"record batch": (HEADER,), "dictionary": (HEADER, DICTIONARY_DATA)}
        if message.type in place and _has_field(data, place[message.type], COMPRESSION):
            yield number


def _has_field(data: bytes, way: tuple[int, ...], field: int) -> bool:
    """Tell whether the table at the end of a way of fields has one more field."""
    table = _unsigned(data, 0)
    for step in way:
        place = _field(data, table, step)
        if place is None:
            return False
        table = place + _unsigned(data, place)
    return _field(data, table, field) is not None


def _field(data: bytes, table: int, number: int) -> int | None:
    """Return the place of a field of a table, None if the table does not have it."""
    layout = table - struct.unpack_from("<i", data, table)[0]
    entry = 4 + 2 * number
    if entry >= struct.unpack_from("<H", data, layout)[0]:
        return None
    offset = struct.unpack_from("<H", data, layout + entry)[0]
    return table + offset if offset else None


def _unsigned(data: bytes, place: int) -> int:
    return int(struct.unpack_from("<I", data, place)[0])
