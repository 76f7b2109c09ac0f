"""Fidelity and diversity by k-nearest-neighbour balls: precision, recall, density, coverage."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from otcondense.evaluation.checks import ArrayOrTensor, as_feature_pair
from otcondense.evaluation.distances import knn_squared_radii, squared_distance_blocks, tie_slack


class PrecisionRecall(NamedTuple):
    """Shares in 0..1."""

    precision: float
    """Samples that lie in the ball of at least one held-out image."""
    recall: float
    """Held-out images that lie in the ball of at least one sample."""


class DensityCoverage(NamedTuple):
    """How the samples fill the balls of the held-out images."""

    density: float
    """Mean number of balls a sample lies in, divided by k; 1 is expected of the true distribution, more is possible."""
    coverage: float
    """Share in 0..1 of held-out images whose ball holds at least one sample."""


class _Hits(NamedTuple):
    counts: Int[Tensor, " n"]
    covered: Bool[Tensor, " m"]


def precision_recall(samples: ArrayOrTensor, held_out: ArrayOrTensor, neighbours: int = 3) -> PrecisionRecall:
    """Return the improved precision and recall.

    Args:
        samples: [n, d] features, n > neighbours.
        held_out: [m, d] features of the same encoder, m > neighbours.
        neighbours: k; a ball reaches to the k-th nearest other image of its own set.

    Raises: InputError for unfit features.
    Source: Kynkäänniemi et al. 2019 (arXiv:1904.06991), equations 1-3.
    """
    one, two = _pair(samples, held_out, neighbours)
    precision = _hits(one, two, neighbours).counts.gt(0).double().mean()
    recall = _hits(two, one, neighbours).counts.gt(0).double().mean()
    return PrecisionRecall(float(precision), float(recall))


def density_coverage(samples: ArrayOrTensor, held_out: ArrayOrTensor, neighbours: int = 3) -> DensityCoverage:
    """Return density and coverage; only the held-out images have balls, so outlying samples cannot inflate them.

    Arguments and errors as for `precision_recall`; the paper uses k = 5.

    Source: Naeem et al. 2020 (arXiv:2002.09797), equations 4 and 6.
    """
    one, two = _pair(samples, held_out, neighbours)
    hits = _hits(one, two, neighbours)
    return DensityCoverage(float(hits.counts.double().mean() / neighbours), float(hits.covered.double().mean()))


def _pair(samples: ArrayOrTensor, held_out: ArrayOrTensor, neighbours: int) -> tuple[Float[Tensor, "n d"], Float[Tensor, "m d"]]:
    return as_feature_pair(("the samples", samples), ("the held-out images", held_out), neighbours + 1)


def _hits(points: Float[Tensor, "n d"], centres: Float[Tensor, "m d"], neighbours: int) -> _Hits:
    """Count for each point the balls it lies in, and mark the balls that hold a point."""
    radii = knn_squared_radii(centres, neighbours) + tie_slack(centres, points)
    counts, covered = [], torch.zeros(len(centres), dtype=torch.bool, device=centres.device)
    for _, squared in squared_distance_blocks(points, centres):
        inside = squared <= radii
        counts.append(inside.sum(dim=1))
        covered |= inside.any(dim=0)
    return _Hits(torch.cat(counts), covered)
