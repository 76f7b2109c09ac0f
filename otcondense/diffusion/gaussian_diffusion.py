"""The discrete Gaussian diffusion of DiT: its schedule, its posterior and its variational bound.

Source: Ho et al., "Denoising Diffusion Probabilistic Models" (2020), equations 4, 6, 7; Nichol &
Dhariwal, "Improved Denoising Diffusion Probabilistic Models" (2021), equations 14 to 16.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.diffusion.schedule_constants import BETA_FIRST, BETA_LAST, NUM_TIMESTEPS

__all__ = [
    "NUM_TIMESTEPS",
    "PIXEL_STEP",
    "GaussianSchedule",
    "discretized_log_likelihood",
    "linear_schedule",
    "normal_kl",
    "respaced_schedule",
    "variational_bound",
]

PIXEL_STEP = 2 / 255
"""Distance of two neighbouring 8-bit values on the scale of [-1, 1]."""
OUTERMOST = 0.999
"""Beyond this absolute value a pixel is in the first or last of the 256 bins: their values are
1."""
SMALLEST_PROBABILITY = 1e-12
"""Keeps the logarithm finite, as in the reference implementation of Nichol & Dhariwal."""


@dataclass(frozen=True)
class GaussianSchedule:
    """A variance schedule over some steps of the full schedule; training uses all of them."""

    betas: Float[Tensor, " steps"]
    """Variance added at each step, float64."""
    timesteps: Int[Tensor, " steps"]
    """Input of the network at each step: the index in the full schedule."""
    _copies: dict[tuple[str, torch.device], Tensor] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Tables by name and device: a copy at each step would make the GPU wait."""

    @cached_property
    def alphas_cumprod(self) -> Float[Tensor, " steps"]:
        """Share of the data's variance that is left after each step."""
        return torch.cumprod(1 - self.betas, dim=0)

    @cached_property
    def previous(self) -> Float[Tensor, " steps"]:
        """`alphas_cumprod` one step earlier; 1 before the first."""
        return torch.cat([torch.ones(1, dtype=torch.float64), self.alphas_cumprod[:-1]])

    @cached_property
    def posterior_variance(self) -> Float[Tensor, " steps"]:
        """Variance of q(x_{t-1} | x_t, x_0), equation 7 of Ho et al.; 0 at the first step."""
        return self.betas * (1 - self.previous) / (1 - self.alphas_cumprod)

    @cached_property
    def min_log_variance(self) -> Float[Tensor, " steps"]:
        """Logarithm of the posterior variance, the first step's replaced by the second's."""
        if len(self.betas) == 1:
            return self.betas.log()
        return torch.cat([self.posterior_variance[1:2], self.posterior_variance[1:]]).log()

    @cached_property
    def max_log_variance(self) -> Float[Tensor, " steps"]:
        """Logarithm of the variance added at each step."""
        return self.betas.log()

    @cached_property
    def data_weight(self) -> Float[Tensor, " steps"]:
        """Weight of x_0 in the mean of the posterior, equation 7 of Ho et al."""
        return self.betas * self.previous.sqrt() / (1 - self.alphas_cumprod)

    @cached_property
    def noisy_weight(self) -> Float[Tensor, " steps"]:
        """Weight of x_t in the mean of the posterior, equation 7 of Ho et al."""
        return (1 - self.previous) * (1 - self.betas).sqrt() / (1 - self.alphas_cumprod)

    def per_sample(self, table: str, t: Int[Tensor, " n"]) -> Float[Tensor, "n 1 1 1"]:
        """Return the value of a table at each sample's step, shaped to broadcast over images.

        Args:
            table: name of the attribute.
            t: step of each sample.
        """
        key = (table, t.device)
        if key not in self._copies:
            self._copies[key] = getattr(self, table).to(t.device)
        return self._copies[key][t].view(-1, 1, 1, 1)

    def noised(
        self, x: Float[Tensor, "n c h w"], noise: Float[Tensor, "n c h w"], t: Int[Tensor, " n"]
    ) -> Float[Tensor, "n c h w"]:
        """Return a sample of q(x_t | x_0), equation 4 of Ho et al."""
        kept = self.per_sample("alphas_cumprod", t)
        return kept.sqrt().to(x.dtype) * x + (1 - kept).sqrt().to(x.dtype) * noise

    def data_from_noise(
        self, x_t: Float[Tensor, "n c h w"], noise: Float[Tensor, "n c h w"], t: Int[Tensor, " n"]
    ) -> Float[Tensor, "n c h w"]:
        """Return the x_0 that `noise` implies; the inverse of `noised`."""
        kept = self.per_sample("alphas_cumprod", t)
        return kept.rsqrt().to(x_t.dtype) * x_t - (1 / kept - 1).sqrt().to(x_t.dtype) * noise

    def posterior_mean(
        self, x: Float[Tensor, "n c h w"], x_t: Float[Tensor, "n c h w"], t: Int[Tensor, " n"]
    ) -> Float[Tensor, "n c h w"]:
        """Return the mean of q(x_{t-1} | x_t, x_0), equation 7 of Ho et al."""
        of_data = self.per_sample("data_weight", t).to(x.dtype)
        of_noisy = self.per_sample("noisy_weight", t).to(x.dtype)
        return of_data * x + of_noisy * x_t

    def learned_log_variance(
        self, values: Float[Tensor, "n c h w"], t: Int[Tensor, " n"]
    ) -> Float[Tensor, "n c h w"]:
        """Interpolate between the smallest and the largest sensible log-variance.

        `values` are in [-1, 1]; equation 15 of Nichol & Dhariwal.
        """
        low = self.per_sample("min_log_variance", t).to(values.dtype)
        high = self.per_sample("max_log_variance", t).to(values.dtype)
        share = (values + 1) / 2
        return share * high + (1 - share) * low


def linear_schedule() -> GaussianSchedule:
    """Return the 1000 linear steps of Ho et al., section 4."""
    return GaussianSchedule(
        torch.linspace(BETA_FIRST, BETA_LAST, NUM_TIMESTEPS, dtype=torch.float64),
        torch.arange(NUM_TIMESTEPS),
    )


@lru_cache(maxsize=4)
def respaced_schedule(num_steps: int) -> GaussianSchedule:
    """Return `num_steps` evenly spread steps with the full schedule's marginals.

    The first and the last step of the full schedule are included. The schedule is kept with the
    copies of its tables on devices, for the next batch of samples.

    Source: Nichol & Dhariwal (2021), section 4 (equation 19).
    """
    assert 1 <= num_steps <= NUM_TIMESTEPS
    last = NUM_TIMESTEPS - 1
    kept = torch.linspace(0, last, num_steps, dtype=torch.float64).round().long()
    if num_steps == 1:
        kept = torch.tensor([last])
    cumprod = linear_schedule().alphas_cumprod[kept]
    before = torch.cat([torch.ones(1, dtype=torch.float64), cumprod[:-1]])
    return GaussianSchedule(1 - cumprod / before, kept)


def normal_kl(mean1: Tensor, log_variance1: Tensor, mean2: Tensor, log_variance2: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence KL(N1 || N2) of each element, in nats."""
    ratio = torch.exp(log_variance1 - log_variance2)
    return 0.5 * (
        log_variance2
        - log_variance1
        + ratio
        + (mean1 - mean2).square() * torch.exp(-log_variance2)
        - 1
    )


def discretized_log_likelihood(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the log-probability, in nats, of the 8-bit bin of each `x` under a Gaussian.

    `x` is in [-1, 1]. The first and the last bin reach to infinity. Source: Ho et al. (2020),
    equation 13.
    """
    scale = torch.exp(-0.5 * log_variance)
    upper = torch.special.ndtr(scale * (x - mean + PIXEL_STEP / 2))
    lower = torch.special.ndtr(scale * (x - mean - PIXEL_STEP / 2))
    not_first = torch.where(x > OUTERMOST, 1 - lower, upper - lower)
    probability = torch.where(x < -OUTERMOST, upper, not_first)
    return probability.clamp(min=SMALLEST_PROBABILITY).log()


def variational_bound(
    schedule: GaussianSchedule,
    data: tuple[Tensor, Tensor],
    predicted: tuple[Tensor, Tensor],
    t: Int[Tensor, " n"],
) -> Float[Tensor, " n"]:
    """Return one term of the variational bound for each sample, in bits per dimension.

    Args:
        schedule: the schedule the steps belong to.
        data: clean images x_0 and noisy images x_t.
        predicted: mean and log-variance of p(x_{t-1} | x_t).
        t: step of each sample. Step 0 is the discretised likelihood; the others are divergences
            from the posterior.
    """
    x, x_t = data
    mean, log_variance = predicted
    truth = schedule.per_sample("min_log_variance", t).to(x.dtype).expand_as(x)
    divergence = normal_kl(schedule.posterior_mean(x, x_t, t), truth, mean, log_variance)
    likelihood = -discretized_log_likelihood(x, mean, log_variance)
    first = (t == 0).view(-1, 1, 1, 1)
    return torch.where(first, likelihood, divergence).flatten(1).mean(dim=1) / math.log(2)
