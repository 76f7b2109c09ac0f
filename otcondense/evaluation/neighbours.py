"""Nearest neighbours of one feature set in another."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.evaluation.checks import ArrayOrTensor, as_feature_pair
from otcondense.evaluation.distances import pair_squared_distances, squared_distance_blocks


@dataclass(frozen=True)
class Neighbours:
    """The nearest reference images of each query."""

    distances: Float[Tensor, "n k"]
    """Euclidean, ascending, float64."""
    indices: Int[Tensor, "n k"]
    """Rows of the reference."""


def nearest_neighbours(
    queries: ArrayOrTensor, reference: ArrayOrTensor, count: int = 1
) -> Neighbours:
    """Find the `count` nearest reference images of each query.

    Args:
        queries: [n, d] features.
        reference: [m, d] features of the same encoder, m >= count.
        count: neighbours per query.

    Raises: InputError for invalid features or a reference smaller than `count`.
    """
    rows, others = as_feature_pair(("the queries", queries), ("the reference", reference))
    as_feature_pair(("the reference", others), ("the reference", others), count)
    blocks = squared_distance_blocks(rows, others)
    found = torch.cat([_nearest_in_block(squared, count) for _, squared in blocks])
    numbers = torch.arange(len(rows), device=found.device)

    # Plain differences give an exact copy the distance 0, not the root of a rounding error.
    columns = []
    for rank in range(count):
        pairs = torch.stack([numbers, found[:, rank]], dim=1)
        columns.append(pair_squared_distances(rows, others, pairs))
    return Neighbours(distances=torch.stack(columns, dim=1).sqrt(), indices=found)


def _nearest_in_block(squared: Float[Tensor, "b m"], count: int) -> Int[Tensor, "b k"]:
    """Take the minimum `count` times: the first of equal rows wins, unlike in `topk`."""
    picked = []
    for _ in range(count):
        index = squared.argmin(dim=1, keepdim=True)
        picked.append(index)
        squared.scatter_(1, index, torch.inf)
    return torch.cat(picked, dim=1)
