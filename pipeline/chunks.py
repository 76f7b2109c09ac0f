"""The unit of work: up to one batch of images of one class, decoded in one task.

A chunk's composition depends on the source alone, never on the number of workers, and every batch is padded to the same
size; so the same images get the same bytes wherever and whenever they are encoded.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from otcondense.datasets import ImageRecord, UnreadableImageError, decode_image, read_image_bytes
from otcondense.encoders import InputSpec
from otcondense.store import sha256_bytes


@dataclass(frozen=True)
class ImageStatus:
    """What became of one image."""

    reason: str | None
    """Why it cannot be used, None if it can."""
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
        """Return about how much memory a task takes that decodes `chunks` chunks: their arrays, twice, and one decoded image."""
        channels, height, width = self.spec.shape
        return 2 * chunks * self.batch_size * channels * height * width + 2**26


def make_chunks(records: list[ImageRecord], batch_size: int) -> Iterator[dict[str, Any]]:
    """Yield the chunks of one class as rows of a data set: class index, number of the chunk, paths."""
    for number, start in enumerate(range(0, len(records), batch_size)):
        part = records[start : start + batch_size]
        yield {
            "class_index": part[0].class_index,
            "chunk": number,
            "paths": [record.path for record in part],
        }


def decode_chunk(row: dict[str, Any], config: DecodeConfig) -> dict[str, Any]:
    """Read and decode the images of a chunk; an image that cannot be used leaves its row of the array at zero.

    Returns the row with `images` uint8 [batch_size, c, h, w] and `statuses`, a JSON list of `ImageStatus`, in place of `paths`.
    """
    images = torch.zeros(config.batch_size, *config.spec.shape, dtype=torch.uint8)
    statuses = [
        _decode(path, images[position], config) for position, path in enumerate(row["paths"])
    ]
    return {
        "class_index": row["class_index"],
        "chunk": row["chunk"],
        "images": images.numpy(),
        "statuses": json.dumps([asdict(status) for status in statuses]),
    }


def read_statuses(text: str) -> list[ImageStatus]:
    """Return the statuses of a decoded chunk."""
    return [ImageStatus(**status) for status in json.loads(text)]


def _decode(path: str, target: torch.Tensor, config: DecodeConfig) -> ImageStatus:
    try:
        data = read_image_bytes(path)
        image = decode_image(data, channels=config.spec.channels, max_pixels=config.max_pixels)
    except UnreadableImageError as error:
        return ImageStatus(str(error))
    except OSError as error:
        return ImageStatus(f"cannot be read: {error.strerror or type(error).__name__}")
    target.copy_(config.spec.pixels(image))
    return ImageStatus(None, image.width, image.height, sha256_bytes(data))
