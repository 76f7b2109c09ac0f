"""Sampling from many models of one shape at once; each image is that of its model by itself.

Noise and class of an image are functions of (seed, image index). Models of a comparison share
seeds: what is drawn from a seed is drawn once for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from otcondense.diffusion.ensemble_network import StackedNetwork, stacked
from otcondense.diffusion.model import Transformer
from otcondense.diffusion.random_streams import moved
from otcondense.diffusion.sampler import ImageNoise, image_labels, noise_ahead, solve
from otcondense.diffusion.sampler_config import SamplerConfig
from otcondense.diffusion.solvers import Noise
from otcondense.store.images import to_bytes

Samples = tuple[UInt8[Tensor, "b c h w"], Int[Tensor, " b"]]
"""Images as bytes and their classes."""


@dataclass(frozen=True)
class SharedNoise:
    """The noise of several models, drawn once for each seed."""

    sources: list[Noise]
    """One for each seed."""
    rows: Int[Tensor, " models"]
    """The source of each model."""

    def draw(self) -> Float[Tensor, "n c h w"]:
        """Return the next draw of every image, model by model."""
        drawn = torch.stack([source.draw() for source in self.sources])
        return drawn[self.rows].flatten(0, 1)


def sampled_alike(config: SamplerConfig) -> str:
    """Return a text that is the same for two samplers that can work at once."""
    plain = config.model_copy(update={"seed": 0, "classes": (), "num_samples": 1})
    return plain.model_dump_json()


@torch.inference_mode()
def sample_models(
    models: Sequence[Transformer],
    objective: str,
    indices: Int[Tensor, " b"],
    configs: Sequence[SamplerConfig],
) -> list[Samples]:
    """Sample the images of at most `batch_size` indices from each of several models of pixels.

    Args:
        models: trained models of one shape, on the device to compute on.
        objective: name in `OBJECTIVES` of the objective that they were trained with.
        indices: image indices, the same for all models.
        configs: the sampler of each model; they differ in seeds and classes only.

    Returns: what `sample_batch` returns for each model, up to rounding.

    Raises: InputError as `sample_batch` does.
    """
    config = configs[0]
    assert 0 < len(indices) <= config.batch_size
    assert len({sampled_alike(each) for each in configs}) == 1
    spare = config.batch_size - len(indices)
    padded = torch.cat([indices, indices[-1:].expand(spare)])
    labels = [image_labels(each, padded, models[0].num_classes) for each in configs]

    device = models[0].pos_embed.device
    noise = _shared_noise(configs, padded, models[0].image_shape, device)
    weights = stacked([dict(model.named_parameters()) for model in models])
    network = StackedNetwork(models[0], weights, config.batch_size)
    with noise_ahead(noise, 1 + config.num_steps, device) as ready:
        x = solve((network, None), objective, moved(torch.cat(labels), device), config, ready)

    by_model = to_bytes(x).reshape(len(models), config.batch_size, *x.shape[1:])
    images = by_model[:, : len(indices)].cpu()
    return [(one, each[: len(indices)]) for one, each in zip(images, labels, strict=True)]


def _shared_noise(
    configs: Sequence[SamplerConfig],
    indices: Int[Tensor, " b"],
    shape: tuple[int, int, int],
    device: torch.device,
) -> SharedNoise:
    seeds = [config.seed for config in configs]
    distinct = list(dict.fromkeys(seeds))
    sources: list[Noise] = [ImageNoise(seed, indices, shape, device) for seed in distinct]
    # Copied at once: the thread that draws ahead reads it on a stream of its own.
    rows = torch.tensor([distinct.index(seed) for seed in seeds], device=device)
    return SharedNoise(sources, rows)
