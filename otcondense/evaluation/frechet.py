"""Fréchet distance between Gaussians fitted to two feature sets."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.errors import InputError
from otcondense.evaluation.checks import ArrayOrTensor, as_features

BLOCK_ROWS = 8192
"""Rows that are in memory in float64 at a time."""
NOISE = 64
"""Eigenvalues below so many units of rounding of the largest one count as 0. The error of a
symmetric eigenproblem is a few units; a larger bound, such as the dimension, cuts off so many small
eigenvalues of covariances of few images that the distance changes in its sixth digit."""


@dataclass(frozen=True)
class FeatureStatistics:
    """Mean and covariance of a feature set, the inputs of the Fréchet distance."""

    mean: Float[Tensor, " d"]
    covariance: Float[Tensor, "d d"]
    """Divided by count - 1."""
    count: int

    def to(self, device: torch.device) -> "FeatureStatistics":
        """Return the statistics on a device."""
        return FeatureStatistics(self.mean.to(device), self.covariance.to(device), self.count)

    @cached_property
    def exponent(self) -> int:
        """Exponent of the largest variance as a power of 4; 0 if all are 0."""
        largest = float(self.covariance.diagonal().max())
        return math.frexp(largest)[1] // 2 if largest > 0 else 0

    @cached_property
    def root(self) -> Float[Tensor, "d d"]:
        """Symmetric root of the covariance, in units of 2 to the power of `exponent`.

        It is computed once for all sets that are compared with this one.
        """
        values, vectors = torch.linalg.eigh(self.covariance / 4.0**self.exponent)
        root: Tensor = (vectors * _without_noise(values).sqrt()) @ vectors.T
        return root


def feature_statistics(features: ArrayOrTensor, name: str = "the images") -> FeatureStatistics:
    """Return mean and covariance of [n, d] features, n >= 2, in float64.

    Raises: InputError for invalid features; it calls the set `name`.
    """
    rows = as_features(name, features, minimum=2)
    mean = rows.mean(dim=0, dtype=torch.float64)
    covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64, device=rows.device)
    for block in torch.split(rows, BLOCK_ROWS):
        centred = block - mean
        covariance.addmm_(centred.T, centred)
    return FeatureStatistics(mean=mean, covariance=covariance / (len(rows) - 1), count=len(rows))


def frechet_distance(samples: ArrayOrTensor, held_out: ArrayOrTensor) -> float:
    """Return the Fréchet distance of two feature sets, >= 0, in squared units of the features.

    On Inception features this is FID. It is biased upwards for few images: compare only values of
    equal counts.

    Args:
        samples: [n, d] features, n >= 2.
        held_out: [m, d] features of the same encoder, m >= 2.

    Raises: InputError for invalid features.
    Source: Heusel et al. 2017 (arXiv:1706.08500), equation 6.
    """
    return frechet_distance_of_statistics(
        feature_statistics(samples, "the samples"),
        feature_statistics(held_out, "the held-out images"),
    )


def frechet_distance_of_statistics(first: FeatureStatistics, second: FeatureStatistics) -> float:
    r"""Return the Fréchet distance of two Gaussians.

    $|\mu_1-\mu_2|^2
    + \mathrm{tr}(\Sigma_1 + \Sigma_2 - 2 (\Sigma_1^{1/2} \Sigma_2 \Sigma_1^{1/2})^{1/2})$

    The symmetric form needs only symmetric eigenproblems, which stay accurate for singular
    covariances (fewer images than dimensions). The root is that of `second`: give the set that
    many others are compared with as the second one.

    Args:
        first: of one set.
        second: of the other set, on the same device.

    Raises: InputError if the dimensions differ.
    """
    if first.mean.shape != second.mean.shape:
        raise InputError(
            "statistics must come from one encoder, "
            f"found {len(first.mean)} and {len(second.mean)} dimensions"
        )
    # In units of a power of 4, products of covariances do not overflow, and no digit changes.
    exponent = max(first.exponent, second.exponent)
    unit = 4.0**exponent
    one = first.covariance / unit
    two = second.covariance / unit
    root = second.root * 2.0 ** (second.exponent - exponent)
    cross = _eigenvalues(root @ one @ root).sqrt().sum()
    shift = ((first.mean - second.mean) / 2.0**exponent).square().sum()
    distance = shift + one.trace() + two.trace() - 2 * cross
    return max(0.0, float(distance)) * unit


def _eigenvalues(matrix: Float[Tensor, "d d"]) -> Float[Tensor, " d"]:
    return _without_noise(torch.linalg.eigvalsh((matrix + matrix.T) / 2))


def _without_noise(eigenvalues: Float[Tensor, " d"]) -> Float[Tensor, " d"]:
    """Set eigenvalues that are rounding noise to 0: the square root raises 1e-16 to 1e-8."""
    threshold = eigenvalues.abs().max() * NOISE * torch.finfo(eigenvalues.dtype).eps
    return torch.where(eigenvalues > threshold, eigenvalues, torch.zeros_like(eigenvalues))
