"""Distances from a class to some of its images, and minima whose ties go to the lower index."""

import numpy as np
from jaxtyping import Float, Int

TIE = 1e-12
"""Values within this share of the largest are equal up to rounding."""


def first_minimum(values: Float[np.ndarray, "*rows k"]) -> Int[np.ndarray, "*rows"]:
    """Return the position of the minimum along the last axis.

    Values within rounding of it are ties; the first one wins.
    """
    scale = np.abs(values).max(axis=-1, keepdims=True, initial=0, where=np.isfinite(values))
    ties = values <= values.min(axis=-1, keepdims=True) + TIE * scale
    position: Int[np.ndarray, "*rows"] = np.asarray(np.argmax(ties, axis=-1))
    return position


REFINED_BELOW = 1e-6
"""A squared distance below this share of the squared norms has lost half of its digits.

It is computed again from the difference of the rows.
"""

REFINED_VALUES = 1 << 19
"""Number of values in the intermediate results of a block of such distances (4 MB)."""


def second_minimum(
    values: Float[np.ndarray, "n k"],
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return the position of the minimum of each row, it, and the next value; inf for one column.

    Without one of the columns, the minimum of the rows where it was is the next value.
    """
    rows = np.arange(len(values))
    position = values.argmin(axis=1)
    others = values.copy()
    others[rows, position] = np.inf
    return position, values[rows, position], others.min(axis=1)


def mean_gains(
    values: Float[np.ndarray, "n k"], mass: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " k"]:
    """Return the increase of the mean of the row minima without each column; nan for one column."""
    if values.shape[1] == 1:
        return np.full(1, np.nan)
    position, first, second = second_minimum(values)
    return np.bincount(position, weights=(second - first) * mass, minlength=values.shape[1])


class Distances:
    """Costs from all images of a class to chosen ones, computed on request.

    They are given by a cost matrix, or are squared Euclidean distances of the features.
    """

    def __init__(
        self,
        features: Float[np.ndarray, "n d"] | None,
        cost: Float[np.ndarray, "n n"] | None = None,
    ) -> None:
        assert features is not None or cost is not None
        self.cost = cost
        if cost is None and features is not None:
            self.features = features
            self.rows = features - features.mean(axis=0)
            self.norms = np.square(self.rows).sum(axis=1)

    def to(self, indices: Int[np.ndarray, " k"]) -> Float[np.ndarray, "n k"]:
        """Return the cost, >= 0, from each chosen image (column) to each class image (row)."""
        values: Float[np.ndarray, "n k"]
        if self.cost is not None:
            values = self.cost[indices].T
        else:
            values = self._products(self.rows[indices])
            norms = self.norms[:, None] + self.norms[indices]
            _refine(values, norms, self.features, self.features[indices])
            values[indices, np.arange(len(indices))] = 0
        return values

    def to_points(self, points: Float[np.ndarray, "k d"]) -> Float[np.ndarray, "n k"]:
        """Return the squared distances, >= 0, of each image to points.

        The points are given relative to the class mean.
        """
        values = self._products(points)
        norms = self.norms[:, None] + np.square(points).sum(axis=1)
        _refine(values, norms, self.rows, points)
        return values

    def _products(self, points: Float[np.ndarray, "k d"]) -> Float[np.ndarray, "n k"]:
        """Return the squared distances from the inner products, which cancel if they are small."""
        squares = self.norms[:, None] + np.square(points).sum(axis=1) - 2 * self.rows @ points.T
        values: Float[np.ndarray, "n k"] = np.maximum(squares, 0)
        return values


def _refine(
    values: Float[np.ndarray, "n k"],
    norms: Float[np.ndarray, "n k"],
    rows: Float[np.ndarray, "n d"],
    points: Float[np.ndarray, "k d"],
) -> None:
    """Replace the distances that have lost their digits, in place."""
    row, point = np.nonzero(values < REFINED_BELOW * norms)
    block = max(1, REFINED_VALUES // rows.shape[1])
    for start in range(0, len(row), block):
        part = slice(start, start + block)
        difference = rows[row[part]] - points[point[part]]
        values[row[part], point[part]] = np.square(difference).sum(axis=1)
