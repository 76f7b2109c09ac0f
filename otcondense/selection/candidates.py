"""The validated data of one class."""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from otcondense.errors import InputError
from otcondense.selection.nearest import Distances


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


def check_one_class(y: ArrayLike | None, size: int) -> None:
    """Check the labels that a selector of one class is given.

    Raises: InputError for labels of several classes, or another number of them than of images.
    """
    if y is None:
        return
    labels = to_numpy(y)
    if labels.shape != (size,):
        raise InputError(f"y must have one label per image ({size}), found shape {labels.shape}")
    classes = len(set(labels.tolist()))
    if classes > 1:
        raise InputError(
            f"y must hold one class, found {classes}: a selector sees one class at a time; "
            "ClassSelector(selector).fit(X, y) chooses from every class"
        )


def to_numpy(values: Any) -> NDArray[Any]:
    """Return an array; a tensor may be on any device and of any dtype, bfloat16 too."""
    torch = sys.modules.get("torch")  # no tensor exists before the first import of torch
    if torch is not None and isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        if values.dtype is torch.bfloat16:
            values = values.float()
        values = values.numpy()
    array: NDArray[Any] = np.asarray(values)
    return array


def as_matrix(name: str, values: Any) -> NDArray[Any]:
    """Return numbers of any kind as an array with two dimensions, not converted or copied.

    Only an array of objects, such as a table of mixed columns, becomes float64.

    Raises: InputError with the name of the argument, the expected and the found value.
    """
    if hasattr(values, "toarray"):
        raise InputError(f"{name} must be a dense array, found a sparse one; give {name}.toarray()")
    array = to_numpy(values)
    if array.dtype.kind == "O":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"{name} must be numeric, found an object: {error}") from error
    if array.dtype.kind == "c":
        raise InputError(
            f"{name} must be real numbers, found dtype {array.dtype}: Complex data not supported"
        )
    if array.ndim != 2:
        raise InputError(f"{name} must have 2 dimensions, found shape {array.shape}")
    if array.shape[1] == 0:
        raise InputError(
            f"{name} must have columns, found 0 feature(s) (shape={array.shape}) while a minimum "
            "of 1 is required; give features"
        )
    return array


def as_rows(
    name: str, values: ArrayLike, ndim: int, size: int | None = None
) -> NDArray[np.float64]:
    """Return `values` as a finite, contiguous float64 array of `ndim` dimensions and `size` rows.

    Raises: InputError with the name of the argument, the expected and the found shape or value.
    """
    array = to_numpy(values)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} must be numeric, found dtype {array.dtype}")
    array = np.ascontiguousarray(array, dtype=np.float64)
    if array.ndim != ndim:
        raise InputError(f"{name} must have {ndim} dimension(s), found shape {array.shape}")
    if size is not None and len(array) != size:
        raise InputError(f"{name} must have one row per image ({size}), found {len(array)}")

    finite = np.isfinite(array)
    if not finite.all():
        first = int(np.argwhere(~finite)[0][0])
        raise InputError(
            f"{name} must be finite, found {int((~finite).sum())} NaN or infinite value(s), "
            f"the first in row {first}"
        )
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
    if (mass < 0).any() or mass.sum() <= 0:
        raise InputError(
            "weights must be >= 0 with a positive sum, found minimum "
            f"{mass.min()} and sum {mass.sum()}"
        )
    normalised: NDArray[np.float64] = mass / mass.sum()
    return normalised
