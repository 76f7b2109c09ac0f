"""Image files for the loaders of others: their format by content, and their pixels as PNG or JPEG.

Pixels that are encoded again are those that the workflow itself reads: upright, 8 bits a channel,
the first picture of an animation.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass

from PIL import ExifTags, Image

from otcondense.datasets.decoding import FORMATS, UnreadableImageError, decode_image
from otcondense.datasets.wanted import WantedImage
from otcondense.errors import InputError

SUFFIXES = {
    "BMP": ".bmp",
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "PNG": ".png",
    "PPM": ".ppm",
    "TIFF": ".tif",
    "WEBP": ".webp",
}
"""Suffix of each format that torchvision's ImageFolder has one for, by Pillow's name."""
GREY_MODES = frozenset({"1", "L", "I"})
"""Pillow's modes of grey images, without the bits after a semicolon."""
UPRIGHT = 1
"""EXIF orientation of an image that is stored as it is shown."""
QUALITY = 95
"""Of JPEG files: the highest that Pillow advises, with colour at the full resolution."""


@dataclass(frozen=True)
class Picture:
    """An image file of the source and what its header says."""

    image: WantedImage
    data: bytes
    form: str
    """Format by content, as Pillow names it."""
    mode: str
    """Pillow's mode."""
    is_turned: bool = False
    """Whether its EXIF data turn it, which most loaders leave out: its pixels lie on their side."""

    @property
    def is_cut_off(self) -> bool:
        """Whether loaders cut its grey levels off: as RGB, all above 255 become white."""
        return self.mode.startswith(("I", "F"))

    @property
    def what(self) -> str:
        """Its kind in words, for counts."""
        if self.is_cut_off:
            return "16-bit grey"
        return f"{self.form} turned by EXIF" if self.is_turned else self.form

    @property
    def is_misread(self) -> bool:
        """Whether loaders would get other pixels than the workflow."""
        return self.is_cut_off or self.is_turned


def read_picture(image: WantedImage, data: bytes) -> Picture:
    """Return an image file with its format; no pixel is decoded.

    Raises: InputError if it is no image of a known format.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            turned = opened.getexif().get(ExifTags.Base.Orientation, UPRIGHT) != UPRIGHT
            return Picture(image, data, str(opened.format), opened.mode, turned)
    except Exception as error:  # headers of damaged files raise errors of every type
        raise _unreadable(image, error) from error


def encode(picture: Picture, form: str, max_pixels: int) -> bytes:
    """Return the pixels of an image as a new file.

    Args:
        picture: the image.
        form: `png`, which loses nothing of 8-bit pixels, or `jpg`.
        max_pixels: largest image that is decoded.

    Raises: InputError if it cannot be decoded.
    """
    channels = 1 if picture.mode.split(";")[0] in GREY_MODES else 3
    try:
        pixels = decode_image(picture.data, channels=channels, max_pixels=max_pixels)
    except UnreadableImageError as error:
        raise _unreadable(picture.image, error) from error
    sink = io.BytesIO()
    if form == "png":
        pixels.save(sink, "PNG")
    else:
        pixels.save(sink, "JPEG", quality=QUALITY, subsampling=0)
    return sink.getvalue()


def _unreadable(image: WantedImage, error: Exception) -> InputError:
    return InputError(
        f"image {image.path} cannot be decoded ({error}); repair it or leave it out of the source"
    )


def tally(things: Iterable[str]) -> str:
    """Return how often each thing occurs, such as `GIF 2, AVIF 1`."""
    listed = list(things)
    return ", ".join(f"{thing} {listed.count(thing)}" for thing in sorted(set(listed)))
