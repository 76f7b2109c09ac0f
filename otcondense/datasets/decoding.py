"""From the bytes of an image file to pixels, or to the reason why it cannot be decoded."""

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

SIXTEEN_TO_EIGHT_BITS = 257
"""65535 / 255: scales 16-bit grey levels to 8 bits."""


class UnreadableImageError(ValueError):
    """An image that cannot be decoded; the message is the reason, without the file's name."""


def decode_image(data: bytes, *, channels: int, max_pixels: int) -> Image.Image:
    """Decode an image of any format, upright, with 8 bits a channel: grey or RGB.

    CMYK, palette and 16-bit images are converted, transparency is dropped, EXIF orientation is
    applied. `channels` is 1 for grey, 3 for RGB.

    Raises: UnreadableImageError with the reason, also for images of more than `max_pixels`.
    """
    assert channels in (1, 3)
    if not data:
        raise UnreadableImageError("the file is empty")
    try:
        with Image.open(io.BytesIO(data)) as image:
            _refuse_huge(image, max_pixels)
            mode = "L" if channels == 1 else "RGB"
            return _converted(ImageOps.exif_transpose(image), mode)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError("not an image of a known format") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"more than {max_pixels} pixels") from error
    except Exception as error:  # decoders raise errors of every type for damaged data
        raise UnreadableImageError(f"damaged: {type(error).__name__}: {error}") from error


def _refuse_huge(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise UnreadableImageError(f"{width}x{height} pixels, more than {max_pixels}")


def _converted(image: Image.Image, mode: str) -> Image.Image:
    image.load()
    if image.mode == "F":
        raise UnreadableImageError("floating-point pixels have no fixed range")
    if image.mode.startswith("I"):
        grey = np.clip(np.asarray(image, dtype=np.int64) // SIXTEEN_TO_EIGHT_BITS, 0, 255)
        image = Image.fromarray(grey.astype(np.uint8))
    elif image.mode == "P":
        image = image.convert("RGBA")
    return image.convert(mode)


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
