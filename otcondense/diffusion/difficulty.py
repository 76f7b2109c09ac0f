"""Denoising difficulty: the error of a frozen diffusion model's prediction for each image.

Source: "Diffusion dataset condensation" (D2C, arXiv:2507.05914), the Select stage: the mean error
over a set of timesteps. The paper leaves some choices open. They are fixed here and recorded with
the scores: evenly spread timesteps, the same noise for all images at each, and latents at the mean
of their posterior.
"""

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from otcondense.diffusion.denoising_config import DenoisingConfig
from otcondense.diffusion.model import Transformer
from otcondense.diffusion.objectives import load_objective
from otcondense.diffusion.random_streams import SCORE, generator, moved
from otcondense.errors import InputError

__all__ = ["DenoisingConfig", "denoising_errors", "score_times"]


def score_times(config: DenoisingConfig) -> list[float]:
    """Return the times at which the errors are measured, in (0, 1)."""
    return [(number + 0.5) / config.num_timesteps for number in range(config.num_timesteps)]


@torch.inference_mode()
def denoising_errors(
    model: Transformer,
    objective: str,
    x: Float[Tensor, "n c h w"],
    labels: Int[Tensor, " n"],
    config: DenoisingConfig,
) -> Float32[Tensor, " n"]:
    """Return the mean squared error of the prediction for each image.

    DiT predicts the noise, SiT the velocity. The mean is over dimensions and timesteps.

    Args:
        model: frozen model, on the device to compute on.
        objective: name in `OBJECTIVES` of the objective it was trained with.
        x: images in [-1, 1], or scaled latents.
        labels: class of each.
        config: timesteps, noise and batch size.

    Raises: InputError for classes that are unknown to the model.
    """
    if len(labels) and int(labels.max()) >= model.num_classes:
        raise InputError(
            f"the scoring model knows the classes 0 to {model.num_classes - 1}, "
            f"found class {int(labels.max())}"
        )
    device = model.pos_embed.device
    parts = []
    for start in range(0, len(x), config.batch_size):
        batch = x[start : start + config.batch_size]
        classes = labels[start : start + config.batch_size]

        spare = config.batch_size - len(batch)
        padded = torch.cat([batch, batch[-1:].expand(spare, -1, -1, -1)]).to(device)
        filled = torch.cat([classes, classes[-1:].expand(spare)]).to(device)

        errors = _batch_errors(model, objective, padded, filled, config)
        parts.append(errors[: len(batch)].cpu())
    return torch.cat(parts)


def _batch_errors(
    model: Transformer, objective: str, x: Tensor, labels: Tensor, config: DenoisingConfig
) -> Tensor:
    trained_with = load_objective(objective)
    total = torch.zeros(len(x), device=x.device)
    for number, time in enumerate(score_times(config)):
        one = torch.randn(model.image_shape, generator=generator(config.seed, SCORE, number))
        noise = moved(one, x.device).expand_as(x)
        uniform = torch.full((len(x),), time, device=x.device)
        total += trained_with.denoising_errors(model, x, noise, uniform, labels)
    return total / config.num_timesteps
