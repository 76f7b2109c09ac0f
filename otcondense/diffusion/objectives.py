"""What the network is trained to predict: the losses of SiT and DiT behind one face, and their registry."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from otcondense.diffusion.gaussian_diffusion import (
    NUM_TIMESTEPS,
    GaussianSchedule,
    linear_schedule,
    variational_bound,
)
from otcondense.diffusion.interpolants import (
    TIME_CONVENTION,
    GeneralizedVariancePreserving,
    Interpolant,
    Linear,
)
from otcondense.diffusion.sizes import ModelConfig
from otcondense.errors import InputError

Network = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A model, wrapped or not: noisy images [n, c, h, w], timesteps [n] and labels [n] in; raw output [n, k, h, w] out."""


@runtime_checkable
class Objective(Protocol):
    """A training objective."""

    @property
    def time_convention(self) -> str:
        """What the timestep means; kept in every checkpoint."""

    def losses(
        self,
        network: Network,
        x: Float[Tensor, "n c h w"],
        noise: Float[Tensor, "n c h w"],
        uniform: Float[Tensor, " n"],
        labels: Int[Tensor, " n"],
    ) -> Float[Tensor, " n"]:
        """Return the loss of each sample.

        Args:
            network: the model.
            x: clean images or latents; images in [-1, 1].
            noise: standard normal draws.
            uniform: draws in [0, 1) that choose the timesteps.
            labels: class indices, the dropped ones already replaced by the null class.
        """


@dataclass(frozen=True)
class VelocityObjective:
    """Flow matching: the squared error of the velocity along an interpolant.

    Source: Ma et al., "SiT" (2024), equation 5 of section 2 (velocity loss), uniform timesteps.
    """

    interpolant: Interpolant

    @property
    def time_convention(self) -> str:
        """What the timestep means."""
        return f"{type(self.interpolant).__name__} interpolant, {TIME_CONVENTION} in [0, 1]"

    def velocity(
        self,
        network: Network,
        x_t: Float[Tensor, "n c h w"],
        t: Float[Tensor, " n"],
        labels: Int[Tensor, " n"],
    ) -> Float[Tensor, "n c h w"]:
        """Return the predicted velocity; outputs beyond the image's channels are not used."""
        return network(x_t, t, labels)[:, : x_t.shape[1]].float()

    def losses(
        self,
        network: Network,
        x: Float[Tensor, "n c h w"],
        noise: Float[Tensor, "n c h w"],
        uniform: Float[Tensor, " n"],
        labels: Int[Tensor, " n"],
    ) -> Float[Tensor, " n"]:
        path, t = self.interpolant, uniform.view(-1, 1, 1, 1)
        x_t = path.alpha(t) * x + path.sigma(t) * noise
        target = path.alpha_derivative(t) * x + path.sigma_derivative(t) * noise
        return (
            (self.velocity(network, x_t, uniform, labels) - target).square().flatten(1).mean(dim=1)
        )


@dataclass(frozen=True)
class NoiseObjective:
    """Noise prediction with learned variance: squared error of the noise plus the variational bound with its mean held fixed.

    Source: Nichol & Dhariwal, "Improved Denoising Diffusion Probabilistic Models" (2021), equation 16, in the weighting
    that Peebles & Xie's DiT trains with (both terms are means over the dimensions, with weight 1).
    """

    @cached_property
    def schedule(self) -> GaussianSchedule:
        """The full schedule."""
        return linear_schedule()

    @property
    def time_convention(self) -> str:
        """What the timestep means."""
        return f"t=0 data, t={NUM_TIMESTEPS - 1} noise, network input t as a whole number"

    def losses(
        self,
        network: Network,
        x: Float[Tensor, "n c h w"],
        noise: Float[Tensor, "n c h w"],
        uniform: Float[Tensor, " n"],
        labels: Int[Tensor, " n"],
    ) -> Float[Tensor, " n"]:
        t = (uniform * NUM_TIMESTEPS).long().clamp(max=NUM_TIMESTEPS - 1)
        x_t = self.schedule.noised(x, noise, t)
        predicted, values = network(x_t, t.to(x.dtype), labels).float().chunk(2, dim=1)
        error = (predicted - noise).square().flatten(1).mean(dim=1)
        mean = self.schedule.posterior_mean(
            self.schedule.data_from_noise(x_t, predicted.detach(), t), x_t, t
        )
        bound = variational_bound(
            self.schedule, (x, x_t), (mean, self.schedule.learned_log_variance(values, t)), t
        )
        return error + bound


OBJECTIVES: dict[str, Objective] = {
    "sit-linear": VelocityObjective(Linear()),
    "sit-gvp": VelocityObjective(GeneralizedVariancePreserving()),
    "dit": NoiseObjective(),
}
DEFAULT_OBJECTIVE = {"SiT": "sit-linear", "DiT": "dit"}


def resolve_objective(name: str, model: ModelConfig) -> str:
    """Return the registry name of the objective; `auto` takes the model family's own.

    Raises: InputError for an unknown name, or one that the model cannot be trained with.
    """
    chosen = DEFAULT_OBJECTIVE[model.size.family] if name == "auto" else name
    if chosen not in OBJECTIVES:
        raise InputError(f"objective must be one of auto, {', '.join(OBJECTIVES)}; found {name!r}")
    if chosen == "dit" and not model.learn_sigma:
        raise InputError(
            "objective dit learns the variance and needs model.learn_sigma=true, found false"
        )
    return chosen
