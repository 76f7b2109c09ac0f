"""Centres of k-means, and the nearest one of each row."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

BLOCK_ROWS = 4096
"""Rows of a matrix product. The number is fixed, as the last digits of a product can change with
it."""
ROWS_PER_CENTRE = 256
"""Rows that centres are fitted to, for each: more change the mean distance by less than 1 %."""
SEEDING_ROWS = 64
"""Rows for each centre that the first centres are drawn from."""
MOST_PASSES = 30
"""Passes of Lloyd's iterations at most: later ones hardly change a centre."""
LEAST_GAIN = 1e-4
"""Share of the mean squared distance that a pass must gain, or it is the last one."""


def fit_centres(
    rows: Float32[np.ndarray, "n d"], count: int, seed: int, resamplings: int = 0
) -> Float32[np.ndarray, "k d"]:
    """Return the centres of k-means: a k-means++ seeding, then Lloyd's iterations.

    Sums are in float64, and ties go to the first centre.

    Args:
        rows: what the centres are fitted to, finite.
        count: centres to look for, >= 1.
        seed: of the seeding.
        resamplings: times that they are fitted again to as many rows from each cell, those nearest
            to its centre, so that the centres spread over the support, and not by density
            (Vo et al., "Automatic Data Curation for Self-Supervised Learning", arXiv:2405.15613).

    Returns: at most `count` different centres, fewer if there are fewer different rows.
    """
    points = torch.from_numpy(np.ascontiguousarray(rows))
    centres = _lloyd(points, _seeding(points, count, np.random.default_rng([seed, 0])))
    for time in range(1, resamplings + 1):
        drawn = _evenly_drawn(points, centres)
        rng = np.random.default_rng([seed, time])
        centres = _lloyd(points[drawn], _seeding(points[drawn], count, rng))
    return np.asarray(centres.numpy(), dtype=np.float32)


def nearest_centres(
    rows: Float32[np.ndarray, "n d"], centres: Float32[np.ndarray, "k d"]
) -> Int[np.ndarray, " n"]:
    """Return the place of the nearest centre of each row; of equally near ones, the first."""
    labels, _ = _nearest(torch.from_numpy(rows), torch.from_numpy(centres))
    return np.asarray(labels.numpy())


def squared_distances(
    points: Float[Tensor, "n d"], centres: Float[Tensor, "k d"]
) -> Iterator[Float[Tensor, "b k"]]:
    """Yield the squared distances of blocks of points to centres, >= 0.

    Both are moved by the mean of the centres, so that no digits are lost far from the origin.
    """
    offset = centres.mean(dim=0)
    moved = centres - offset
    squares = moved.square().sum(dim=1)
    for block in torch.split(points, BLOCK_ROWS):
        near = block - offset
        products = torch.addmm(squares, near, moved.T, alpha=-2)
        yield products.add_(near.square().sum(dim=1, keepdim=True)).clamp_(min=0)


def means_of(
    points: Float[Tensor, "n d"], labels: Int[Tensor, " n"], count: int
) -> Float[Tensor, "k d"]:
    """Return the mean of the points of each label, summed in float64; 0 for a label without."""
    sums = torch.zeros(count, points.shape[1], dtype=torch.float64)
    pairs = zip(torch.split(points, BLOCK_ROWS), torch.split(labels, BLOCK_ROWS), strict=True)
    for block, of_block in pairs:
        sums.index_add_(0, of_block, block.double())
    sizes = torch.bincount(labels, minlength=count).clamp(min=1)
    return (sums / sizes[:, None]).to(points.dtype)


def _nearest(
    points: Float[Tensor, "n d"], centres: Float[Tensor, "k d"]
) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"]]:
    """Return the nearest centre of each point, and the squared distance to it."""
    labels = []
    distances = []
    for block in squared_distances(points, centres):
        least, _ = block.min(dim=1)
        labels.append((block == least[:, None]).to(torch.uint8).argmax(dim=1))
        distances.append(least)
    return torch.cat(labels), torch.cat(distances)


def _seeding(
    points: Float[Tensor, "n d"], count: int, rng: np.random.Generator
) -> Float[Tensor, "k d"]:
    """Draw centres with probabilities proportional to the squared distance to those drawn so far.

    Of a few draws, the one that leaves the least inertia is taken (greedy k-means++, Arthur and
    Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007).
    """
    most = count * SEEDING_ROWS
    if len(points) > most:
        points = points[np.sort(rng.choice(len(points), most, replace=False))]
    tries = 2 + int(np.log(count))
    chosen = [int(rng.integers(len(points)))]
    left = _to_chosen(points, chosen)[:, 0]
    while len(chosen) < count:
        heap = left.double().cumsum(dim=0)
        if heap[-1] <= 0:
            break  # every row is a centre
        places = torch.from_numpy(rng.random(tries)) * heap[-1]
        drawn = torch.searchsorted(heap, places, right=True).clamp(max=len(points) - 1)
        away = torch.minimum(left[:, None], _to_chosen(points, drawn.tolist()))
        best = int(away.double().sum(dim=0).argmin())
        chosen.append(int(drawn[best]))
        left = away[:, best]
    return points[chosen]


def _to_chosen(points: Float[Tensor, "n d"], chosen: list[int]) -> Float[Tensor, "n c"]:
    """Return the squared distances of points to some of them; exactly 0 for equal rows."""
    columns = [(points - points[row]).square().sum(dim=1) for row in chosen]
    return torch.stack(columns, dim=1)


def _lloyd(points: Float[Tensor, "n d"], centres: Float[Tensor, "k d"]) -> Float[Tensor, "k d"]:
    """Move the centres to the means of their points; a centre without points stays."""
    before = float("inf")
    for _ in range(MOST_PASSES):
        labels, distances = _nearest(points, centres)
        inertia = float(distances.double().sum())
        if inertia >= before * (1 - LEAST_GAIN):
            break
        before = inertia
        means = means_of(points, labels, len(centres))
        has_points = torch.bincount(labels, minlength=len(centres)) > 0
        centres = torch.where(has_points[:, None], means, centres)
    return centres


def _evenly_drawn(
    points: Float[Tensor, "n d"], centres: Float[Tensor, "k d"]
) -> Int[np.ndarray, " m"]:
    """Return as many points of each cell: half a mean cell, those nearest to its centre."""
    labels, distances = _nearest(points, centres)
    of_each = max(1, len(points) // (2 * len(centres)))
    order = np.lexsort((distances.numpy(), labels.numpy()))
    sizes = np.bincount(labels.numpy(), minlength=len(centres))
    starts = np.cumsum(sizes) - sizes
    places = np.arange(len(points)) - np.repeat(starts, sizes)
    return np.sort(order[places < of_each])
