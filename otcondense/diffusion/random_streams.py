"""Every random number of training as a function of (seed, step, position in the global batch).

Neither the number of workers nor the device changes them: they are drawn on the CPU.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from otcondense.diffusion.noise_shift import towards_noise

ORDER, BATCH, SAMPLE, POSTERIOR, SCORE, ATTACH, INDEPENDENT, LOSS = range(8)
"""Purposes of random streams; part of their keys."""

HALF = 0.5
"""Share of images that are mirrored."""


def stream(*key: int) -> int:
    """Return the 63-bit seed of the random stream that belongs to `key`."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(*key: int) -> torch.Generator:
    """Return a generator at the beginning of the random stream that belongs to `key`.

    It is of the CPU: the generators of other devices draw other numbers.
    """
    return torch.Generator().manual_seed(stream(*key))


def moved(values: Tensor, device: str | torch.device) -> Tensor:
    """Return values of the CPU, of any shape, on `device`.

    A copy to a GPU does not wait for the work that the GPU still has to do.
    """
    if torch.device(device).type == "cpu":
        return values
    return values.pin_memory().to(device, non_blocking=True)


def drawn_order(seed: int, epoch: int, num_images: int) -> Int[Tensor, " n"]:
    """Return the order in which one pass over the images visits them."""
    return torch.randperm(num_images, generator=generator(seed, ORDER, epoch))


Order = Callable[[int, int, int], Tensor]
"""From seed, number of the pass and number of images to the order of the images."""
epoch_order: Order = lru_cache(maxsize=4)(drawn_order)
"""The order of a pass; the last ones are kept."""


def batch_indices(
    seed: int, num_images: int, positions: range, order: Order = epoch_order
) -> Int[Tensor, " b"]:
    """Return the image at each of the consecutive `positions` of the endless sequence of passes.

    Args:
        seed: of the training.
        num_images: number of images.
        positions: positions in the sequence.
        order: returns the order of a pass.
    """
    parts = []
    start = positions.start
    while start < positions.stop:
        epoch, offset = divmod(start, num_images)
        part = order(seed, epoch, num_images)[offset : offset + positions.stop - start]
        parts.append(part)
        start += len(part)
    return torch.cat(parts)


@dataclass(frozen=True)
class Draws:
    """The random values of some samples of one global batch."""

    noise: Float[Tensor, "b c h w"]
    """Standard normal."""
    uniform: Float[Tensor, " b"]
    """In [0, 1): chooses the timestep."""
    drop: Bool[Tensor, " b"]
    """Whether the sample trains the null class; one draw for all conditions."""
    flip: Bool[Tensor, " b"]
    """Whether the image is mirrored."""
    posterior: Float[Tensor, "b c h w"] | None = None
    """Standard normal, to draw latents from their posterior; from a separate stream."""
    text_drop: Bool[Tensor, " b"] | None = None
    """Whether the text trains the null class, if drawn independently of the class."""
    token_flip: Bool[Tensor, " b"] | None = None
    """Whether the tokens are of the mirrored image, if drawn independently of the image."""


@dataclass(frozen=True)
class DrawConfig:
    """Everything that the draws of a batch depend on, except the step."""

    seed: int
    global_batch_size: int
    label_drop: float
    flip: bool
    image_shape: tuple[int, int, int]
    posterior: bool = False
    """Whether latents are drawn from their posterior."""
    independent: bool = False
    """Whether drops of the text and mirroring of the tokens are drawn independently
    (compat=authors)."""
    noise_shift: float = 1.0
    """Shift of the timesteps towards noise."""


def draw(config: DrawConfig, step: int, rows: slice, device: str = "cpu") -> Draws:
    """Return the draws for `rows` of the global batch of one step, on `device`.

    The whole batch is drawn and cut, so that the rows do not depend on how it is divided.
    """
    source = generator(config.seed, BATCH, step)
    size = config.global_batch_size
    noise = torch.randn(size, *config.image_shape, generator=source)
    uniform, dropped, flipped = torch.rand(3, size, generator=source)
    uniform = towards_noise(uniform, config.noise_shift)
    drawn = Draws(noise, uniform, dropped < config.label_drop, (flipped < HALF) & config.flip)
    if config.posterior:
        source = generator(config.seed, POSTERIOR, step)
        posterior = torch.randn(size, *config.image_shape, generator=source)
        drawn = replace(drawn, posterior=posterior)
    if config.independent:
        source = generator(config.seed, INDEPENDENT, step)
        text, tokens = torch.rand(2, size, generator=source)
        drawn = replace(
            drawn, text_drop=text < config.label_drop, token_flip=(tokens < HALF) & config.flip
        )

    cut: dict[str, Any] = {}
    for field in fields(drawn):
        value = getattr(drawn, field.name)
        cut[field.name] = None if value is None else moved(value[rows], device)
    return Draws(**cut)
