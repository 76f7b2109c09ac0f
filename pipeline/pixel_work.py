"""Small pixels as a kind of extraction: the images of every class in one size, without a network.

A model that scores images class by class reads them from here: the source is read once, in storage
order.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from otcondense.datasets import center_crop, decode_image
from otcondense.devices import DeviceSetting
from otcondense.encoders.transforms import DecodedInput
from otcondense.representations.tables import write_class_table
from otcondense.store import Store, fingerprint, read_array
from pipeline.images import Transform
from pipeline.work import ClassRows

COLUMN = "image"
"""Name of the array of pixels."""
BATCH_SIZE = 64
"""Images that are handled together."""
VERSION = 1


@dataclass(frozen=True)
class PixelWork:
    """The extraction of small pixels."""

    shape: tuple[int, int, int]
    """Channels, height and width."""
    max_pixels: int
    batch_size: int = BATCH_SIZE
    device: DeviceSetting = "cpu"
    needs_every_image: bool = True

    @property
    def key(self) -> str:
        """Fingerprint of all settings."""
        return fingerprint(["pixels", VERSION, self.shape, self.max_pixels])

    def transform(self) -> Transform:
        """Return what turns the bytes of an image into its pixels."""
        channels, height, width = self.shape

        def read(data: bytes) -> DecodedInput:
            image = decode_image(data, channels=channels, max_pixels=self.max_pixels)
            pixels = np.asarray(center_crop(image, (height, width)))
            planes = pixels.reshape(height, width, channels).transpose(2, 0, 1)
            stored = torch.from_numpy(np.array(planes, order="C"))
            return DecodedInput(stored, image.width, image.height)

        return read

    def load(self, *, assigned: bool | None = None) -> "SamePixels":  # noqa: ARG002 - see Work
        """Return a network that changes nothing; it needs no device."""
        return SamePixels()

    def fingerprint_of(self, name: str, images: list[tuple[str, str]]) -> str:
        """Return the fingerprint of the file of one class: ids and hashes of its images."""
        return fingerprint([self.key, name, [list(image) for image in images]])

    def write_class(self, store: Store, directory: str, rows: ClassRows) -> None:
        """Write the pixels of one class."""
        table = rows.class_table({COLUMN: read_array(rows.table, COLUMN)})
        write_class_table(store, directory, table, {}, rows.plan.fingerprint)


class SamePixels:
    """A network that returns its input."""

    batch_transform = None
    device = torch.device("cpu")

    def __call__(
        self, pixels: UInt8[Tensor, "b c h w"], _class_index: Int64[Tensor, " b"]
    ) -> dict[str, Tensor]:
        """Return the pixels as [b, 1, c, h, w]: they have one orientation."""
        return {COLUMN: pixels[:, None]}
