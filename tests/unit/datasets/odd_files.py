"""Odd image files, made byte by byte where Pillow cannot write them."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

CLEAR_AND_SOLID = Image.fromarray(
    np.array([[[200, 0, 0, 0], [0, 100, 200, 255]]], dtype=np.uint8).repeat(16, 0).repeat(8, 1)
)
"""16 x 16 pixels: the left half is transparent, the right one is blue."""
LOSSLESS = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """Return the bytes of an image file."""
    sink = io.BytesIO()
    image.save(sink, form, **(LOSSLESS.get(form, {}) | options))
    return sink.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum


def png(
    rows: list[bytes], *, width: int, bits: int, colours: int, extra: tuple[bytes, ...] = ()
) -> bytes:
    """Return a PNG file with more chunks before its pixels."""
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colours, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def tiff(levels: bytes, *, width: int, bits: int, kind: int = 1, photometric: int = 1) -> bytes:
    """Return a TIFF file of one row of grey levels, little endian.

    `kind` is 1 for unsigned, 2 for signed, 3 for floating-point; `photometric` 0 if 0 is white.
    """
    tags = {256: width, 257: 1, 258: bits, 259: 1, 262: photometric, 277: 1, 278: 1, 339: kind}
    offset = 8 + 2 + 12 * (len(tags) + 2) + 4
    tags |= {273: offset, 279: len(levels)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0" * 4 + levels


def with_comment(gif: bytes, comment: bytes) -> bytes:
    """Return a GIF file with a comment before its picture."""
    blocks = b""
    for start in range(0, len(comment), 255):
        part = comment[start : start + 255]
        blocks += bytes([len(part)]) + part
    start = gif.index(b"\x2c", 13 + 3 * 256)  # after the colours
    return gif[:start] + b"\x21\xfe" + blocks + b"\0" + gif[start:]


def with_segments(jpeg: bytes, code: int, payload: bytes) -> bytes:
    """Return a JPEG file with segments of up to 64 KiB that hold `payload`."""
    segments = b""
    for start in range(0, len(payload), 65_000):
        part = payload[start : start + 65_000]
        segments += bytes([0xFF, code]) + struct.pack(">H", len(part) + 2) + part
    return jpeg[:2] + segments + jpeg[2:]
