"""Distances between feature sets in bounded memory: nearest neighbours and k-nearest-neighbour radii."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.evaluation.checks import ArrayOrTensor, as_feature_pair

CHUNK_ELEMENTS = 2**24
"""Entries of the distance block held at a time: 128 MiB in float64."""
RELATIVE_SLACK = 1e-12
"""Two squared distances closer than this share of the largest squared norm are a tie: far above rounding, far below any feature."""


@dataclass(frozen=True)
class Neighbours:
    """The nearest reference images of each query."""

    distances: Float[Tensor, "n k"]
    """Euclidean, ascending, float64."""
    indices: Int[Tensor, "n k"]
    """Rows of the reference."""


def squared_distance_blocks(queries: Float[Tensor, "n d"], reference: Float[Tensor, "m d"]) -> Iterator[tuple[int, Float[Tensor, "b m"]]]:
    """Yield `(first row, squared distances)` for consecutive blocks of queries, each against the whole reference.

    Both sets are shifted to the reference's mean, since the expanded square loses digits far from the origin.
    """
    centre = reference.mean(dim=0)
    reference = reference - centre
    norms = reference.square().sum(dim=1)
    rows = max(1, CHUNK_ELEMENTS // len(reference))
    for start in range(0, len(queries), rows):
        block = queries[start : start + rows] - centre
        squared = block.square().sum(dim=1, keepdim=True) + norms - 2 * (block @ reference.T)
        yield start, squared.clamp_min_(0)


def tie_slack(*sets: Float[Tensor, "_ d"]) -> float:
    """Return the squared distance below which two squared distances count as equal."""
    centre = sets[0].mean(dim=0)
    return RELATIVE_SLACK * max(float((each - centre).square().sum(dim=1).max()) for each in sets)


def knn_squared_radii(features: Float[Tensor, "n d"], neighbours: int) -> Float[Tensor, " n"]:
    """Return for each image the squared distance to its `neighbours`-th nearest other image of the same set."""
    radii = []
    for start, squared in squared_distance_blocks(features, features):
        rows = torch.arange(len(squared), device=squared.device)
        squared[rows, start + rows] = torch.inf
        radii.append(squared.kthvalue(neighbours, dim=1).values)
    return torch.cat(radii)


def nearest_neighbours(queries: ArrayOrTensor, reference: ArrayOrTensor, count: int = 1) -> Neighbours:
    """Find the `count` nearest reference images of each query.

    Args:
        queries: [n, d] features.
        reference: [m, d] features of the same encoder, m >= count.
        count: neighbours per query.

    Raises: InputError for unfit features or a reference smaller than `count`.
    """
    rows, others = as_feature_pair(("the queries", queries), ("the reference", reference))
    as_feature_pair(("the reference", others), ("the reference", others), count)
    found = torch.cat([_nearest_in_block(squared, count) for _, squared in squared_distance_blocks(rows, others)])
    # Taken again as plain differences: an exact copy then has distance 0, not the square root of a rounding error.
    distances = torch.stack([(rows - others[found[:, rank]]).norm(dim=1) for rank in range(count)], dim=1)
    return Neighbours(distances=distances, indices=found)


def _nearest_in_block(squared: Float[Tensor, "b m"], count: int) -> Int[Tensor, "b k"]:
    """Take the minimum `count` times: of equal distances the first row wins, which `topk` does not promise."""
    picked = []
    for _ in range(count):
        index = squared.argmin(dim=1, keepdim=True)
        picked.append(index)
        squared.scatter_(1, index, torch.inf)
    return torch.cat(picked, dim=1)
