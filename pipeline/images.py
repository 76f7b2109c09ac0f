"""The images of a shard, read in storage order and decoded by threads while a network computes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import UInt8
from torch import Tensor

from otcondense.datasets import UnreadableImageError
from otcondense.datasets.ahead import in_threads, taken_ahead
from otcondense.datasets.kinds import reader_of
from otcondense.datasets.locations import file_of, read_image_bytes
from otcondense.datasets.records import is_remote
from otcondense.encoders.transforms import DecodedInput
from otcondense.store.hashing import sha256_bytes

REMOTE_READERS = 32
"""Threads of a worker that wait for a store in the network: at 40 ms a request, 800 images/s."""
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
Reading = Callable[[], bytes]
"""Returns the bytes of one image; raises OSError if they cannot be read."""


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
    return in_threads(one, _started(locations, ahead), threads=threads, ahead=ahead)


def _started(locations: Sequence[str], ahead: int) -> Iterator[Reading]:
    """Yield the readings of images, started before they are needed.

    One thread goes through the row groups of Parquet. A store in the network answers many requests
    at once, each after a while.
    """
    found = readings(locations)
    if any(_is_cell(location) for location in locations[:1]):
        return taken_ahead(found, ahead)
    if any(is_remote(file_of(location)) for location in locations[:1]):
        return in_threads(_done, found, threads=REMOTE_READERS, ahead=ahead)
    return found


def _done(read: Reading) -> Reading:
    """Read an image now; an error is raised where the bytes are needed."""
    try:
        data = read()
    except OSError as error:
        return _failing(error)
    return lambda: data


def readings(locations: Iterable[str]) -> Iterator[Reading]:
    """Yield what reads each image.

    Values of Parquet are read here, one after another: their files are read from front to back.
    Other images are read by the threads.
    """
    for location in locations:
        later = _later(location)
        yield _done(later) if _is_cell(location) else later


def _is_cell(location: str) -> bool:
    """Tell whether an image lies in a Parquet file."""
    reader = reader_of(location)
    return reader is not None and reader.prefix == "cell"


def _later(location: str) -> Reading:
    return lambda: read_image_bytes(location)


def _failing(error: OSError) -> Reading:
    def fail() -> bytes:
        raise error

    return fail


def stacked(
    images: Sequence[Decoded], size: int, shape: tuple[int, int, int]
) -> UInt8[Tensor, "b c h w"]:
    """Return the pixels of images, filled up with zeros to `size`; unusable images are zeros."""
    usable = [image.pixels for image in images if image.pixels is not None]
    device = usable[0].device if usable else torch.device("cpu")
    pixels = torch.zeros(size, *shape, dtype=torch.uint8, device=device)
    for row, image in enumerate(images):
        if image.pixels is not None:
            pixels[row] = image.pixels
    return pixels
