"""Standard errors of metrics from the number of images alone."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.evaluation.checks import ArrayOrTensor, as_features
from otcondense.evaluation.frechet import (
    FeatureStatistics,
    feature_statistics,
    frechet_distance_of_statistics,
)


def share_error(share: float, count: int) -> float:
    """Return the standard error of a share of `count` independent images, for fixed neighbours."""
    return math.sqrt(share * (1 - share) / count)


def frechet_error(
    samples: ArrayOrTensor, held_out: FeatureStatistics, groups: int = 10, seed: int = 0
) -> float:
    """Return the standard error of the Fréchet distance over the samples, by a group jackknife.

    Each step leaves out one of `groups` random groups. The bootstrap does not fit: images that are
    drawn twice shrink the covariance and shift the distance.

    Args:
        samples: [n, d] features, at least 2 groups' worth.
        held_out: statistics of the other set, held fixed.
        groups: 2 or more; too few samples give fewer groups.
        seed: seed of the random groups.

    Raises: InputError for invalid features.
    """
    rows = as_features("the samples", samples, 4)
    groups = min(groups, len(rows) // 2)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).to(rows.device)

    whole = feature_statistics(rows)
    left_out = []
    for part in order.tensor_split(groups):
        rest = _without(whole, rows[part])
        left_out.append(frechet_distance_of_statistics(rest, held_out))

    distances = torch.tensor(left_out, dtype=torch.float64)
    scatter = (distances - distances.mean()).square().sum()
    return float(((groups - 1) / groups * scatter).sqrt())


def _without(whole: FeatureStatistics, part: Float[Tensor, "b d"]) -> FeatureStatistics:
    """Return the statistics of a set without some of its rows, from the statistics of the set."""
    left = whole.count - len(part)
    centred = part.double() - whole.mean
    shift = -centred.sum(dim=0) / left
    scatter = (
        whole.covariance * (whole.count - 1)
        - centred.T @ centred
        - left * torch.outer(shift, shift)
    )
    return FeatureStatistics(mean=whole.mean + shift, covariance=scatter / (left - 1), count=left)
