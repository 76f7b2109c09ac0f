"""Training data: pixels or moments of latents, on the device or streamed from a file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float16, Int, UInt8
from torch import Tensor

from otcondense.diffusion.random_streams import Draws
from otcondense.machine import free_memory
from otcondense.store.images import to_unit_range

RESIDENT_SHARE = 0.5
"""Share of the free memory for training data; the rest is for the model and its activations."""
GIGA = 1e9


@runtime_checkable
class Source(Protocol):
    """Images or latents by index."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width of the model's input."""

    def take(self, indices: Int[Tensor, " b"], draws: Draws) -> Float[Tensor, "b c h w"]:
        """Return the model's inputs for these images, mirrored as drawn."""


@dataclass(frozen=True)
class Pixels:
    """Small images; the model gets them in [-1, 1]."""

    images: UInt8[Tensor, "n c h w"]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return (self.images.shape[1], self.images.shape[2], self.images.shape[3])

    def take(self, indices: Int[Tensor, " b"], draws: Draws) -> Float[Tensor, "b c h w"]:
        x = to_unit_range(self.images[indices])
        return torch.where(draws.flip.view(-1, 1, 1, 1), x.flip(-1), x)


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of each image's posterior under a variational autoencoder.

    Training draws a latent from the posterior at each step. An autoencoder without a posterior has
    one latent for each image, the mean.
    """

    mean: Float16[Tensor, "n o c h w"]
    """One row for each orientation: the image, then its mirror image if it is stored."""
    std: Float16[Tensor, "n o c h w"] | None
    """None without a posterior."""
    scale: float
    shift: float

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return (self.mean.shape[2], self.mean.shape[3], self.mean.shape[4])

    @property
    def draws(self) -> bool:
        """Whether latents are drawn from a posterior."""
        return self.std is not None

    def take(self, indices: Int[Tensor, " b"], draws: Draws) -> Float[Tensor, "b c h w"]:
        device = draws.flip.device
        mean = rows(self.mean, indices, draws.flip).to(device, non_blocking=True).float()
        if self.std is None:
            return (mean - self.shift) * self.scale
        assert draws.posterior is not None, "moments need draws from the posterior"
        std = rows(self.std, indices, draws.flip).to(device, non_blocking=True).float()
        return (torch.addcmul(mean, std, draws.posterior) - self.shift) * self.scale


def rows(
    table: Float16[Tensor, "n o *shape"], indices: Int[Tensor, " b"], flip: Tensor
) -> Float16[Tensor, "b *shape"]:
    """Return the rows of some images in their drawn orientations, on the table's device.

    Rows that will be copied from the CPU to a GPU are in pinned memory.
    """
    where = table.device
    taken = table[indices.to(where), flip.to(where).long()]
    is_copied_to_gpu = where.type == "cpu" and flip.device.type == "cuda"
    return taken.pin_memory() if is_copied_to_gpu else taken


@dataclass(frozen=True)
class TrainingSet:
    """The data that batches are made from."""

    source: Source
    labels: Int[Tensor, " n"]
    """Class of each image, on the device to compute on."""
    tokens: Float16[Tensor, "n o t d"] | None = None
    """Patch tokens of each image, to align the model with."""
    weights: Float[Tensor, " n"] | None = None
    """Weight of each image in the loss, mean 1 in each class; None is 1."""
    captions: Float16[Tensor, "n 1 words e"] | None = None
    """Embedding of the caption of each image; it has one orientation."""
    streamed: bool = False
    """Whether batches come from a file, so that preparing them ahead saves time."""

    @property
    def num_images(self) -> int:
        """Number of images."""
        return len(self.labels)


def free_bytes(device: str) -> int:
    """Return the free memory of a device; for the CPU, of this machine."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    return free_memory()


def fits(size: int, device: str, limit_gb: float | None) -> bool:
    """Tell whether `size` bytes of training data may stay on the device.

    Args:
        size: of the data.
        device: where it would stay.
        limit_gb: largest size in 10^9 bytes; None allows half of the free memory.
    """
    if limit_gb is None:
        return size <= RESIDENT_SHARE * free_bytes(device)
    return size <= limit_gb * GIGA


def fill(
    tables: dict[str, Tensor], classes: list[tuple[list[int], Callable[[], dict[str, np.ndarray]]]]
) -> None:
    """Fill tables [n, ...] class by class, so that at most one class is in memory twice.

    Args:
        tables: the tables to fill, by column.
        classes: the rows of each class, and a function that reads its columns.
    """
    for places, read in classes:
        for name, values in read().items():
            table = tables[name]
            rows_of_class = torch.tensor(places, device=table.device)
            table[rows_of_class] = torch.from_numpy(values).to(table.device)
