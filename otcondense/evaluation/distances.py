"""Distances between feature sets in bounded memory, radii and members of balls.

Large sets are in single precision, and so are their distances here, at twice the speed. Every
decision that rounding could change is repeated in double precision, so the results are those of
double precision.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

CHUNK_ELEMENTS = 2**24
"""Entries of the distance block held at a time: 128 MiB in float64."""
RELATIVE_SLACK = 1e-12
"""Two squared distances are a tie if they differ by less than this share of the largest squared
norm: far above rounding, far below any difference of features."""
SPARE_CANDIDATES = 8
"""Neighbours kept in addition to the requested ones: single precision may order close ones
wrongly."""
ROUNDING_FACTORS = (8, 1 / 8)
"""Bound on the rounding error of an expanded square in units of precision times norm: a constant
part for its few additions, and a part for each dimension of the product, whose errors cancel."""


def squared_distance_blocks(
    queries: Float[Tensor, "n d"],
    reference: Float[Tensor, "m d"],
    dtype: torch.dtype = torch.float64,
) -> Iterator[tuple[int, Float[Tensor, "b m"]]]:
    """Yield `(first row, squared distances)` for consecutive blocks of queries.

    Each block is compared with the whole reference. Both sets are shifted to the mean of the
    reference, since the expanded square loses digits far from the origin.
    """
    centre = _centre(reference)
    reference = reference.to(dtype) - centre
    norms = reference.square().sum(dim=1)
    rows = max(1, CHUNK_ELEMENTS // len(reference))
    for start in range(0, len(queries), rows):
        block = queries[start : start + rows].to(dtype) - centre
        yield start, _expanded(block, block.square().sum(dim=1), reference, norms)


def _centre(features: Float[Tensor, "_ d"]) -> Float[Tensor, " d"]:
    """Return the mean, to shift sets by.

    Any shift that all sets share keeps their distances, so its own rounding does not matter.
    """
    return features.mean(dim=0)


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
    """Return the squared distances of single pairs of rows, exactly 0 for equal rows.

    They are plain differences in float64.
    """
    parts = []
    for part in torch.split(pairs, max(1, CHUNK_ELEMENTS // queries.shape[1])):
        difference = queries[part[:, 0]].double() - reference[part[:, 1]].double()
        parts.append(difference.square().sum(dim=1))
    return torch.cat(parts) if parts else pairs.new_empty(0, dtype=torch.float64)


def tie_slack(*sets: Float[Tensor, "_ d"]) -> float:
    """Return the squared distance below which two squared distances count as equal."""
    return RELATIVE_SLACK * largest_squared_norm(*sets)


def rounding_slack(features: Float[Tensor, "_ d"], largest: float) -> float:
    """Return a bound on the rounding error of an expanded squared distance between rows.

    Args:
        features: give the precision and the number of dimensions.
        largest: squared norm of the rows.
    """
    constant, per_dimension = ROUNDING_FACTORS
    precision = torch.finfo(features.dtype).eps
    return (constant + features.shape[1] * per_dimension) * precision * largest


def largest_squared_norm(*sets: Float[Tensor, "_ d"]) -> float:
    """Return the largest squared distance of a row to the mean of the first set."""
    centre = _centre(sets[0])
    largest = []
    for features in sets:
        blocks = torch.split(features, _rows_of(features))
        largest += [(block - centre).square().sum(dim=1).max() for block in blocks]
    return float(torch.stack(largest).max())


def _rows_of(features: Float[Tensor, "_ d"]) -> int:
    return max(1, CHUNK_ELEMENTS // features.shape[1])


def knn_squared_radii(features: Float[Tensor, "n d"], neighbours: int) -> Float[Tensor, " n"]:
    """Return for each image the squared distance to its k-th nearest other image, in float64.

    Args:
        features: of one set.
        neighbours: k.
    """
    kept = min(neighbours + SPARE_CANDIDATES, len(features) - 1)
    approximate, candidates, largest = _smallest_others(features, kept)
    slack = rounding_slack(features, largest)
    exact = _exact_near(features, approximate, candidates, neighbours, slack)
    radii = exact.kthvalue(neighbours, dim=1).values

    if kept < len(features) - 1 and features.dtype != torch.float64:
        beaten = (radii > 0) & (radii > approximate[:, -1].double() - slack)
        for row in beaten.nonzero()[:, 0].tolist():
            radii[row] = _exact_radius(features, row, neighbours)
    return radii


def _exact_near(
    features: Float[Tensor, "n d"],
    approximate: Float[Tensor, "n k"],
    candidates: Int[Tensor, "n k"],
    neighbours: int,
    slack: float,
) -> Float[Tensor, "n k"]:
    """Return the distances that can be the k-th smallest in float64, others as -inf or inf.

    Rounding moves each distance by `slack` at most, so those that are farther than twice that from
    the k-th approximate one are surely on their side of the k-th exact one.
    """
    gap = approximate - approximate[:, neighbours - 1 : neighbours]
    is_open = gap.abs() <= 2 * slack
    exact = torch.where(gap < 0, -torch.inf, torch.inf).double()
    places = is_open.nonzero()
    pairs = torch.stack([places[:, 0], candidates[is_open]], dim=1)
    exact[is_open] = pair_squared_distances(features, features, pairs)
    return exact


def _exact_radius(features: Float[Tensor, "n d"], row: int, neighbours: int) -> float:
    centre = features[row].double()
    blocks = torch.split(features, _rows_of(features))
    parts = [(block.double() - centre).square().sum(dim=1) for block in blocks]
    squared = torch.cat(parts)
    squared[row] = torch.inf
    return float(squared.kthvalue(neighbours).values)


def _smallest_others(
    features: Float[Tensor, "n d"], count: int
) -> tuple[Float[Tensor, "n k"], Int[Tensor, "n k"], float]:
    """Return the `count` smallest squared distances of each row to other rows, and their rows.

    They are ascending. Each pair of blocks is computed once. The last result is the largest squared
    norm of the shifted rows.
    """
    rows = features - _centre(features)
    norms = rows.square().sum(dim=1)
    size = max(1, int(CHUNK_ELEMENTS**0.5))
    values = torch.full((len(rows), count), torch.inf, dtype=rows.dtype, device=rows.device)
    indices = torch.zeros((len(rows), count), dtype=torch.int64, device=rows.device)
    for start in range(0, len(rows), size):
        here = slice(start, start + size)
        for other in range(start, len(rows), size):
            there = slice(other, other + size)
            block = _expanded(rows[here], norms[here], rows[there], norms[there])
            if start == other:
                block.fill_diagonal_(torch.inf)
            else:
                _merge(values[there], indices[there], block.T, start)
            _merge(values[here], indices[here], block, other)
    return values, indices, float(norms.max())


def _merge(
    values: Float[Tensor, "b k"],
    indices: Int[Tensor, "b k"],
    block: Float[Tensor, "b c"],
    first: int,
) -> None:
    """Merge a new block into the smallest values so far, in place.

    The columns of the block start at row `first`.
    """
    count = values.shape[1]
    new, columns = block.topk(min(count, block.shape[1]), dim=1, largest=False)
    both, places = torch.cat([values, new], dim=1).topk(count, dim=1, largest=False)
    indices.copy_(torch.cat([indices, columns + first], dim=1).gather(1, places))
    values.copy_(both)


def ball_blocks(
    queries: Float[Tensor, "n d"],
    centres: Float[Tensor, "m d"],
    largest: float,
    *radii: Float[Tensor, "_ _"],
) -> Iterator[list[Bool[Tensor, "b m"]]]:
    """Yield for consecutive blocks of queries which pairs are within the radii, as in float64.

    Args:
        queries: [n, d] features.
        centres: [m, d] features.
        largest: squared norm of the rows of both.
        radii: squared, float64: [n, 1] of balls around the queries, or [1, m] of balls around the
            centres. Each gives one answer.
    """
    slack = rounding_slack(centres, largest)
    for start, squared in squared_distance_blocks(queries, centres, queries.dtype):
        answers = []
        for limits in radii:
            own = limits if len(limits) == 1 else limits[start : start + len(squared)]
            expanded = own.expand_as(squared)
            answers.append(_decided(squared, expanded, slack, (queries, centres), start))
        yield answers


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
        offset = torch.tensor([start, 0], device=unsure.device)
        exact = pair_squared_distances(sets[0], sets[1], unsure + offset)
        inside[unsure[:, 0], unsure[:, 1]] = exact <= radii[unsure[:, 0], unsure[:, 1]]
    return inside
