"""The batches of many trainings at once: those of each training by itself, one after another.

Trainings of a comparison share seeds: what is drawn from a seed is drawn once for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from jaxtyping import Int
from torch import Tensor

from otcondense.diffusion.data import Pixels, TrainingSet
from otcondense.diffusion.random_streams import (
    DrawConfig,
    Draws,
    Order,
    batch_indices,
    draw,
    drawn_order,
    moved,
)
from otcondense.diffusion.training import Batch
from otcondense.diffusion.training_config import TrainingConfig

PASSES = 2
"""Orders of passes that are kept for each training: a batch can end one and begin the next."""


@dataclass(frozen=True)
class EnsembleData:
    """The images of several trainings, one after another, and how each draws from its own."""

    config: TrainingConfig
    """The settings, which all trainings share but for the seed."""
    seeds: tuple[int, ...]
    """Of each training."""
    sizes: tuple[int, ...]
    """Number of images of each training."""
    images: TrainingSet
    """Of all trainings, on the device to compute on."""

    @cached_property
    def distinct(self) -> list[int]:
        """The seeds, each once."""
        return list(dict.fromkeys(self.seeds))

    @cached_property
    def _order(self) -> Order:
        return lru_cache(maxsize=PASSES * len(self.seeds))(drawn_order)

    def indices(self, step: int) -> Int[Tensor, " n"]:
        """Return the places of the batches of all trainings, on the CPU."""
        size = self.config.global_batch_size
        positions = range(step * size, (step + 1) * size)
        parts = []
        start = 0
        for seed, count in zip(self.seeds, self.sizes, strict=True):
            parts.append(start + batch_indices(seed, count, positions, self._order))
            start += count
        return torch.cat(parts)

    def draws(self, step: int) -> Draws:
        """Return the draws of all trainings, on the device."""
        config = self.config
        shape = self.images.source.image_shape
        drawn = []
        for seed in self.distinct:
            settings = DrawConfig(
                seed,
                config.global_batch_size,
                config.label_drop,
                config.flip,
                shape,
                noise_shift=config.noise_shift,
            )
            drawn.append(draw(settings, step, slice(None)))
        device = self.images.labels.device
        rows = moved(torch.tensor([self.distinct.index(seed) for seed in self.seeds]), device)

        def spread(values: list[Tensor]) -> Tensor:
            return moved(torch.stack(values), device)[rows].flatten(0, 1)

        return Draws(
            spread([each.noise for each in drawn]),
            spread([each.uniform for each in drawn]),
            spread([each.drop for each in drawn]),
            spread([each.flip for each in drawn]),
        )


def ensemble_data(
    configs: Sequence[TrainingConfig], sets: Sequence[TrainingSet], device: str = "cpu"
) -> EnsembleData:
    """Return the joined images of several trainings on pixels of one shape.

    Args:
        configs: settings of each training, equal but for the seed.
        sets: images of each training, on the CPU.
        device: where to compute.
    """
    sources = []
    for each in sets:
        assert isinstance(each.source, Pixels), "an ensemble is trained on pixels"
        assert each.labels.device.type == "cpu"
        sources.append(each.source.images)
    # Joined before the copy, which ends here: the thread that makes batches ahead has a stream of
    # its own, and would not wait for work on the device.
    images = Pixels(torch.cat(sources).to(device))
    labels = torch.cat([each.labels for each in sets]).to(device)
    return EnsembleData(
        configs[0],
        tuple(config.seed for config in configs),
        tuple(each.num_images for each in sets),
        TrainingSet(images, labels),
    )


def make_ensemble_batch(data: EnsembleData, step: int) -> Batch:
    """Return the batches of one step of all trainings, one after another."""
    indices = moved(data.indices(step), data.images.labels.device)
    draws = data.draws(step)
    return Batch(data.images.source.take(indices, draws), data.images.labels[indices], draws)
