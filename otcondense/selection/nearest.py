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
            self.rows = features - features.mean(axis=0)
            self.norms = np.square(self.rows).sum(axis=1)

    def to(self, indices: Int[np.ndarray, " k"]) -> Float[np.ndarray, "n k"]:
        """Return the cost, >= 0, from each chosen image (column) to each class image (row)."""
        values: Float[np.ndarray, "n k"]
        if self.cost is not None:
            values = self.cost[indices].T
        else:
            values = self.to_points(self.rows[indices])
            values[indices, np.arange(len(indices))] = 0
        return values

    def to_points(self, points: Float[np.ndarray, "k d"]) -> Float[np.ndarray, "n k"]:
        """Return the squared distances, >= 0, of each image to points.

        The points are given relative to the class mean.
        """
        squares = self.norms[:, None] + np.square(points).sum(axis=1) - 2 * self.rows @ points.T
        values: Float[np.ndarray, "n k"] = np.maximum(squares, 0)
        return values
