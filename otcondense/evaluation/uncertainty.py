"""How far a figure would move with other samples: standard errors from the number of images alone."""

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
    """Return the standard error of a share of `count` independent images (balls and neighbours held fixed)."""
    return math.sqrt(share * (1 - share) / count)


def frechet_error(
    samples: ArrayOrTensor, held_out: FeatureStatistics, groups: int = 10, seed: int = 0
) -> float:
    """Return the standard error of the Fréchet distance over the samples, by leaving out one of `groups` random groups at a time.

    The jackknife and not the bootstrap: images drawn twice shrink the covariance and shift the distance itself.

    Args:
        samples: [n, d] features, at least 2 groups' worth.
        held_out: statistics of the other set, held fixed.
        groups: 2 or more; fewer are taken where there are too few samples.
        seed: seed of the random groups.

    Raises: InputError for unfit features.
    """
    rows = as_features("the samples", samples, 4)
    groups = min(groups, len(rows) // 2)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).to(rows.device)
    whole, parts = feature_statistics(rows), [rows[part] for part in order.tensor_split(groups)]
    distances = torch.tensor(
        [frechet_distance_of_statistics(_without(whole, part), held_out) for part in parts],
        dtype=torch.float64,
    )
    return float(((groups - 1) / groups * (distances - distances.mean()).square().sum()).sqrt())


def _without(whole: FeatureStatistics, part: Float[Tensor, "b d"]) -> FeatureStatistics:
    """Return the statistics of a set without some of its rows, from those of the set."""
    left = whole.count - len(part)
    centred = part.double() - whole.mean
    shift = -centred.sum(dim=0) / left
    scatter = (
        whole.covariance * (whole.count - 1)
        - centred.T @ centred
        - left * torch.outer(shift, shift)
    )
    return FeatureStatistics(mean=whole.mean + shift, covariance=scatter / (left - 1), count=left)
