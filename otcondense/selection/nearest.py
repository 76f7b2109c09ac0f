"""Nearest images: distances of a class to some of its images, and minima whose ties go to the lower index."""

import numpy as np
from jaxtyping import Float, Int

TIE = 1e-12


def first_minimum(values: Float[np.ndarray, "*rows k"]) -> Int[np.ndarray, "*rows"]:
    """Return the position of the minimum along the last axis; values within rounding of it are ties, the first wins."""
    scale = np.abs(values).max(axis=-1, keepdims=True, initial=0, where=np.isfinite(values))
    position: Int[np.ndarray, "*rows"] = np.asarray(
        np.argmax(values <= values.min(axis=-1, keepdims=True) + TIE * scale, axis=-1)
    )
    return position


class Distances:
    """Squared Euclidean distances, or given costs, of all images of a class to chosen ones, computed when asked for."""

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
        """Return the cost of each class image (row) from each of the chosen images `indices` (column), >= 0."""
        values: Float[np.ndarray, "n k"]
        if self.cost is not None:
            values = self.cost[indices].T
        else:
            values = self.to_points(self.rows[indices])
            values[indices, np.arange(len(indices))] = 0
        return values

    def to_points(self, points: Float[np.ndarray, "k d"]) -> Float[np.ndarray, "n k"]:
        """Return squared distances of each image to points given relative to the class mean, >= 0."""
        squares = self.norms[:, None] + np.square(points).sum(axis=1) - 2 * self.rows @ points.T
        values: Float[np.ndarray, "n k"] = np.maximum(squares, 0)
        return values
