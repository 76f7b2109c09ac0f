"""Paths from noise to data: x_t = alpha(t) * data + sigma(t) * noise.

t = 0 is noise, t = 1 is data.
"""

import math
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

TIME_CONVENTION = "t=0 noise, t=1 data, velocity = d x_t / d t, network input t"


@runtime_checkable
class Interpolant(Protocol):
    """A path and its derivative; every method maps timesteps in [0, 1] to one value each."""

    def alpha(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Weight of the data."""

    def sigma(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Weight of the noise."""

    def alpha_derivative(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Derivative of `alpha`."""

    def sigma_derivative(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Derivative of `sigma`."""


class Linear:
    """alpha = t, sigma = 1 - t. Source: Ma et al., "SiT" (2024), section 2."""

    def alpha(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return t

    def sigma(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return 1 - t

    def alpha_derivative(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return torch.ones_like(t)

    def sigma_derivative(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return -torch.ones_like(t)


class GeneralizedVariancePreserving:
    """alpha = sin(pi t / 2), sigma = cos(pi t / 2), so that alpha^2 + sigma^2 = 1.

    Source: Ma et al., "SiT" (2024), section 2.
    """

    def alpha(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return torch.sin(t * math.pi / 2)

    def sigma(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return torch.cos(t * math.pi / 2)

    def alpha_derivative(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return math.pi / 2 * torch.cos(t * math.pi / 2)

    def sigma_derivative(self, t: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return -math.pi / 2 * torch.sin(t * math.pi / 2)
