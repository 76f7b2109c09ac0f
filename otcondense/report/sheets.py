"""Sheets of images as PNG: whole-number enlargement, transparent gaps (for light and dark pages)."""

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


@dataclass(frozen=True)
class Sheet:
    """A PNG and its size in pixels."""

    png: bytes
    width: int
    height: int


def image_sheet(
    images: UInt8[np.ndarray, "n c h w"], *, columns: int, tile: int = 56, framed: Bool[np.ndarray, " n"] | None = None
) -> Sheet:
    """Lay images out row by row.

    Args:
        images: grey (c = 1) or RGB (c = 3).
        columns: images in a row.
        tile: side in pixels that an image fills at least, by whole-number enlargement; larger images keep their size.
        framed: images that get a frame.

    Raises: InputError for no images or other channel counts.
    """
    if len(images) == 0 or images.shape[1] not in (1, 3):
        raise InputError(f"an image sheet needs images of 1 or 3 channels, found shape {images.shape}")
    scale = max(1, -(-tile // max(images.shape[2:])))
    height, width = (scale * side for side in images.shape[2:])
    rows = -(-len(images) // columns)
    sheet = np.zeros((rows * (height + GAP) + GAP, min(columns, len(images)) * (width + GAP) + GAP, 4), dtype=np.uint8)
    for number, image in enumerate(images):
        top, left = GAP + (number // columns) * (height + GAP), GAP + (number % columns) * (width + GAP)
        if framed is not None and framed[number]:
            sheet[top - FRAME : top + height + FRAME, left - FRAME : left + width + FRAME] = FRAME_COLOUR
        sheet[top : top + height, left : left + width] = _opaque(image, scale)
    return Sheet(_png(sheet), sheet.shape[1], sheet.shape[0])


def _opaque(image: UInt8[np.ndarray, "c h w"], scale: int) -> UInt8[np.ndarray, "_ _ 4"]:
    """Return one image as enlarged RGBA."""
    colours = np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0)
    pixels = np.concatenate([colours, np.full((*image.shape[1:], 1), 255, dtype=np.uint8)], axis=2)
    return pixels.repeat(scale, axis=0).repeat(scale, axis=1)


def _png(pixels: UInt8[np.ndarray, "h w 4"]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
