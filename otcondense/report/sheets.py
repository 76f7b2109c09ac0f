"""Sheets of images as PNG, with transparent gaps for light and dark pages."""

import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from otcondense.errors import InputError

GAP = 6
"""Transparent pixels around each image."""
FRAME = 3
"""Pixels of a frame, within the gap."""
FRAME_COLOUR = (225, 87, 60, 255)
LARGEST = 96
"""Longest side of an image in pixels; larger images are shrunk to it."""


@dataclass(frozen=True)
class Sheet:
    """A PNG and its size in pixels."""

    png: bytes
    width: int
    height: int


def image_sheet(
    images: UInt8[np.ndarray, "n c h w"],
    *,
    width: int,
    tile: int = 40,
    framed: Bool[np.ndarray, " n"] | None = None,
) -> Sheet:
    """Lay images out row by row.

    Args:
        images: grey (c = 1) or RGB (c = 3).
        width: most pixels of a row; it holds at least one image.
        tile: least side of an image in pixels, by whole-number enlargement; images above 96 pixels
            are shrunk to 96.
        framed: images that get a frame.

    Raises: InputError for no images or other channel counts.
    """
    if len(images) == 0 or images.shape[1] not in (1, 3):
        raise InputError(
            f"an image sheet needs images of 1 or 3 channels, found shape {images.shape}"
        )
    tiles = [_tile(image, tile) for image in images]
    height, side = tiles[0].shape[:2]
    columns = min(len(tiles), row_length(images, width, tile))
    rows = -(-len(tiles) // columns)
    shape = (rows * (height + GAP) + GAP, columns * (side + GAP) + GAP, 4)

    sheet = np.zeros(shape, dtype=np.uint8)
    for number, pixels in enumerate(tiles):
        top = GAP + (number // columns) * (height + GAP)
        left = GAP + (number % columns) * (side + GAP)
        if framed is not None and framed[number]:
            vertical = slice(top - FRAME, top + height + FRAME)
            horizontal = slice(left - FRAME, left + side + FRAME)
            sheet[vertical, horizontal] = FRAME_COLOUR
        sheet[top : top + height, left : left + side] = pixels
    return Sheet(_png(sheet), sheet.shape[1], sheet.shape[0])


def row_length(images: UInt8[np.ndarray, "n c h w"], width: int, tile: int = 40) -> int:
    """Return how many of these images a row of `width` pixels holds, at least 1."""
    return max(1, (width - GAP) // (_shown(images.shape[2:], tile)[1] + GAP))


def _shown(size: tuple[int, ...], tile: int) -> tuple[int, int]:
    """Return the height and width in pixels of an image of `size` in a sheet."""
    longest = max(size)
    if longest > LARGEST:
        height = max(1, round(size[0] * LARGEST / longest))
        width = max(1, round(size[1] * LARGEST / longest))
        return height, width
    scale = max(1, min(-(-tile // longest), LARGEST // longest))
    return size[0] * scale, size[1] * scale


def _tile(image: UInt8[np.ndarray, "c h w"], tile: int) -> UInt8[np.ndarray, "_ _ 4"]:
    """Return one image as opaque RGBA in its size in the sheet."""
    height, width = _shown(image.shape[1:], tile)
    rgb = np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0)
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    method = Image.Resampling.NEAREST if height >= image.shape[1] else Image.Resampling.LANCZOS
    return np.asarray(picture.resize((width, height), method).convert("RGBA"))


def _png(pixels: UInt8[np.ndarray, "h w 4"]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
