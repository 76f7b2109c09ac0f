"""Pixels of the images of a subset or of a listing, all at once or some at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Int64, UInt8

from otcondense.datasets.ahead import in_threads
from otcondense.datasets.decoding import UnreadableImageError, center_crop, decode_image
from otcondense.datasets.ordered import Read, reads
from otcondense.datasets.records import SourceConfig
from otcondense.datasets.wanted import WantedImage, manifest_images, read_wanted, record_images
from otcondense.errors import InputError

__all__ = [
    "ListedImages",
    "TrainingImages",
    "WantedImage",
    "load_images",
    "manifest_images",
    "read_wanted",
    "record_images",
]

READERS = 4
"""Threads that read and decode images."""
AHEAD = 64
"""Images that are read and decoded before they are needed."""
PART = 512
"""Images that are in memory at a time."""


@dataclass(frozen=True)
class TrainingImages:
    """Images of one size with their classes, in the order of the manifest."""

    images: UInt8[np.ndarray, "n c h w"]
    labels: Int64[np.ndarray, " n"]
    image_ids: list[str]


def load_images(
    wanted: list[WantedImage], source: SourceConfig, shape: tuple[int, int, int]
) -> TrainingImages:
    """Read, crop and scale images to `shape` (channels, height, width), 8 bits a channel.

    An image of exactly this size keeps its pixels. Others are scaled to cover it; their centre is
    cut out.

    Raises: InputError naming an image that is missing, unreadable or has changed since the manifest
        was written.
    """
    if not wanted:
        raise InputError("there must be at least one image to load, found an empty list")
    images = np.empty((len(wanted), *shape), dtype=np.uint8)
    for row, pixels in enumerate(_pixels(wanted, source, shape)):
        images[row] = pixels
    labels = np.array([image.class_index for image in wanted], dtype=np.int64)
    return TrainingImages(images, labels, [image.image_id for image in wanted])


def _pixels(
    wanted: Sequence[WantedImage], source: SourceConfig, shape: tuple[int, int, int]
) -> Iterator[UInt8[np.ndarray, "c h w"]]:
    """Yield the pixels of images in order."""
    if shape[0] not in (1, 3):
        raise InputError(f"images must have 1 (grey) or 3 (RGB) channels, found shape {shape}")

    def decoded(pair: tuple[WantedImage, Read]) -> UInt8[np.ndarray, "c h w"]:
        image, read = pair
        return _decoded(image, read(), source, shape)

    pairs = zip(wanted, reads(wanted), strict=True)
    return in_threads(decoded, pairs, threads=READERS, ahead=AHEAD)


def _decoded(
    wanted: WantedImage, data: bytes, source: SourceConfig, shape: tuple[int, int, int]
) -> UInt8[np.ndarray, "c h w"]:
    channels, height, width = shape
    try:
        image = decode_image(data, channels=channels, max_pixels=source.max_pixels)
    except UnreadableImageError as error:
        raise InputError(
            f"image {wanted.path} cannot be decoded ({error}); repair it or leave it out"
        ) from error
    pixels = np.asarray(center_crop(image, (height, width)))
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


@dataclass(frozen=True)
class ListedImages:
    """Images of a source in one size, read when they are needed."""

    wanted: list[WantedImage]
    source: SourceConfig
    shape: tuple[int, int, int]
    """Channels, height, width."""

    def load(self, rows: Iterable[int]) -> UInt8[np.ndarray, "n c h w"]:
        """Return the images of some rows of the list.

        Raises: InputError as `load_images` does.
        """
        return load_images([self.wanted[row] for row in rows], self.source, self.shape).images

    def parts(self) -> Iterator[UInt8[np.ndarray, "n c h w"]]:
        """Yield all images in order, some at a time."""
        pixels = _pixels(self.wanted, self.source, self.shape)
        while part := list(islice(pixels, PART)):
            yield np.stack(part)
