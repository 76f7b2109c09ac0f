"""Denoising difficulty: how badly a frozen diffusion model predicts what was added to an image.

Source: "Diffusion dataset condensation" (D2C, arXiv:2507.05914), the Select stage: the mean error over a set of
timesteps. What the paper leaves open is fixed here and recorded with the scores: evenly spread timesteps, the same
noise for all images at each, and latents at the mean of their posterior.
"""

import torch
from jaxtyping import Float, Float32, Int
from pydantic import Field
from torch import Tensor

from otcondense.config import Config
from otcondense.diffusion.gaussian_diffusion import NUM_TIMESTEPS
from otcondense.diffusion.model import Transformer
from otcondense.diffusion.objectives import OBJECTIVES, NoiseObjective, VelocityObjective
from otcondense.diffusion.random_streams import SCORE, generator
from otcondense.errors import InputError


class DenoisingConfig(Config):
    """Which frozen model scores, and at which timesteps."""

    checkpoint: str | None = None
    """Directory of the model's checkpoint: of this run (training/…/checkpoints/step-…), or an absolute path such as one that
    `python -m jobs.convert from-public` wrote."""
    weights: str = "ema"
    """Averaged (ema) or last (model) weights."""
    num_timesteps: int = Field(default=10, ge=1, le=NUM_TIMESTEPS)
    """Number of timesteps, in the middle of as many equal parts of the way."""
    batch_size: int = Field(default=64, ge=1)
    """Images per forward pass; the last batch is padded."""
    seed: int = Field(default=0, ge=0)
    """Seed of the noise, the same for all images."""


def score_times(config: DenoisingConfig) -> list[float]:
    """Return where on the way the errors are measured, in (0, 1)."""
    return [(number + 0.5) / config.num_timesteps for number in range(config.num_timesteps)]


@torch.inference_mode()
def denoising_errors(
    model: Transformer,
    objective: str,
    x: Float[Tensor, "n c h w"],
    labels: Int[Tensor, " n"],
    config: DenoisingConfig,
) -> Float32[Tensor, " n"]:
    """Return the mean squared error of the predicted noise (DiT) or velocity (SiT) of each image, a mean over dimensions and timesteps.

    Args:
        model: frozen model, on the device to compute on.
        objective: name in `OBJECTIVES` of what it was trained to predict.
        x: images in [-1, 1], or scaled latents.
        labels: class of each.
        config: timesteps, noise and batch size.

    Raises: InputError for classes that the model does not know.
    """
    if len(labels) and int(labels.max()) >= model.num_classes:
        raise InputError(
            f"the scoring model knows the classes 0 to {model.num_classes - 1}, found class {int(labels.max())}"
        )
    parts, size = [], config.batch_size
    for start in range(0, len(x), size):
        batch, classes = x[start : start + size], labels[start : start + size]
        spare = size - len(batch)
        padded = torch.cat([batch, batch[-1:].expand(spare, -1, -1, -1)]).to(model.pos_embed.device)
        filled = torch.cat([classes, classes[-1:].expand(spare)]).to(model.pos_embed.device)
        parts.append(_batch_errors(model, objective, padded, filled, config)[: len(batch)].cpu())
    return torch.cat(parts)


def _batch_errors(
    model: Transformer, objective: str, x: Tensor, labels: Tensor, config: DenoisingConfig
) -> Tensor:
    kind, total = OBJECTIVES[objective], torch.zeros(len(x), device=x.device)
    for number, time in enumerate(score_times(config)):
        one = torch.randn(model.image_shape, generator=generator(config.seed, SCORE, number))
        noise, uniform = one.to(x.device).expand_as(x), torch.full((len(x),), time, device=x.device)
        total += _errors(model, kind, (x, noise), uniform, labels)
    return total / config.num_timesteps


def _errors(
    model: Transformer, kind: object, pair: tuple[Tensor, Tensor], uniform: Tensor, labels: Tensor
) -> Tensor:
    x, noise = pair
    if isinstance(kind, VelocityObjective):
        return kind.losses(model, x, noise, uniform, labels)
    assert isinstance(kind, NoiseObjective)
    t = (uniform * NUM_TIMESTEPS).long()
    predicted: Tensor = model(kind.schedule.noised(x, noise, t), t.to(x.dtype), labels)[
        :, : x.shape[1]
    ]
    return (predicted.float() - noise).square().flatten(1).mean(dim=1)
