"""Noise prediction with learned variance: the objective of DiT."""

from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float, Int
from torch import Tensor

from otcondense.diffusion.gaussian_diffusion import (
    NUM_TIMESTEPS,
    GaussianSchedule,
    linear_schedule,
    respaced_schedule,
    variational_bound,
)
from otcondense.diffusion.objectives import Network
from otcondense.diffusion.solvers import Noise, Predictor, ReverseStep, SolverSettings, reverse


@dataclass(frozen=True)
class NoiseObjective:
    """The squared error of the noise plus the variational bound with its mean held fixed.

    Source: Nichol & Dhariwal, "Improved Denoising Diffusion Probabilistic Models" (2021),
    equation 16, in the weighting that Peebles & Xie's DiT trains with (both terms are means over
    the dimensions, with weight 1).
    """

    noise_time: float = NUM_TIMESTEPS - 1.0
    data_time: float = 0.0

    @cached_property
    def schedule(self) -> GaussianSchedule:
        """The full schedule."""
        return linear_schedule()

    @property
    def time_convention(self) -> str:
        """Meaning of the timestep."""
        return f"t=0 data, t={NUM_TIMESTEPS - 1} noise, network input t as a whole number"

    def losses(
        self,
        network: Network,
        x: Float[Tensor, "n c h w"],
        noise: Float[Tensor, "n c h w"],
        uniform: Float[Tensor, " n"],
        labels: Int[Tensor, " n"],
    ) -> Float[Tensor, " n"]:
        t = _timesteps(uniform)
        x_t = self.schedule.noised(x, noise, t)
        predicted, values = network(x_t, t.to(x.dtype), labels).float().chunk(2, dim=1)
        error = (predicted - noise).square().flatten(1).mean(dim=1)

        data = self.schedule.data_from_noise(x_t, predicted.detach(), t)
        mean = self.schedule.posterior_mean(data, x_t, t)
        log_variance = self.schedule.learned_log_variance(values, t)
        bound = variational_bound(self.schedule, (x, x_t), (mean, log_variance), t)
        return error + bound

    def denoising_errors(
        self,
        network: Network,
        x: Float[Tensor, "n c h w"],
        noise: Float[Tensor, "n c h w"],
        uniform: Float[Tensor, " n"],
        labels: Int[Tensor, " n"],
    ) -> Float[Tensor, " n"]:
        """Return the squared error of the noise, without the bound."""
        t = _timesteps(uniform)
        output = network(self.schedule.noised(x, noise, t), t.to(x.dtype), labels)
        predicted = output[:, : x.shape[1]].float()
        return (predicted - noise).square().flatten(1).mean(dim=1)

    def sample(
        self, predict: Predictor, noise: Noise, settings: SolverSettings
    ) -> Float[Tensor, "b c h w"]:
        """Run the reverse diffusion: `ddpm` draws noise at every step, `ddim` draws none."""
        step = ReverseStep(respaced_schedule(settings.num_steps), settings.clip)
        return reverse(step, predict, noise, stochastic=settings.method == "ddpm")


def _timesteps(uniform: Float[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Return the whole timesteps that draws in [0, 1) choose."""
    return (uniform * NUM_TIMESTEPS).long().clamp(max=NUM_TIMESTEPS - 1)


DIT = NoiseObjective()
