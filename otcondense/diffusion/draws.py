"""Every random number of training as a function of (seed, step, position in the global batch), whatever the number of workers."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

ORDER, BATCH, SAMPLE = 0, 1, 2


def stream(*key: int) -> int:
    """Return the 63-bit seed of the random stream that belongs to `key`."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(*key: int, device: str = "cpu") -> torch.Generator:
    """Return a generator at the beginning of the random stream that belongs to `key`."""
    return torch.Generator(device=device).manual_seed(stream(*key))


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, num_images: int) -> Int[Tensor, " n"]:
    """Return the order in which one pass over the images visits them."""
    return torch.randperm(num_images, generator=generator(seed, ORDER, epoch))


def batch_indices(seed: int, num_images: int, positions: range) -> Int[Tensor, " b"]:
    """Return the image at each of the consecutive `positions` of the endless sequence of passes."""
    parts, start = [], positions.start
    while start < positions.stop:
        epoch, offset = divmod(start, num_images)
        part = epoch_order(seed, epoch, num_images)[offset : offset + positions.stop - start]
        parts.append(part)
        start += len(part)
    return torch.cat(parts)


@dataclass(frozen=True)
class Draws:
    """What chance decides for some samples of one global batch."""

    noise: Float[Tensor, "b c h w"]
    """Standard normal."""
    uniform: Float[Tensor, " b"]
    """In [0, 1): chooses the timestep."""
    drop: Bool[Tensor, " b"]
    """Whether the sample trains the null class; one draw for all conditions."""
    flip: Bool[Tensor, " b"]
    """Whether the image is mirrored."""


@dataclass(frozen=True)
class DrawConfig:
    """What the draws of a batch depend on besides the step."""

    seed: int
    global_batch_size: int
    label_drop: float
    flip: bool
    image_shape: tuple[int, int, int]


def draw(config: DrawConfig, step: int, rows: slice, device: str = "cpu") -> Draws:
    """Return the draws for `rows` of the global batch of one step.

    The whole batch is drawn and cut, so that the rows do not depend on how it is divided.
    """
    source = generator(config.seed, BATCH, step, device=device)
    size = config.global_batch_size
    noise = torch.randn(size, *config.image_shape, generator=source, device=device)
    uniform, dropped, flipped = torch.rand(3, size, generator=source, device=device)
    return Draws(noise[rows], uniform[rows], (dropped < config.label_drop)[rows], ((flipped < 0.5) & config.flip)[rows])
