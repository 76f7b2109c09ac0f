"""What training reads: pixels, or moments of latents, on the device where they fit and streamed from a file where they do not."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float16, Int, UInt8
from torch import Tensor

from otcondense.diffusion.random_streams import Draws
from otcondense.store.images import to_unit_range

RESIDENT_SHARE = 0.5
"""Share of the free memory that training data may take; the rest is for the model and its activations."""


@runtime_checkable
class Source(Protocol):
    """Images or latents by index."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width of what the model sees."""

    def take(self, indices: Int[Tensor, " b"], draws: Draws) -> Float[Tensor, "b c h w"]:
        """Return what the model is trained on for these images, mirrored where the draws say so."""


@dataclass(frozen=True)
class Pixels:
    """Small images; the model sees them in [-1, 1]."""

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
    """Mean and standard deviation of each image's posterior under a variational autoencoder, drawn from again at each step."""

    mean: Float16[Tensor, "n o c h w"]
    """One row for each orientation: the image, and its mirror image where there is a second."""
    std: Float16[Tensor, "n o c h w"]
    scale: float
    shift: float

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return (self.mean.shape[2], self.mean.shape[3], self.mean.shape[4])

    def take(self, indices: Int[Tensor, " b"], draws: Draws) -> Float[Tensor, "b c h w"]:
        assert draws.posterior is not None, "moments need draws from the posterior"
        device = draws.flip.device
        mean, std = (
            rows(moment, indices, draws.flip).to(device, non_blocking=True).float()
            for moment in (self.mean, self.std)
        )
        return (torch.addcmul(mean, std, draws.posterior) - self.shift) * self.scale


def rows(
    table: Float16[Tensor, "n o *shape"], indices: Int[Tensor, " b"], flip: Tensor
) -> Float16[Tensor, "b *shape"]:
    """Return the rows of some images in the orientation drawn for each, on the table's device, pinned where that helps."""
    where = table.device
    taken = table[indices.to(where), flip.to(where).long()]
    return taken.pin_memory() if where.type == "cpu" and flip.device.type == "cuda" else taken


@dataclass(frozen=True)
class TrainingSet:
    """Everything that batches are made from."""

    source: Source
    labels: Int[Tensor, " n"]
    """Class of each image, on the device to compute on."""
    tokens: Float16[Tensor, "n o t d"] | None = None
    """Patch tokens of each image, to align the model with."""
    streamed: bool = False
    """Whether batches come from a file, so that making one ahead of time saves waiting."""

    @property
    def num_images(self) -> int:
        """Number of images."""
        return len(self.labels)


def free_bytes(device: str) -> int:
    """Return the memory that is free on a device, or on this machine for the CPU."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def fits(size: int, device: str, limit_gb: float | None) -> bool:
    """Tell whether `size` bytes of training data may stay on the device: below `limit_gb` (10^9 bytes), or half of what is free."""
    return size <= (RESIDENT_SHARE * free_bytes(device) if limit_gb is None else limit_gb * 1e9)


def allocate(shape: tuple[int, ...], device: str, *, streamed: bool) -> Float16[Tensor, "*shape"]:
    """Return room for float16 values: on the device, or in a temporary file that is gone when the process ends."""
    if not streamed:
        return torch.empty(shape, dtype=torch.float16, device=device)
    with tempfile.TemporaryFile() as file:  # the mapping keeps the unnamed file alive
        return torch.from_numpy(np.memmap(file, dtype=np.float16, mode="w+", shape=shape))


def fill(
    tables: dict[str, Tensor], classes: list[tuple[list[int], Callable[[], dict[str, np.ndarray]]]]
) -> None:
    """Fill tables [n, ...] class by class, so that no more than one class is in memory twice.

    Args:
        tables: where the rows go, by column.
        classes: the rows of each class, and what reads its columns.
    """
    for places, read in classes:
        for name, values in read().items():
            tables[name][torch.tensor(places, device=tables[name].device)] = torch.from_numpy(
                values
            ).to(tables[name].device)
