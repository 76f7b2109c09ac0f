"""The unit of work: up to one batch of images of one class, decoded in one task.

The chunks depend on the source alone, never on the number of workers, and every batch is padded to
the same size. So an image gets the same bytes wherever and whenever it is encoded.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from otcondense.datasets.decoding import UnreadableImageError, decode_image
from otcondense.datasets.locations import read_image_bytes
from otcondense.datasets.records import ImageRecord
from otcondense.encoders import InputSpec
from otcondense.store.hashing import sha256_bytes

IMAGE_BYTES = 2**26
"""Memory for one decoded image of usual size while it is scaled."""


@dataclass(frozen=True)
class Chunk:
    """Images that are decoded in one task and encoded in one batch."""

    class_index: int
    number: int
    """Place of the chunk in its class, from 0."""
    paths: list[str]
    """Locations of the images."""

    def row(self) -> dict[str, Any]:
        """Return the chunk as a row of a data set."""
        return {"class_index": self.class_index, "chunk": self.number, "paths": self.paths}


@dataclass(frozen=True)
class ImageStatus:
    """Result of decoding one image."""

    reason: str | None
    """Reason why the image cannot be used, None if it can."""
    width: int = 0
    """Width in pixels, upright."""
    height: int = 0
    """Height in pixels, upright."""
    sha256: str = ""
    """SHA-256 of the file."""


@dataclass(frozen=True)
class DecodeConfig:
    """How the images of a chunk become one array."""

    spec: InputSpec
    batch_size: int
    """Rows of the array; a chunk has at most as many images."""
    max_pixels: int

    def task_bytes(self, chunks: int) -> int:
        """Return the approximate memory of a task that decodes `chunks` chunks.

        It holds their arrays twice, and one decoded image.
        """
        channels, height, width = self.spec.shape
        return 2 * chunks * self.batch_size * channels * height * width + IMAGE_BYTES


def make_chunks(records: list[ImageRecord], batch_size: int) -> Iterator[Chunk]:
    """Yield the chunks of one class in order."""
    for number, start in enumerate(range(0, len(records), batch_size)):
        part = records[start : start + batch_size]
        yield Chunk(part[0].class_index, number, [record.path for record in part])


def decode_chunk(row: dict[str, Any], config: DecodeConfig) -> dict[str, Any]:
    """Read and decode the images of a chunk; an unusable image leaves its row of the array at zero.

    Args:
        row: of a `Chunk`.
        config: shape of the array.

    Returns: the row with `images` uint8 [batch_size, c, h, w] and `statuses`, a JSON list of
        `ImageStatus`, in place of `paths`.
    """
    images = torch.zeros(config.batch_size, *config.spec.shape, dtype=torch.uint8)
    statuses = []
    for position, path in enumerate(row["paths"]):
        status = _decode(path, images[position], config)
        statuses.append(asdict(status))
    return {
        "class_index": row["class_index"],
        "chunk": row["chunk"],
        "images": images.numpy(),
        "statuses": json.dumps(statuses),
    }


def read_statuses(text: str) -> list[ImageStatus]:
    """Return the statuses of a decoded chunk."""
    return [ImageStatus(**status) for status in json.loads(text)]


def decode_status(path: str, config: DecodeConfig) -> ImageStatus:
    """Return the result of decoding one image, without its pixels."""
    return _decode(path, torch.zeros(*config.spec.shape, dtype=torch.uint8), config)


def _decode(path: str, target: torch.Tensor, config: DecodeConfig) -> ImageStatus:
    """Decode one image into `target` [c, h, w]."""
    try:
        data = read_image_bytes(path)
        image = decode_image(data, channels=config.spec.channels, max_pixels=config.max_pixels)
    except UnreadableImageError as error:
        return ImageStatus(str(error))
    except OSError as error:
        return ImageStatus(f"cannot be read: {error.strerror or error or type(error).__name__}")
    target.copy_(config.spec.pixels(image))
    return ImageStatus(None, image.width, image.height, sha256_bytes(data))
