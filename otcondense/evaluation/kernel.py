"""Kernel distance: an unbiased alternative to the Fréchet distance for few images."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.errors import InputError
from otcondense.evaluation.checks import ArrayOrTensor, as_feature_pair
from otcondense.evaluation.distances import CHUNK_ELEMENTS

CMMD_SCALE = 1000
"""Factor of the published values of CMMD."""


def kernel_distance(samples: ArrayOrTensor, held_out: ArrayOrTensor) -> float:
    r"""Return the unbiased squared maximum mean discrepancy of the whole sets.

    The kernel is $(x \cdot y / d + 1)^3$. For equal distributions the result is around 0, possibly
    slightly below.

    Args:
        samples: [n, d] features, n >= 2.
        held_out: [m, d] features of the same encoder, m >= 2.

    Raises: InputError for invalid features, or values too large for the kernel.
    Source: Bińkowski et al. 2018 (arXiv:1801.01401), section 4 and equation 4.
    """
    pair = as_feature_pair(("the samples", samples), ("the held-out images", held_out), 2)
    one = pair[0].double()
    two = pair[1].double()

    within = 0.0
    for rows in (one, two):
        count = len(rows)
        within += (_kernel_sum(rows, rows) - _diagonal_sum(rows)) / (count * (count - 1))
    distance = float(within - 2 * _kernel_sum(one, two) / (len(one) * len(two)))
    if not math.isfinite(distance):
        raise InputError(
            "the kernel distance takes the sixth power of the features, which must be finite, "
            f"found features of up to {float(max(one.abs().max(), two.abs().max())):.0e}; "
            "multiply all features by a constant"
        )
    return distance


def gaussian_distance(
    samples: ArrayOrTensor, held_out: ArrayOrTensor, bandwidth: float = 10.0
) -> float:
    r"""Return 1000 times the unbiased squared maximum mean discrepancy of unit vectors.

    The kernel is $\exp(-|x - y|^2 / 2\sigma^2)$. On CLIP features this is CMMD, up to its
    estimator: the published code divides by n^2 and is larger by about 2 (1 - k) / n.

    Args:
        samples: [n, d] features, n >= 2; scaled to length 1.
        held_out: [m, d] features of the same encoder, m >= 2.
        bandwidth: sigma, > 0.

    Raises: InputError for invalid features.
    Source: Jayasumana et al. 2024 (arXiv:2401.09603), section 4.
    """
    pair = as_feature_pair(("the samples", samples), ("the held-out images", held_out), 2)
    one = _unit_vectors(pair[0])
    two = _unit_vectors(pair[1])

    within = 0.0
    for rows in (one, two):
        count = len(rows)
        within += (_gaussian_sum(rows, rows, bandwidth) - count) / (count * (count - 1))
    across = _gaussian_sum(one, two, bandwidth) / (len(one) * len(two))
    return CMMD_SCALE * float(within - 2 * across)


def _unit_vectors(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Return rows of length 1 in float64, whatever their scale; rows of zeros stay as they are."""
    exact = rows.double()
    largest = exact.abs().amax(dim=1, keepdim=True)
    return torch.nn.functional.normalize(exact / torch.where(largest > 0, largest, 1))


def _gaussian_sum(
    rows: Float[Tensor, "n d"], others: Float[Tensor, "m d"], bandwidth: float
) -> float:
    """Return the sum of the Gaussian kernel over all pairs of unit vectors."""
    blocks = torch.split(rows, max(1, CHUNK_ELEMENTS // len(others)))
    sums = [((block @ others.T - 1) / bandwidth**2).exp().sum() for block in blocks]
    return float(torch.stack(sums).sum())


def _kernel_sum(rows: Float[Tensor, "n d"], others: Float[Tensor, "m d"]) -> float:
    """Return the sum of the polynomial kernel over all pairs."""
    blocks = torch.split(rows, max(1, CHUNK_ELEMENTS // len(others)))
    sums = [polynomial_kernel(block, others).sum() for block in blocks]
    return float(torch.stack(sums).sum())


def polynomial_kernel(
    rows: Float[Tensor, "n d"], others: Float[Tensor, "m d"]
) -> Float[Tensor, "n m"]:
    r"""Return the kernel $(x \cdot y / d + 1)^3$ of all pairs of rows."""
    return (rows @ others.T / rows.shape[1] + 1).pow(3)


def _diagonal_sum(rows: Float[Tensor, "n d"]) -> float:
    return float((rows.square().sum(dim=1) / rows.shape[1] + 1).pow(3).sum())
