"""The parts of image files beside their pixels: found without decoding anything.

Texts, profiles and appended films of any size are no reason to refuse an image, and take no memory.
"""

import re
import struct
from collections.abc import Iterator

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
PROFILE = b"iCCP"
ORIENTATION_TEXTS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
"""Keywords of the texts that can say which side is up."""
ORIENTATION_BYTES = 2**16
"""Bytes of such a text, as EXIF has at most; longer ones are left out like all others. Pillow
refuses those that unpack to more than 1 MiB."""
CHUNK_FRAME = 12
"""Bytes of a PNG chunk around its data: length, name and checksum."""
MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""A JPEG marker: the other codes stand for themselves within the pixels of a scan."""
START_OF_SCAN = 0xDA
END_OF_IMAGE = 0xD9
WITHOUT_LENGTH = frozenset({0x01, 0xD8, END_OF_IMAGE})
SCAN = b"\xff\xda"
END = b"\xff\xd9"


def without_texts(data: bytes) -> bytes:
    """Return a PNG file without its texts and its colour profile, other files as they are.

    Their pixels do not depend on these. Pillow unpacks and keeps them, and refuses large ones.
    """
    if not data.startswith(PNG_SIGNATURE):
        return data
    kept = [PNG_SIGNATURE]
    end = len(PNG_SIGNATURE)
    for start, stop in _chunks(data):
        if _is_needed(data, start, stop):
            kept.append(data[start:stop])
        end = stop
    return data if sum(map(len, kept)) == end else b"".join([*kept, data[end:]])


def _chunks(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each whole chunk of a PNG file starts and stops."""
    start = len(PNG_SIGNATURE)
    while start + CHUNK_FRAME <= len(data):
        (length,) = struct.unpack_from(">I", data, start)
        stop = start + CHUNK_FRAME + length
        if stop > len(data):
            return
        yield start, stop
        start = stop


def _is_needed(data: bytes, start: int, stop: int) -> bool:
    name = data[start + 4 : start + 8]
    if name in TEXTS:
        says_orientation = data.startswith(ORIENTATION_TEXTS, start + 8)
        return says_orientation and stop - start <= ORIENTATION_BYTES
    return name != PROFILE


def count_scans(data: bytes) -> int:
    """Return the number of scans of the first image of a JPEG file.

    Embedded thumbnails, and what follows the image, do not count.
    """
    scans = 0
    position = 0
    while (found := MARKER.search(data, position)) is not None:
        code = data[found.start() + 1]
        position = found.end()
        if code == END_OF_IMAGE:
            break
        scans += code == START_OF_SCAN
        if code not in WITHOUT_LENGTH and position + 2 <= len(data):
            (length,) = struct.unpack_from(">H", data, position)
            position += length
    return scans


def is_whole_jpeg(data: bytes) -> bool:
    """Return whether the last scan of a JPEG file is followed by the end of an image."""
    return data.find(END, data.rfind(SCAN)) > 0
