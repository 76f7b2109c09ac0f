"""From the bytes of an image file to pixels, or to the reason why it cannot be decoded.

This is the only place that opens images, so that no file reaches a decoder that is not listed here.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from PIL import Image, ImageFile, UnidentifiedImageError

from otcondense.datasets.colours import converted
from otcondense.datasets.metadata import SCAN, count_scans, without_texts
from otcondense.datasets.unreadable import UnreadableImageError

__all__ = [
    "FORMATS",
    "JPEG",
    "UnreadableImageError",
    "center_crop",
    "converted",
    "decode_image",
    "decode_reduced",
    "opened",
]

FORMATS: tuple[str, ...] = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that are decoded: photographs and drawings of data sets.

Each says its size before any pixel is decoded, and is decoded in this process. Other formats of
Pillow do not: EPS starts Ghostscript, and ICO and ICNS decode an image inside to learn its size.
"""
if find_spec("PIL.AvifImagePlugin"):
    FORMATS = ("AVIF", *FORMATS)
JPEG = ("JPEG", "MPO")
"""Pillow's names of JPEG files, with one picture and with several; the first is taken."""
MOST_SCANS = 200
"""Scans of a JPEG file. A progressive one has about ten; each goes over the whole image, and a
hundred bytes are enough for one."""
PREFIX_BYTES = 16
"""First bytes of a file, by which Pillow recognises a format."""
TILE_WIDTH = 322
TILE_LENGTH = 323
"""Tags of a TIFF file whose tiles can be larger than its image."""
REDUCED_PIXELS = 2**24
"""Largest image that is decoded for a thumbnail: 64 MiB as Pillow stores it."""


def decode_image(data: bytes, *, channels: int, max_pixels: int) -> Image.Image:
    """Decode an image of a format in `FORMATS`, upright, with 8 bits a channel: grey or RGB.

    CMYK, palette and 16-bit images are converted, transparent pixels lie on white, EXIF orientation
    is applied; of an animation, the first frame is taken. `channels` is 1 for grey, 3 for RGB.

    Raises: UnreadableImageError with the reason, also for images of more than `max_pixels`.
    """
    assert channels in (1, 3)
    with opened(data, max_pixels) as image:
        return converted(image, "L" if channels == 1 else "RGB")


def decode_reduced(data: bytes, *, side: int, max_pixels: int) -> Image.Image:
    """Decode an image for a thumbnail of at most `side` pixels, as RGB.

    A JPEG file is decoded at a fraction of its size, and so takes a fraction of the memory.

    Raises: UnreadableImageError as `decode_image` does, and if decoding would take too much memory
        for a thumbnail.
    """
    with opened(data, max_pixels) as image:
        if not image.info.get("progressive"):  # a progressive file is decoded whole in any case
            image.draft(None, (side, side))
        _refuse_huge(image.size, min(max_pixels, REDUCED_PIXELS))
        return converted(image, "RGB")


@contextmanager
def opened(data: bytes, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """Check an image file and give its header; its pixels are not decoded yet.

    Every error, also of decoding, becomes an UnreadableImageError with its reason.
    """
    if not data:
        raise UnreadableImageError("the file is empty")
    try:
        with Image.open(io.BytesIO(without_texts(data)), formats=FORMATS) as image:
            _refuse_huge(image.size, max_pixels)
            _refuse_huge_tiles(image, max_pixels)
            if image.format in JPEG:
                _refuse_many_scans(data)
            yield image
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError(_unknown(data)) from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"more than {max_pixels} pixels") from error
    except Exception as error:  # decoders raise errors of every type for damaged data
        raise UnreadableImageError(f"damaged: {type(error).__name__}: {error}") from error


def _unknown(data: bytes) -> str:
    """Return why a file is no image of a known format, with its format if Pillow knows it."""
    Image.init()
    prefix = data[:PREFIX_BYTES].ljust(PREFIX_BYTES, b"\0")
    for name, (_, accepts) in Image.OPEN.items():
        if name not in FORMATS and accepts is not None and accepts(prefix) is True:
            return f"{name} images are not read, only {', '.join(FORMATS)}"
    return "not an image of a known format"


def _refuse_huge(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise UnreadableImageError(f"{width}x{height} pixels, more than {max_pixels}")


def _refuse_many_scans(data: bytes) -> None:
    if data.count(SCAN) > MOST_SCANS:  # at least as many as there are, and faster
        scans = count_scans(data)
        if scans > MOST_SCANS:
            raise UnreadableImageError(f"{scans} scans, more than {MOST_SCANS}")


def _refuse_huge_tiles(image: Image.Image, max_pixels: int) -> None:
    """Refuse a TIFF file whose tiles are huge: a decoder takes memory for a whole one."""
    tags: Any = getattr(image, "tag_v2", {})
    width = tags.get(TILE_WIDTH)
    length = tags.get(TILE_LENGTH)
    if width is not None and length is not None:
        _refuse_huge((int(width), int(length)), max_pixels)


def center_crop(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Scale an image until it just covers `size` (height, width) in pixels; return its centre.

    Large images are first halved by box averaging, which keeps fine structure from aliasing.
    """
    height, width = size
    while min(image.width // width, image.height // height) >= 2:
        image = image.reduce(2)
    scale = max(width / image.width, height / image.height)
    scaled = (max(width, round(image.width * scale)), max(height, round(image.height * scale)))
    if scaled != image.size:
        image = image.resize(scaled, Image.Resampling.BICUBIC)
    left = (image.width - width) // 2
    top = (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
