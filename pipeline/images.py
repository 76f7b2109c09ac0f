"""The images of a shard, read in storage order and decoded by threads while a network computes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import UInt8
from torch import Tensor

from otcondense.datasets import UnreadableImageError
from otcondense.datasets.ahead import in_threads
from otcondense.datasets.readings import Reading, readings_ahead
from otcondense.encoders.transforms import DecodedInput
from otcondense.store.hashing import sha256_bytes

BATCHES_AHEAD = 2
"""Batches that are decoded while the network works on the one before them."""


@dataclass(frozen=True)
class Decoded:
    """One image as input of a network, or the reason why there is none."""

    pixels: UInt8[Tensor, "c h w"] | None
    """None if the image cannot be used."""
    reason: str | None = None
    """Why the image cannot be used."""
    width: int = 0
    """Width of the stored image in pixels, upright."""
    height: int = 0
    """Height of the stored image in pixels, upright."""
    sha256: str = ""
    """SHA-256 of the stored bytes."""
    data: bytes = b""
    """The stored bytes, if the network decodes them."""

    def without_pixels(self) -> "Decoded":
        """Return all but the pixels and bytes, which take far more memory."""
        return replace(self, pixels=None, data=b"")

    def with_input(self, found: DecodedInput | UnreadableImageError) -> "Decoded":
        """Return the image with what its bytes were decoded to."""
        if isinstance(found, UnreadableImageError):
            return Decoded(None, str(found))
        return Decoded(found.pixels, None, found.width, found.height, self.sha256)


Transform = Callable[[bytes], DecodedInput]
"""Turns the bytes of an image into pixels; raises UnreadableImageError."""
BatchTransform = Callable[[list[bytes]], Sequence[DecodedInput | UnreadableImageError]]
"""Turns the bytes of many images into pixels on the device of a network."""


def decode(read: Reading, transform: Transform | None) -> Decoded:
    """Read and decode one image; every failure becomes its reason.

    Without a transform the bytes are kept, for `decode_together`.
    """
    try:
        data = read()
        if transform is None:
            return Decoded(None, sha256=sha256_bytes(data), data=data)
        image = transform(data)
    except UnreadableImageError as error:
        return Decoded(None, str(error))
    except OSError as error:
        return Decoded(None, f"cannot be read: {error.strerror or error or type(error).__name__}")
    return Decoded(image.pixels, None, image.width, image.height, sha256_bytes(data))


def decode_together(images: Sequence[Decoded], transform: BatchTransform) -> list[Decoded]:
    """Return images that were read without a transform, decoded on the device of a network."""
    rows = [row for row, image in enumerate(images) if image.reason is None]
    decoded = list(images)
    for row, found in zip(rows, transform([images[row].data for row in rows]), strict=True):
        decoded[row] = images[row].with_input(found)
    return decoded


def decoded_images(
    locations: Sequence[str], transform: Transform | None, *, threads: int, ahead: int
) -> Iterator[Decoded]:
    """Yield images in order, decoded ahead by threads.

    Args:
        locations: of the images, in storage order: others read row groups of Parquet again.
        transform: pixels of one image; None if the network decodes its batches.
        threads: that decode.
        ahead: images that wait in memory at most.
    """
    one = partial(decode, transform=transform)
    return in_threads(one, readings_ahead(locations, ahead), threads=threads, ahead=ahead)


def stacked(
    images: Sequence[Decoded], size: int, shape: tuple[int, int, int], *, pinned: bool = False
) -> UInt8[Tensor, "b c h w"]:
    """Return the pixels of images, filled up with zeros to `size`; unusable images are zeros.

    Args:
        images: of the batch.
        size: images in the result.
        shape: of one image.
        pinned: whether pixels on the CPU go to a GPU: it then need not wait for their copy.
    """
    usable = [image.pixels for image in images if image.pixels is not None]
    device = usable[0].device if usable else torch.device("cpu")
    pinned = pinned and device.type == "cpu"
    pixels = torch.zeros(size, *shape, dtype=torch.uint8, device=device, pin_memory=pinned)
    for row, image in enumerate(images):
        if image.pixels is not None:
            pixels[row] = image.pixels
    return pixels
