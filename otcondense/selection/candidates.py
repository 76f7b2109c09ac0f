"""The validated data of one class."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from otcondense.errors import InputError
from otcondense.near_names import did_you_mean
from otcondense.selection.arrays import as_rows
from otcondense.selection.nearest import Distances
from otcondense.unit_rows import COSINE, COST_NAMES, unit_rows


@dataclass(frozen=True)
class Candidates:
    """One class: every array is finite, float64 and contiguous, with one row per image.

    `features`, `cost` or both are given. Selectors that need features say so.

    Examples
    --------
    >>> from otcondense.selection.candidates import validate_candidates
    >>> validate_candidates([[0.0], [2.0]], weights=[1, 3]).mass
    array([0.25, 0.75])
    """

    features: Float[np.ndarray, "n d"] | None
    cross_entropy: Float[np.ndarray, " n"] | None = None
    """Cross-entropy of the true class in nats, >= 0."""
    difficulty: Float[np.ndarray, " n"] | None = None
    """Any score per image; a parameter of the selector says which end is hard."""
    logits: Float[np.ndarray, "n c"] | None = None
    cost: Float[np.ndarray, "n n"] | None = None
    """Cost matrix in place of the squared Euclidean distances of the features."""
    weights: Float[np.ndarray, " n"] | None = None
    """Weight of each image in the class, normalised to sum 1; None is uniform."""
    cost_unit: float = 1.0
    """Unit of the costs, a power of 4; its square root is the unit of the features."""

    @property
    def size(self) -> int:
        """Number of candidate images."""
        array = self.features if self.features is not None else self.cost
        assert array is not None
        return len(array)

    @property
    def mass(self) -> Float[np.ndarray, " n"]:
        """Weight of each image, sum 1; uniform if `weights` is None."""
        return np.full(self.size, 1 / self.size) if self.weights is None else self.weights

    def distances(self) -> Distances:
        """Return the costs from every image to chosen images.

        They come from the cost matrix if there is one, else they are squared Euclidean distances.
        """
        return Distances(self.features, self.cost)

    def require(self, name: str, selector: str) -> NDArray[np.float64]:
        """Return the array `name`.

        Raises: InputError with the name of the selector if the array is missing.
        """
        array: NDArray[np.float64] | None = getattr(self, name)
        if array is None:
            raise InputError(f"{selector} needs `{name}` for every image of the class, found None")
        return array


def validate_candidates(
    features: ArrayLike | None,
    *,
    cross_entropy: ArrayLike | None = None,
    difficulty: ArrayLike | None = None,
    logits: ArrayLike | None = None,
    cost: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Candidates:
    """Check the arrays of one class and convert them to float64.

    With `cost="cosine"` the rows of the features get unit length, and there is no cost matrix.

    Raises: InputError for missing, misshaped, non-finite or negative values.
    """
    if features is None and cost is None:
        raise InputError("features or cost must be given, found neither")

    rows = None
    matrix = None
    size = None
    if features is not None:
        rows = as_rows("features", features, 2)
        size = len(rows)
    if isinstance(cost, str):
        rows, cost = named_cost(cost, rows), None
    if cost is not None:
        matrix = as_rows("cost", cost, 2, size)
        size = len(matrix)
    assert size is not None

    width = 0 if rows is None else rows.shape[1]
    if size == 0 or (rows is not None and width == 0):
        raise InputError(
            f"features must hold at least one image and one column, found shape {(size, width)}"
        )
    if matrix is not None and (matrix.shape[1] != size or (matrix < 0).any()):
        raise InputError(
            f"cost must be a square matrix of values >= 0, found shape {matrix.shape}, "
            f"minimum {matrix.min()}"
        )
    return Candidates(
        features=rows,
        cross_entropy=_entropy(cross_entropy, size),
        weights=_normalised(weights, size),
        difficulty=_optional_rows("difficulty", difficulty, 1, size),
        logits=_optional_rows("logits", logits, 2, size),
        cost=matrix,
    )


def named_cost(cost: str, rows: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return features whose squared distances are the named cost.

    Raises: InputError for another name, without features, or for a row of zeros.
    """
    if cost not in COST_NAMES:
        raise InputError(
            f"cost must be a matrix or one of {', '.join(COST_NAMES)}, found {cost!r}"
            f"{did_you_mean(cost, COST_NAMES)}"
        )
    if rows is None:
        raise InputError(f"cost={cost!r} needs features, found None")
    return unit_rows(rows) if cost == COSINE else rows


def _optional_rows(
    name: str, values: ArrayLike | None, ndim: int, size: int
) -> NDArray[np.float64] | None:
    return None if values is None else as_rows(name, values, ndim, size)


def _entropy(values: ArrayLike | None, size: int) -> NDArray[np.float64] | None:
    if values is None:
        return None
    entropy = as_rows("cross_entropy", values, 1, size)
    if (entropy < 0).any():
        raise InputError(
            f"cross_entropy must be >= 0, found {entropy.min()} in row {int(entropy.argmin())}"
        )
    return entropy


def _normalised(values: ArrayLike | None, size: int) -> NDArray[np.float64] | None:
    if values is None:
        return None
    mass = as_rows("weights", values, 1, size)
    if (mass < 0).any() or not mass.any():
        raise InputError(
            "weights must be >= 0 with a positive sum, found minimum "
            f"{mass.min()} and sum {mass.sum()}"
        )
    with np.errstate(over="ignore"):
        if np.isinf(mass.sum()):
            mass = mass / mass.max()
    normalised: NDArray[np.float64] = mass / mass.sum()
    return normalised
