"""Images of kilobytes that would take gigabytes or minutes to decode."""

import io
import struct

import pytest
from PIL import Image

from otcondense.datasets import UnreadableImageError
from otcondense.datasets.decoding import TILE_LENGTH, TILE_WIDTH, decode_image, decode_reduced
from tests.unit.fuzz.limits import little


def jpeg(side: int, *, progressive: bool) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (side, side), (9, 99, 199)).save(sink, "JPEG", progressive=progressive)
    return sink.getvalue()


def test_a_thumbnail_of_a_large_photograph_takes_little_memory() -> None:
    data = jpeg(9000, progressive=False)
    with little():
        assert max(decode_reduced(data, side=96, max_pixels=10**8).size) < 2000


@pytest.mark.parametrize("form", ["progressive", "PNG"])
def test_a_thumbnail_that_would_take_much_memory_is_refused(form: str) -> None:
    data = jpeg(5000, progressive=True)
    if form == "PNG":
        sink = io.BytesIO()
        Image.new("L", (5000, 5000)).save(sink, "PNG")
        data = sink.getvalue()
    with little(), pytest.raises(UnreadableImageError, match="5000x5000 pixels, more than"):
        decode_reduced(data, side=96, max_pixels=10**8)


def test_a_tiff_with_huge_tiles_is_refused() -> None:
    width, height, bits, compression, colours, samples = 256, 257, 258, 259, 262, 277
    tags = {width: 16, height: 16, bits: 8, compression: 8, colours: 1, samples: 1}
    tags |= {TILE_WIDTH: 40_000, TILE_LENGTH: 40_000, 324: 8, 325: 4}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    data = b"II*\0" + struct.pack("<II", 12, 0) + struct.pack("<H", len(tags)) + entries + b"\0" * 4
    with little(), pytest.raises(UnreadableImageError, match="40000x40000 pixels"):
        decode_image(data, channels=1, max_pixels=10**6)


def test_a_jpeg_with_thousands_of_scans_is_refused() -> None:
    """Each scan goes over the whole image: kilobytes would take minutes."""
    data = jpeg(4000, progressive=True)
    last = data.rindex(b"\xff\xda")
    data = data[:-2] + data[last:-2] * 1000 + data[-2:]
    with little(), pytest.raises(UnreadableImageError, match="scans, more than 200"):
        decode_image(data, channels=3, max_pixels=10**8)
