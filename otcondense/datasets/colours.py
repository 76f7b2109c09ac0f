"""From the pixels of any image file to 8 bits a channel: grey or RGB, upright, on white."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt16
from PIL import ExifTags, Image

from otcondense.datasets.unreadable import UnreadableImageError

BACKGROUND = (255, 255, 255)
"""Colour under transparent pixels: white, as paper and most pages are."""
EIGHT_BIT_MODES = frozenset(
    {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr"}
)
"""Pillow's modes that are converted as they are."""
SIXTEEN_TO_EIGHT_BITS = 257
"""65535 / 255: scales 16-bit grey levels to 8 bits."""
TWELVE_BITS = 4095
"""Largest level of a 12-bit TIFF file, which Pillow gives as 16 bits without scaling it."""
PHOTOMETRIC = 262
"""Tag of a TIFF file that says whether 0 is white; Pillow leaves 16-bit levels as they are."""
GREY_LEVELS = {"L;2": 85, "L;4": 17}
"""By which Pillow multiplies grey levels of 2 and 4 bits, but not the level that is transparent."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How an image is turned upright, by its EXIF orientation."""


@dataclass(frozen=True)
class _Levels:
    """Grey levels of 12 or 16 bits, scaled to 16 bits, and where they are transparent."""

    values: UInt16[np.ndarray, "h w"]
    clear: Bool[np.ndarray, "h w"] | None


def converted(image: Image.Image, mode: str) -> Image.Image:
    """Return the pixels of an opened image, upright, in mode `L` or `RGB`.

    Transparent pixels lie on white. Grey levels of 12 and 16 bits are scaled to 8, CMYK and
    palettes are converted; of an animation, the first frame is taken.

    Raises: UnreadableImageError if the levels have no fixed range or the mode is not known.
    """
    _refuse_unknown_range(image)
    pixels = _eight_bits(image).convert(mode)
    turn = TURNS.get(orientation(image))
    return pixels if turn is None else pixels.transpose(turn)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return the image without transparency, with at most 8 bits a channel, as the file lies."""
    clear = _clear_colour(image)
    twelve_bits = _raw_mode(image) == "I;12"
    negative = _tags(image).get(PHOTOMETRIC) == 0
    image.load()
    if image.mode.startswith("I"):
        return _grey(_levels(image, clear, twelve_bits=twelve_bits, negative=negative))
    if clear is not None:
        image.info["transparency"] = clear
    return _on_background(image.convert("RGBA")) if image.has_transparency_data else image


def _refuse_unknown_range(image: Image.Image) -> None:
    if image.mode == "F":
        raise UnreadableImageError("floating-point pixels have no fixed range")
    if image.mode == "I" and image.format == "TIFF":
        raise UnreadableImageError("32-bit or signed integer pixels have no fixed range")
    if image.mode not in EIGHT_BIT_MODES and not image.mode.startswith("I"):
        raise UnreadableImageError(f"{image.mode} pixels are not read")


def _tags(image: Image.Image) -> Any:
    """Return the tags of a TIFF file, nothing for others."""
    return getattr(image, "tag_v2", {})


def _raw_mode(image: Image.Image) -> str:
    """Return how the file stores its pixels, in Pillow's words; known before they are loaded."""
    tiles: Any = getattr(image, "tile", [])
    arguments = tiles[0].args if tiles else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _clear_colour(image: Image.Image) -> Any:
    """Return the colour or level of a PNG file that is transparent, as it is after decoding."""
    clear = image.info.get("transparency")
    raw = _raw_mode(image)
    if isinstance(clear, tuple) and raw.startswith("RGB;16"):
        return tuple(level >> 8 for level in clear)
    if isinstance(clear, int) and raw in GREY_LEVELS:
        return clear * GREY_LEVELS[raw]
    return clear


def _levels(image: Image.Image, clear: Any, *, twelve_bits: bool, negative: bool) -> _Levels:
    values = np.clip(np.asarray(image), 0, 2**16 - 1).astype(np.uint16)
    where = values == clear if isinstance(clear, int) else None
    if twelve_bits:
        values = (values.astype(np.uint32) * (2**16 - 1) // TWELVE_BITS).astype(np.uint16)
    return _Levels(2**16 - 1 - values if negative else values, where)


def _grey(levels: _Levels) -> Image.Image:
    grey = (levels.values // SIXTEEN_TO_EIGHT_BITS).astype(np.uint8)
    if levels.clear is not None:
        grey[levels.clear] = BACKGROUND[0]
    return Image.fromarray(grey)


def _on_background(image: Image.Image) -> Image.Image:
    page = Image.new("RGB", image.size, BACKGROUND)
    page.paste(image, mask=image.getchannel("A"))
    return page


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of a loaded image or a JPEG header, 1 (upright) to 8.

    It comes from EXIF, or else from XMP.
    """
    return int(image.getexif().get(ExifTags.Base.Orientation, 1))
