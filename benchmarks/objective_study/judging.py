"""Measures of a subset against held-out images, in the features of a judge.

Everything that does not depend on the subset is computed once for each class.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial.distance import cdist

from benchmarks.objective_study.data import Judge, StudySet

MEASURES = ("frechet", "mmd", "coverage", "recall", "distance")
"""Of the images chosen from one class. Smaller is better but for coverage and recall."""
POOLED = "frechet"
"""The measure that is also taken over the images of all classes."""
LARGER_IS_BETTER = frozenset({"coverage", "recall"})
NEIGHBOURS = 5
"""Nearest neighbours that give the radii of held-out images (Naeem et al. 2020)."""
SUBSET_NEIGHBOURS = 3
"""The same for the radii of the subset, as in improved recall (Kynkaanniemi et al. 2019)."""


@dataclass(frozen=True)
class _Gaussian:
    mean: Float[np.ndarray, " d"]
    root: Float[np.ndarray, "r d"]
    """A root of the covariance: root.T @ root."""

    @classmethod
    def of(cls, rows: Float[np.ndarray, "m d"]) -> "_Gaussian":
        mean = rows.mean(axis=0)
        root = (rows - mean) / np.sqrt(len(rows) - 1)
        if len(root) > root.shape[1]:
            root = np.linalg.qr(root, mode="r")
        return cls(mean, root)

    def distance(self, rows: Float[np.ndarray, "k d"]) -> float:
        """Return the squared Frechet distance to the Gaussian of other rows."""
        other = _Gaussian.of(rows)
        product = other.root @ self.root.T
        squares = np.linalg.eigvalsh(product @ product.T)
        roots = np.sqrt(np.maximum(squares, 0)).sum()
        apart = np.square(other.mean - self.mean).sum()
        return float(apart + np.square(self.root).sum() + np.square(other.root).sum() - 2 * roots)


@dataclass(frozen=True)
class ClassView:
    """One class as one judge sees it."""

    rows: Int[np.ndarray, " n"]
    """Rows of the class in the source, ascending."""
    source: Float[np.ndarray, "n d"]
    gaussian: _Gaussian
    apart: Float[np.ndarray, "n m"]
    """Squared distances of source images to held-out images."""
    inside: Bool[np.ndarray, "n m"]
    """Whether a source image is within the ball of a held-out image."""
    width: float
    """Median squared distance of held-out images, the width of the kernel."""

    @classmethod
    def of(cls, judge: Judge, rows: np.ndarray, held: np.ndarray) -> "ClassView":
        """Look at one class: `rows` of the source, `held` rows of the held-out images."""
        source, target = judge.source[rows], judge.held[held]
        own = cdist(target, target, "sqeuclidean")
        radii = np.sort(own, axis=1)[:, NEIGHBOURS]
        apart = cdist(source, target, "sqeuclidean")
        width = float(np.median(own[own > 0]))
        return cls(rows, source, _Gaussian.of(target), apart, apart <= radii, width)

    def measures(self, subset: Int[np.ndarray, " k"]) -> dict[str, float]:
        """Measure a subset, given by rows of the source.

        mmd is the squared maximum mean discrepancy without the constant of the held-out images,
        with the kernel exp(-squared distance / width), without bias. distance is the mean squared
        distance of held-out images to the nearest chosen one.
        """
        places = np.searchsorted(self.rows, subset)
        chosen = self.source[places]
        own = cdist(chosen, chosen, "sqeuclidean")
        count = len(chosen)
        kernel = np.exp(-own / self.width).sum() - count
        radii = np.sort(own, axis=1)[:, SUBSET_NEIGHBOURS]
        apart = self.apart[places]
        cross = np.exp(-apart / self.width).mean()
        return {
            "frechet": self.gaussian.distance(chosen),
            "mmd": float(kernel / (count * (count - 1)) - 2 * cross),
            "coverage": float(self.inside[places].any(axis=0).mean()),
            "recall": float((apart <= radii[:, None]).any(axis=0).mean()),
            "distance": float(apart.min(axis=0).mean()),
        }


class Judging:
    """All judges of a set."""

    def __init__(self, data: StudySet) -> None:
        self._data = data
        self._pooled = {judge.name: _Gaussian.of(judge.held) for judge in data.judges}
        self._views = {
            (judge.name, label): ClassView.of(
                judge,
                np.flatnonzero(data.labels == label),
                np.flatnonzero(data.held_labels == label),
            )
            for judge in data.judges
            for label in data.classes
        }

    def of_class(self, label: int, subset: Int[np.ndarray, " k"]) -> dict[str, float]:
        """Return JUDGE.MEASURE of the images chosen from one class."""
        found: dict[str, float] = {}
        for judge in self._data.judges:
            values = self._views[judge.name, label].measures(subset)
            found |= {f"{judge.name}.{name}": value for name, value in values.items()}
        return found

    def of_all(self, subset: Int[np.ndarray, " k"]) -> dict[str, float]:
        """Return JUDGE.frechet of the images chosen from all classes."""
        return {
            f"{judge.name}.{POOLED}": self._pooled[judge.name].distance(judge.source[subset])
            for judge in self._data.judges
        }
