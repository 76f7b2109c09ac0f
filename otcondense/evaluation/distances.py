"""Distances between feature sets in bounded memory: nearest neighbours, k-nearest-neighbour radii, and who lies in whose ball.

Large sets come in single precision, and so do their distances here, at twice the speed; whatever its rounding could decide
is decided again in double precision, so that the answers are those of double precision.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from otcondense.evaluation.checks import ArrayOrTensor, as_feature_pair

CHUNK_ELEMENTS = 2**24
"""Entries of the distance block held at a time: 128 MiB in float64."""
RELATIVE_SLACK = 1e-12
"""Two squared distances closer than this share of the largest squared norm are a tie: far above rounding, far below any feature."""
SPARE_CANDIDATES = 8
"""Neighbours kept beyond those asked for, since single precision may order close ones wrongly."""


@dataclass(frozen=True)
class Neighbours:
    """The nearest reference images of each query."""

    distances: Float[Tensor, "n k"]
    """Euclidean, ascending, float64."""
    indices: Int[Tensor, "n k"]
    """Rows of the reference."""


def squared_distance_blocks(
    queries: Float[Tensor, "n d"],
    reference: Float[Tensor, "m d"],
    dtype: torch.dtype = torch.float64,
) -> Iterator[tuple[int, Float[Tensor, "b m"]]]:
    """Yield `(first row, squared distances)` for consecutive blocks of queries, each against the whole reference.

    Both sets are shifted to the reference's mean, since the expanded square loses digits far from the origin.
    """
    centre = reference.mean(dim=0, dtype=torch.float64)
    reference = (reference - centre).to(dtype)
    norms = reference.square().sum(dim=1)
    rows = max(1, CHUNK_ELEMENTS // len(reference))
    for start in range(0, len(queries), rows):
        block = (queries[start : start + rows] - centre).to(dtype)
        yield start, _expanded(block, block.square().sum(dim=1), reference, norms)


def _expanded(
    rows: Float[Tensor, "b d"],
    row_norms: Float[Tensor, " b"],
    others: Float[Tensor, "m d"],
    norms: Float[Tensor, " m"],
) -> Float[Tensor, "b m"]:
    return torch.addmm(norms, rows, others.T, alpha=-2).add_(row_norms[:, None]).clamp_min_(0)


def pair_squared_distances(
    queries: Float[Tensor, "n d"], reference: Float[Tensor, "m d"], pairs: Int[Tensor, "p 2"]
) -> Float[Tensor, " p"]:
    """Return the squared distances of single pairs of rows as plain differences in float64; of equal rows exactly 0."""
    size = max(1, CHUNK_ELEMENTS // queries.shape[1])
    parts = [
        (queries[each[:, 0]].double() - reference[each[:, 1]].double()).square().sum(dim=1)
        for each in torch.split(pairs, size)
    ]
    return torch.cat(parts) if parts else pairs.new_empty(0, dtype=torch.float64)


def tie_slack(*sets: Float[Tensor, "_ d"]) -> float:
    """Return the squared distance below which two squared distances count as equal."""
    return RELATIVE_SLACK * _largest_squared_norm(*sets)


def rounding_slack(*sets: Float[Tensor, "_ d"]) -> float:
    """Return a bound on the rounding error of an expanded squared distance between rows of the sets, in their own precision."""
    dimensions, precision = sets[0].shape[1], torch.finfo(sets[0].dtype).eps
    return (8 + dimensions / 8) * precision * _largest_squared_norm(*sets)


def _largest_squared_norm(*sets: Float[Tensor, "_ d"]) -> float:
    centre = sets[0].mean(dim=0, dtype=torch.float64)
    return max(
        float((block - centre).square().sum(dim=1).max())
        for each in sets
        for block in torch.split(each, _rows_of(each))
    )


def _rows_of(features: Float[Tensor, "_ d"]) -> int:
    return max(1, CHUNK_ELEMENTS // features.shape[1])


def knn_squared_radii(features: Float[Tensor, "n d"], neighbours: int) -> Float[Tensor, " n"]:
    """Return for each image the squared distance to its `neighbours`-th nearest other image of the same set, in float64."""
    kept = min(neighbours + SPARE_CANDIDATES, len(features) - 1)
    approximate, candidates = _smallest_others(features, kept)
    queries = torch.arange(len(features), device=features.device)[:, None].expand(-1, kept)
    pairs = torch.stack([queries.reshape(-1), candidates.reshape(-1)], dim=1)
    exact = pair_squared_distances(features, features, pairs).view(-1, kept)
    radii = exact.kthvalue(neighbours, dim=1).values
    if kept < len(features) - 1 and features.dtype != torch.float64:
        beaten = (radii > 0) & (radii > approximate[:, -1].double() - rounding_slack(features))
        for row in beaten.nonzero()[:, 0].tolist():
            radii[row] = _exact_radius(features, row, neighbours)
    return radii


def _exact_radius(features: Float[Tensor, "n d"], row: int, neighbours: int) -> float:
    squared = torch.cat(
        [
            (block.double() - features[row].double()).square().sum(dim=1)
            for block in torch.split(features, _rows_of(features))
        ]
    )
    squared[row] = torch.inf
    return float(squared.kthvalue(neighbours).values)


def _smallest_others(
    features: Float[Tensor, "n d"], count: int
) -> tuple[Float[Tensor, "n k"], Int[Tensor, "n k"]]:
    """Return the `count` smallest squared distances of each row to other rows, ascending, and to which; each pair of blocks is seen once."""
    rows = (features - features.mean(dim=0, dtype=torch.float64)).to(features.dtype)
    norms, size = rows.square().sum(dim=1), max(1, int(CHUNK_ELEMENTS**0.5))
    values = torch.full((len(rows), count), torch.inf, dtype=rows.dtype, device=rows.device)
    indices = torch.zeros((len(rows), count), dtype=torch.int64, device=rows.device)
    for start in range(0, len(rows), size):
        for other in range(start, len(rows), size):
            here, there = slice(start, start + size), slice(other, other + size)
            block = _expanded(rows[here], norms[here], rows[there], norms[there])
            if start == other:
                block.fill_diagonal_(torch.inf)
            else:
                _merge(values[there], indices[there], block.T, start)
            _merge(values[here], indices[here], block, other)
    return values, indices


def _merge(
    values: Float[Tensor, "b k"],
    indices: Int[Tensor, "b k"],
    block: Float[Tensor, "b c"],
    first: int,
) -> None:
    """Keep the smallest of what is there and of a new block whose columns start at row `first`, in place."""
    count = values.shape[1]
    new, columns = block.topk(min(count, block.shape[1]), dim=1, largest=False)
    both, places = torch.cat([values, new], dim=1).topk(count, dim=1, largest=False)
    indices.copy_(torch.cat([indices, columns + first], dim=1).gather(1, places))
    values.copy_(both)


def ball_blocks(
    queries: Float[Tensor, "n d"], centres: Float[Tensor, "m d"], *radii: Float[Tensor, "_ _"]
) -> Iterator[list[Bool[Tensor, "b m"]]]:
    """Yield for consecutive blocks of queries whether each pair's squared distance is within the radii, as if decided in float64.

    Args:
        queries: [n, d] features.
        centres: [m, d] features.
        radii: squared, float64; [n, 1] of balls around the queries or [1, m] of balls around the centres; one answer for each.
    """
    slack = rounding_slack(centres, queries)
    for start, squared in squared_distance_blocks(queries, centres, queries.dtype):
        parts = (each if len(each) == 1 else each[start : start + len(squared)] for each in radii)
        yield [
            _decided(squared, each.expand_as(squared), slack, (queries, centres), start)
            for each in parts
        ]


def _decided(
    squared: Float[Tensor, "b m"],
    radii: Float[Tensor, "b m"],
    slack: float,
    sets: tuple[Float[Tensor, "n d"], Float[Tensor, "m d"]],
    start: int,
) -> Bool[Tensor, "b m"]:
    gap = squared - radii.to(squared.dtype)
    inside = gap <= 0
    unsure = (gap.abs() <= slack).nonzero()
    if len(unsure):
        exact = pair_squared_distances(
            sets[0], sets[1], unsure + torch.tensor([start, 0], device=unsure.device)
        )
        inside[unsure[:, 0], unsure[:, 1]] = exact <= radii[unsure[:, 0], unsure[:, 1]]
    return inside


def nearest_neighbours(
    queries: ArrayOrTensor, reference: ArrayOrTensor, count: int = 1
) -> Neighbours:
    """Find the `count` nearest reference images of each query.

    Args:
        queries: [n, d] features.
        reference: [m, d] features of the same encoder, m >= count.
        count: neighbours per query.

    Raises: InputError for unfit features or a reference smaller than `count`.
    """
    rows, others = as_feature_pair(("the queries", queries), ("the reference", reference))
    as_feature_pair(("the reference", others), ("the reference", others), count)
    found = torch.cat(
        [_nearest_in_block(squared, count) for _, squared in squared_distance_blocks(rows, others)]
    )
    numbers = torch.arange(len(rows), device=found.device)
    # Taken again as plain differences: an exact copy then has distance 0, not the square root of a rounding error.
    columns = [
        pair_squared_distances(rows, others, torch.stack([numbers, found[:, rank]], dim=1))
        for rank in range(count)
    ]
    return Neighbours(distances=torch.stack(columns, dim=1).sqrt(), indices=found)


def _nearest_in_block(squared: Float[Tensor, "b m"], count: int) -> Int[Tensor, "b k"]:
    """Take the minimum `count` times: of equal distances the first row wins, which `topk` does not promise."""
    picked = []
    for _ in range(count):
        index = squared.argmin(dim=1, keepdim=True)
        picked.append(index)
        squared.scatter_(1, index, torch.inf)
    return torch.cat(picked, dim=1)
