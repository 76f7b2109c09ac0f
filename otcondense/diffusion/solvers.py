"""From noise to data, step by step.

There are steps of the velocity's differential equation, of its stochastic form, and of the reverse
Gaussian diffusion.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.diffusion.gaussian_diffusion import GaussianSchedule
from otcondense.diffusion.interpolants import Interpolant
from otcondense.diffusion.noise_shift import towards_noise

Predictor = Callable[[Tensor, float], Tensor]
"""From a batch [b, c, h, w] and its timestep to the network's output [b, k, h, w]."""


@dataclass(frozen=True)
class SolverSettings:
    """The steps from noise to data."""

    method: str
    """Sampling method of the objective."""
    num_steps: int
    clip: bool = True
    """Clip predicted images to [-1, 1]; for methods that predict them."""
    noise_shift: float = 1.0
    """Shift of the steps towards noise; for heun and euler."""


@runtime_checkable
class Noise(Protocol):
    """The source of a sampler's noise."""

    def draw(self) -> Float[Tensor, "b c h w"]:
        """Return the next standard normal draw of every image."""


def integrate(
    velocity: Predictor,
    x: Float[Tensor, "b c h w"],
    num_steps: int,
    *,
    heun: bool,
    noise_shift: float = 1.0,
) -> Float[Tensor, "b c h w"]:
    """Return the solution at t = 1 of dx/dt = velocity(x, t) from `x` at t = 0.

    The steps are equal unless they are shifted, of Heun (order 2) or Euler (order 1).
    """
    for step in range(num_steps):
        start = towards_noise(step / num_steps, noise_shift)
        end = towards_noise((step + 1) / num_steps, noise_shift)
        slope = velocity(x, start)
        if heun:
            slope = (slope + velocity(x + (end - start) * slope, end)) / 2
        x = x + (end - start) * slope
    return x


@dataclass(frozen=True)
class ReverseStep:
    """Steps of the reverse Gaussian diffusion on a respaced schedule."""

    schedule: GaussianSchedule
    clip: bool
    """Clip the predicted clean images to [-1, 1]."""

    def predict(self, output: Tensor, x: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return the predicted clean images, and the noise that goes with them."""
        t = torch.full((len(x),), step, dtype=torch.long, device=x.device)
        noise = output[:, : x.shape[1]]
        data = self.schedule.data_from_noise(x, noise, t)
        if not self.clip:
            return data, noise
        data = data.clamp(-1, 1)
        kept = float(self.schedule.alphas_cumprod[step])
        return data, (x - math.sqrt(kept) * data) / math.sqrt(1 - kept)

    def ddpm(self, output: Tensor, x: Tensor, step: int, noise: Tensor) -> Tensor:
        """Sample p(x_{t-1} | x_t) with the learned variance.

        Source: Nichol & Dhariwal (2021), equation 15.
        """
        t = torch.full((len(x),), step, dtype=torch.long, device=x.device)
        data, _ = self.predict(output, x, step)
        mean = self.schedule.posterior_mean(data, x, t)
        log_variance = self.schedule.learned_log_variance(output[:, x.shape[1] :], t)
        return mean if step == 0 else torch.addcmul(mean, torch.exp(0.5 * log_variance), noise)

    def ddim(self, output: Tensor, x: Tensor, step: int) -> Tensor:
        """Take a deterministic step.

        Source: Song et al., "Denoising Diffusion Implicit Models" (2021), equation 12 with
        sigma = 0.
        """
        data, noise = self.predict(output, x, step)
        kept = float(self.schedule.previous[step])
        return math.sqrt(kept) * data + math.sqrt(1 - kept) * noise


@dataclass(frozen=True)
class EulerMaruyama:
    """Steps of the stochastic equation dx = (v + w s) dt + sqrt(2 w) dW with w = sigma(t).

    It has the marginals of the differential equation. The steps are equal from t = 0 up to the
    last, of length `last_step`, which is taken without noise.

    Source: Ma et al., "SiT" (2024), equations 6 and 9 of section 2 and the settings of its appendix
    (w = sigma, last step 0.04).
    """

    interpolant: Interpolant
    num_steps: int
    last_step: float = 0.04
    """Length of the last step; the paper's value."""

    def drift(self, velocity: Tensor, x: Tensor, t: float) -> tuple[Tensor, float]:
        """Return v + w s at time t, and w."""
        time = torch.tensor(t, dtype=torch.float64)
        path = self.interpolant
        alpha = float(path.alpha(time))
        sigma = float(path.sigma(time))
        alpha_slope = float(path.alpha_derivative(time))
        sigma_slope = float(path.sigma_derivative(time))

        # The score is (alpha v - alpha' x) / (sigma (alpha' sigma - alpha sigma')). In w s with
        # w = sigma, sigma cancels.
        determinant = alpha_slope * sigma - alpha * sigma_slope
        scaled_score = (alpha * velocity - alpha_slope * x) / determinant
        return velocity + scaled_score, sigma

    def __call__(self, velocity: Predictor, noise: Noise) -> Float[Tensor, "b c h w"]:
        """Return samples at t = 1 that start from the first draw of `noise`."""
        x = noise.draw()
        end = 1 - self.last_step
        length = end / self.num_steps
        for step in range(self.num_steps):
            t = step * length
            drift, diffusion = self.drift(velocity(x, t), x, t)
            x = x + length * drift + math.sqrt(2 * diffusion * length) * noise.draw()

        drift, _ = self.drift(velocity(x, end), x, end)
        return x + self.last_step * drift


def reverse(
    reverse_step: ReverseStep, guided: Predictor, noise: Noise, *, stochastic: bool
) -> Float[Tensor, "b c h w"]:
    """Return the end of the reverse diffusion that starts from the first draw of `noise`."""
    x = noise.draw()
    for step in reversed(range(len(reverse_step.schedule.betas))):
        output = guided(x, float(reverse_step.schedule.timesteps[step]))
        if stochastic:
            x = reverse_step.ddpm(output, x, step, noise.draw())
        else:
            x = reverse_step.ddim(output, x, step)
    return x
