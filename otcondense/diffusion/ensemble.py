"""Training many models of one shape at once: one step does the step of each of them.

Each model has its own data, order, noise, timesteps, drops and initial weights, as it has when it
is trained by itself, and ends with the same weights up to rounding. A GPU is faster with few large
operations than with many small ones; on a CPU little is won.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.diffusion.ensemble_network import Stacked, StackedNetwork, per_model, stacked
from otcondense.diffusion.forecast import forecast_training
from otcondense.diffusion.training import Batch, TrainState, learning_rate
from otcondense.diffusion.training_config import TrainingConfig

MOMENTS = ("exp_avg", "exp_avg_sq")
"""State that AdamW keeps for each parameter."""
CLIP_EPS = 1e-6
"""Added to the norm of a gradient before the division, as in `torch.nn.utils.clip_grad_norm_`."""
MEMORY_SHARE = 0.6
"""Share of the free memory for what the forecast counts. Ensembles keep 1.0 (float32) to 1.36
(bfloat16) of its activations, and the rest is for the backward pass, images and gaps."""
MOST_MODELS = 256
"""Most models at once where the memory has room for more: a GPU has enough to do by then, and each
has an open log."""
Moments = Mapping[str, Mapping[str, Tensor]]
"""Moments of AdamW by their name and the name of the weight."""


@dataclass
class Ensemble:
    """Models of one shape that are trained at once.

    The tensors of each member are parts of the stacked ones, so that a member can be saved or
    sampled like any other training.
    """

    members: list[TrainState]
    network: StackedNetwork
    """With the trained weights, each [models, ...]."""
    averages: Stacked
    optimizer: torch.optim.AdamW
    step: int
    """Number of finished steps."""

    @property
    def config(self) -> TrainingConfig:
        """The settings, which all members share but for the seed."""
        return self.members[0].config

    @cached_property
    def weights(self) -> list[Tensor]:
        """The trained weights."""
        return list(self.network.weights.values())

    @cached_property
    def averaged(self) -> list[Tensor]:
        """The averaged weights, in the order of `weights`."""
        return list(self.averages.values())


@dataclass(frozen=True)
class EnsembleMetrics:
    """The metrics of one step, on the device, so that nothing waits for them."""

    loss: Float[Tensor, " models"]
    grad_norm: Float[Tensor, " models"]
    """Before clipping."""


def same_but_for_seed(config: TrainingConfig) -> str:
    """Return a text that is the same for two trainings that one ensemble can do."""
    plain = config.model_copy(update={"seed": 0, "subsets": ()})
    return plain.model_dump_json()


def ensemble_of(states: Sequence[TrainState]) -> Ensemble:
    """Return the ensemble of some trainings that have finished the same number of steps.

    Their tensors become parts of the stacked ones.
    """
    first = states[0]
    assert len({state.step for state in states}) == 1, "members have finished as many steps"
    assert len({same_but_for_seed(state.config) for state in states}) == 1
    weights = stacked([dict(state.model.named_parameters()) for state in states])
    for values in weights.values():
        values.requires_grad_()
    averages = stacked([dict(state.ema.named_parameters()) for state in states])
    moments = {moment: stacked([_moments(state, moment) for state in states]) for moment in MOMENTS}
    for number, state in enumerate(states):
        _link(state, per_model(weights, number), per_model(averages, number))
        _link_moments(state, {key: per_model(moments[key], number) for key in MOMENTS})
        state.ensemble_size = max(state.ensemble_size, len(states))
    network = StackedNetwork(first.model, weights, first.config.global_batch_size)
    return Ensemble(
        list(states), network, averages, _optimizer(first, weights, moments), first.step
    )


def _moments(state: TrainState, moment: str) -> dict[str, Tensor]:
    """Return one moment of each weight; 0 before the first step."""
    found = {}
    for name, parameter in state.model.named_parameters():
        kept = state.optimizer.state.get(parameter, {})
        found[name] = kept.get(moment, torch.zeros_like(parameter.detach()))
    return found


def _link(state: TrainState, weights: Stacked, averages: Stacked) -> None:
    """Let the weights of a member be parts of the stacked ones."""
    for module, table in ((state.model, weights), (state.ema, averages)):
        for name, parameter in module.named_parameters():
            parameter.data = table[name].detach()


def _link_moments(state: TrainState, moments: Moments) -> None:
    for name, parameter in state.model.named_parameters():
        state.optimizer.state[parameter] = {key: moments[key][name] for key in MOMENTS}


def _optimizer(first: TrainState, weights: Stacked, moments: Moments) -> torch.optim.AdamW:
    """Return AdamW on the stacked weights, as after the finished steps."""
    config = first.config
    optimizer = torch.optim.AdamW(
        list(weights.values()),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )
    for name, values in weights.items():
        count = torch.tensor(float(first.step), dtype=torch.float32, device=values.device)
        own = {moment: moments[moment][name] for moment in MOMENTS}
        optimizer.state[values] = {"step": count, **own}
    return optimizer


def ensemble_losses(ensemble: Ensemble, batch: Batch) -> Float[Tensor, " models"]:
    """Return the mean loss of each member over its part of the batch.

    Args:
        ensemble: the models.
        batch: the images of all members one after another.
    """
    state = ensemble.members[0]
    draws = batch.draws
    labels = torch.where(draws.drop, state.model.num_classes, batch.labels)
    rounded = state.config.precision == "bfloat16"
    with torch.autocast(batch.x.device.type, dtype=torch.bfloat16, enabled=rounded):
        losses = state.objective.losses(
            ensemble.network, batch.x, draws.noise, draws.uniform, labels
        )
    return losses.view(len(ensemble.members), -1).mean(dim=1)


def ensemble_step(ensemble: Ensemble, batch: Batch) -> EnsembleMetrics:
    """Do one optimizer step of each member; gradients are clipped for each by itself."""
    config = ensemble.config
    for group in ensemble.optimizer.param_groups:
        group["lr"] = learning_rate(config, ensemble.step)
    ensemble.optimizer.zero_grad(set_to_none=True)
    losses = ensemble_losses(ensemble, batch)
    # The loss of a member depends on no other one's weights: the sum has the gradients of each.
    losses.sum().backward()  # type: ignore[no-untyped-call]
    norms = _clip(ensemble.weights, config.grad_clip)
    ensemble.optimizer.step()
    with torch.no_grad():
        torch._foreach_lerp_(ensemble.averaged, ensemble.weights, 1 - config.ema_decay)
    ensemble.step += 1
    for state in ensemble.members:
        state.step = ensemble.step
    return EnsembleMetrics(losses.detach(), norms)


@torch.no_grad()
def _clip(weights: Sequence[Tensor], limit: float | None) -> Float[Tensor, " models"]:
    """Scale the gradients of each model to a norm of at most `limit`; return the norms before."""
    gradients = [each.grad for each in weights if each.grad is not None]
    parts = [torch.linalg.vector_norm(each.flatten(1), dim=1) for each in gradients]
    norms: Tensor = torch.linalg.vector_norm(torch.stack(parts), dim=0)
    if limit is not None:
        factors = (limit / (norms + CLIP_EPS)).clamp(max=1.0)
        for each in gradients:
            each.mul_(factors.view(-1, *[1] * (each.dim() - 1)))
    return norms


def models_that_fit(
    config: TrainingConfig, num_classes: int, image_shape: tuple[int, int, int], free: int
) -> int:
    """Return how many models can be trained at once in `free` bytes, within 1 and `MOST_MODELS`.

    Each takes its weights, their average, gradients, moments, and the activations of its batch.
    """
    alone = config.model_copy(update={"num_workers": None, "accumulation": 1})
    each = forecast_training(alone, num_classes, image_shape).device_bytes
    return max(1, min(MOST_MODELS, int(MEMORY_SHARE * free) // each))
