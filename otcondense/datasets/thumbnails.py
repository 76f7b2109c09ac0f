"""Thumbnails: small pictures of images of a source, in the shape of each image."""

import io
from collections.abc import Iterator, Sequence

from PIL import Image

from otcondense.datasets.ahead import in_threads
from otcondense.datasets.decoding import UnreadableImageError, decode_reduced
from otcondense.datasets.ordered import Read, reads
from otcondense.datasets.records import SourceConfig
from otcondense.datasets.wanted import WantedImage, unusable_message
from otcondense.errors import InputError

THUMBNAIL_SIDE = 96
"""Largest side in pixels: enough to recognise a photograph, and 4 kB of JPEG."""
SMALLEST_SHOWN = 64
"""Images up to this side are enlarged by whole numbers, so that their pixels can be seen."""
JPEG_QUALITY = 85
"""Of Pillow's scale up to 95."""
REDUCING_GAP = 2.0
"""Pillow first reduces a JPEG file to at least twice the wanted size, which is faster."""
READERS = 4
"""Threads that read and decode images."""
AHEAD = 32
"""Images that are read and decoded before they are needed."""


def thumbnail(data: bytes, *, side: int, max_pixels: int) -> bytes:
    """Return a picture of an image file: PNG where the image is tiny, else JPEG.

    Args:
        data: the bytes of the file.
        side: largest side of the picture in pixels.
        max_pixels: images with more pixels are refused.

    Raises: UnreadableImageError as `decode_reduced` does.
    """
    return _encoded(decode_reduced(data, side=side, max_pixels=max_pixels), side)


def _encoded(image: Image.Image, side: int) -> bytes:
    buffer = io.BytesIO()
    longest = max(image.size)
    if longest <= SMALLEST_SHOWN:
        times = max(1, side // longest)
        size = (image.width * times, image.height * times)
        image.resize(size, Image.Resampling.NEAREST).save(buffer, "PNG")
    else:
        image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)
        image.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def media_type(picture: bytes) -> str:
    """Return the media type of a picture that `thumbnail` made."""
    return "image/png" if picture.startswith(b"\x89PNG") else "image/jpeg"


def thumbnails(
    wanted: Sequence[WantedImage], source: SourceConfig, side: int = THUMBNAIL_SIDE
) -> Iterator[bytes]:
    """Yield the thumbnail of each image, in order, some at a time in memory.

    Raises: InputError naming an image that is missing, unreadable or has changed since the manifest
        was written.
    """

    def made(pair: tuple[WantedImage, Read]) -> bytes:
        image, read = pair
        try:
            return thumbnail(read(), side=side, max_pixels=source.max_pixels)
        except UnreadableImageError as error:
            reason = f"cannot be decoded ({error})"
            raise InputError(unusable_message(image.path, reason)) from error

    pairs = zip(wanted, reads(wanted), strict=True)
    return in_threads(made, pairs, threads=READERS, ahead=AHEAD)
