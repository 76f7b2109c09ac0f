"""MIND: the sliced Wasserstein distance of two feature sets, which no matching of moments fools."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.evaluation.checks import ArrayOrTensor, as_feature_pair
from otcondense.evaluation.distances import CHUNK_ELEMENTS

SCALE_PER_DIMENSION = 3.0
"""Factor of the published values for each dimension of the features (alpha = 3 d)."""
DIRECTIONS = 1000
"""Number of random directions of the published values."""


def monge_distance(
    samples: ArrayOrTensor,
    held_out: ArrayOrTensor,
    directions: int = DIRECTIONS,
    seed: int = 2020,
) -> float:
    r"""Return the Monge Inception Distance (MIND), >= 0 and 0 for equal sets.

    It is $3 d$ times the mean, over random unit directions, of the squared 2-Wasserstein distance
    of the projected features. Sets of equal size give the value of torch-fidelity 0.5 for the same
    seed, up to its single precision. For sets of different sizes the distance is exact, by the
    quantiles of both; torch-fidelity leaves out images of the larger set.

    Args:
        samples: [n, d] features, n >= 1.
        held_out: [m, d] features of the same encoder, m >= 1.
        directions: number of random directions, >= 1.
        seed: seed of the directions.

    Raises: InputError for invalid features.
    Source: Berthet et al. 2026 (arXiv:2605.06797).
    """
    one, two = as_feature_pair(("the samples", samples), ("the held-out images", held_out))
    first, second, share = quantile_pairs(len(one), len(two), one.device)
    rows = max(1, CHUNK_ELEMENTS // (len(one) + len(two)))
    means = []
    for part in torch.split(_directions(directions, one.shape[1], seed).to(one.device), rows):
        gaps = _sorted_projection(part, one)[:, first] - _sorted_projection(part, two)[:, second]
        means.append(gaps.square() @ share)
    return float(SCALE_PER_DIMENSION * one.shape[1] * torch.cat(means).mean())


def quantile_pairs(
    first: int, second: int, device: torch.device
) -> tuple[Int[Tensor, " q"], Int[Tensor, " q"], Float[Tensor, " q"]]:
    """Return which sorted values of two sets share a part of the mass, and the size of each part.

    The best plan of the line pairs the quantiles of both. It is piecewise constant between the
    multiples of 1 / n and 1 / m.

    Args:
        first: number n of values of one set.
        second: number m of values of the other.
        device: where to return the result.

    Returns: place in the first set, place in the second, and share of the mass; at most n + m - 1
        parts, whose shares sum to 1.
    """
    of_one = second * torch.arange(first + 1, device=device)
    of_two = first * torch.arange(second + 1, device=device)
    # Ascending, in units of 1 / (n m), thus exact.
    ends: Tensor = torch.unique(torch.cat([of_one, of_two]))
    starts = ends[:-1]
    return starts // second, starts // first, ends.diff().double() / (first * second)


def _directions(count: int, width: int, seed: int) -> Float[Tensor, "k d"]:
    """Return the unit directions that torch-fidelity draws for this seed."""
    drawn = torch.randn(count, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn.double(), dim=1)


def _sorted_projection(
    directions: Float[Tensor, "k d"], features: Float[Tensor, "n d"]
) -> Float[Tensor, "k n"]:
    """Return the features along each direction, ascending, in float64."""
    blocks = torch.split(features, max(1, CHUNK_ELEMENTS // features.shape[1]))
    return torch.cat(list(_projected(directions, blocks)), dim=1).sort(dim=1).values


def _projected(
    directions: Float[Tensor, "k d"], blocks: tuple[Tensor, ...]
) -> Iterator[Float[Tensor, "k b"]]:
    for block in blocks:
        yield directions @ block.double().T
