"""The face that every selector shows, and the validated data it works on."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, ValidationError

from otcondense.config import Config
from otcondense.errors import InputError
from otcondense.selection.nearest import Distances, first_minimum
from otcondense.selection.watch import Moment, Watcher, nobody

AnySelector = TypeVar("AnySelector", bound="Selector")


class SelectorConfig(Config):
    """What every selector needs."""

    budget: int = Field(default=10, ge=1)
    """Number of images to choose from the class."""
    seed: int = Field(default=0, ge=0)
    """Seed of every random draw of the selector; deterministic selectors ignore it."""
    small_class: Literal["error", "take_all"] = "error"
    """What to do with a class of fewer images than the budget: refuse it, or take all of it."""


@dataclass(frozen=True)
class Candidates:
    """One class, checked: every array is finite, float64 and contiguous, with one row per image.

    Either `features` or `cost` is given; selectors that need features say so.
    """

    features: Float[np.ndarray, "n d"] | None
    cross_entropy: Float[np.ndarray, " n"] | None = None
    """Cross-entropy of the true class in nats, >= 0."""
    difficulty: Float[np.ndarray, " n"] | None = None
    """Any per-image score; which end is hard is the selector's setting."""
    logits: Float[np.ndarray, "n c"] | None = None
    cost: Float[np.ndarray, "n n"] | None = None
    """Cost matrix in place of the squared Euclidean distances of the features."""
    weights: Float[np.ndarray, " n"] | None = None
    """Weight of each image in the class, normalised to sum 1; None is uniform."""

    @property
    def size(self) -> int:
        """Number of candidate images."""
        array = self.features if self.features is not None else self.cost
        assert array is not None
        return len(array)

    @property
    def mass(self) -> Float[np.ndarray, " n"]:
        """Weight of each image, uniform where none was given, sum 1."""
        return np.full(self.size, 1 / self.size) if self.weights is None else self.weights

    def distances(self) -> Distances:
        """Cost from every image to chosen ones: the cost matrix where one was given, else squared Euclidean distances."""
        return Distances(self.features, self.cost)

    def require(self, name: str, selector: str) -> NDArray[np.float64]:
        """Return the array called `name`, or say which selector misses it."""
        array = getattr(self, name)
        if array is None:
            raise InputError(f"{selector} needs `{name}` for every image of the class, found None")
        return array  # type: ignore[no-any-return]


def _to_numpy(values: Any) -> NDArray[Any]:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype is torch.bfloat16 else values).numpy()
    array: NDArray[Any] = np.asarray(values)
    return array


def as_rows(
    name: str, values: ArrayLike, ndim: int, size: int | None = None
) -> NDArray[np.float64]:
    """Return `values` as a finite, contiguous float64 array of `ndim` dimensions and `size` rows.

    Raises: InputError naming the argument, the expected and the found shape or value.
    """
    array = _to_numpy(values)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} must be numeric, found dtype {array.dtype}")
    array = np.ascontiguousarray(array, dtype=np.float64)
    if array.ndim != ndim:
        raise InputError(f"{name} must have {ndim} dimension(s), found shape {array.shape}")
    if size is not None and len(array) != size:
        raise InputError(f"{name} must have one row per image ({size}), found {len(array)}")
    if not np.isfinite(array).all():
        first = int(np.argwhere(~np.isfinite(array))[0][0])
        raise InputError(
            f"{name} must be finite, found {int((~np.isfinite(array)).sum())} NaN or infinite value(s), the first in row {first}"
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
    """Check the arrays of one class and bring them to float64.

    Raises: InputError for missing, misshaped, non-finite or negative values.
    """
    if features is None and cost is None:
        raise InputError("features or cost must be given, found neither")
    rows = None if features is None else as_rows("features", features, 2)
    matrix = None if cost is None else as_rows("cost", cost, 2, None if rows is None else len(rows))
    size = len(rows) if rows is not None else len(matrix)  # type: ignore[arg-type]
    if size == 0 or (rows is not None and rows.shape[1] == 0):
        raise InputError(
            f"features must hold at least one image and one column, found shape {(size, 0 if rows is None else rows.shape[1])}"
        )
    if matrix is not None and (matrix.shape[1] != size or (matrix < 0).any()):
        raise InputError(
            f"cost must be a square matrix of values >= 0, found shape {matrix.shape}, minimum {matrix.min()}"
        )
    entropy = None if cross_entropy is None else as_rows("cross_entropy", cross_entropy, 1, size)
    if entropy is not None and (entropy < 0).any():
        raise InputError(
            f"cross_entropy must be >= 0, found {entropy.min()} in row {int(entropy.argmin())}"
        )
    mass = None if weights is None else as_rows("weights", weights, 1, size)
    if mass is not None:
        if (mass < 0).any() or mass.sum() <= 0:
            raise InputError(
                f"weights must be >= 0 with a positive sum, found minimum {mass.min()} and sum {mass.sum()}"
            )
        mass = mass / mass.sum()
    return Candidates(
        features=rows,
        cross_entropy=entropy,
        difficulty=None if difficulty is None else as_rows("difficulty", difficulty, 1, size),
        logits=None if logits is None else as_rows("logits", logits, 2, size),
        cost=matrix,
        weights=mass,
    )


class Selector(ABC):
    """Chooses `budget` images of one class, as a scikit-learn estimator does: construct, `fit`, read the results.

    Subclasses are final. Each takes its settings as keyword arguments, checks them with its own frozen `Config`,
    and implements `_fit`, which sets at least `indices_`.

    Attributes after `fit`:
        indices_: chosen images in order of choice, [budget].
        objective_: value of the selector's own objective, nan where it has none.
        lower_bound_: proven lower bound on the best objective over all subsets of that size, nan where there is none.
        history_: the objective after each step, one dict a step.
        represented_mass_: share of the class's mass that each image receives from the subset, [n], sums to 1.
        assignment_: for each image the chosen image that stands for it, -1 where it is left out, [n].
        terms_, diagnostics_: parts of the objective and what is worth knowing about the computation.
    """

    Config: ClassVar[type[SelectorConfig]]

    indices_: Int[np.ndarray, " budget"]
    objective_: float
    lower_bound_: float
    history_: list[dict[str, Any]]
    represented_mass_: Float[np.ndarray, " n"]
    assignment_: Int[np.ndarray, " n"]
    terms_: dict[str, float]
    diagnostics_: dict[str, Any]

    config: SelectorConfig

    def __init__(self, **settings: Any) -> None:
        self._watcher: Watcher = nobody
        try:
            self.config = self.Config(**settings)
        except ValidationError as error:
            found = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}, found {e['input']!r}"
                for e in error.errors()
            )
            raise InputError(
                f"{type(self).__name__} was given a setting it cannot use: {found}"
            ) from error

    def watch(self: AnySelector, watcher: Watcher) -> AnySelector:
        """Tell `watcher` of every step of the fits to come; what it raises ends the fit. It changes no result."""
        self._watcher = watcher
        return self

    def fit(
        self: AnySelector,
        features: ArrayLike | None,
        *,
        cross_entropy: ArrayLike | None = None,
        difficulty: ArrayLike | None = None,
        logits: ArrayLike | None = None,
        cost: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> AnySelector:
        """Choose the subset of one class.

        Args:
            features: [n, d] features of the class, any float or integer type.
            cross_entropy: [n] cross-entropy of the true class in nats, >= 0.
            difficulty: [n] difficulty score.
            logits: [n, c] logits of a classifier.
            cost: [n, n] cost matrix, row = chosen image, column = class image.
            weights: [n] weight of each image in the class.

        Raises: InputError (a ValueError) naming the argument, the expected and the found value.
        """
        candidates = validate_candidates(
            features,
            cross_entropy=cross_entropy,
            difficulty=difficulty,
            logits=logits,
            cost=cost,
            weights=weights,
        )
        if self.config.budget > candidates.size and self.config.small_class == "error":
            raise InputError(
                f"budget must be at most the number of images, found budget {self.config.budget} for {candidates.size} images; "
                "lower it or set small_class=take_all"
            )
        self.objective_, self.lower_bound_ = float("nan"), float("nan")
        self.history_, self.terms_, self.diagnostics_ = [], {}, {}
        self.represented_mass_ = self.assignment_ = np.empty(0)
        budget = min(
            self.config.budget,
            candidates.size if self.config.small_class == "error" else self._eligible(candidates),
        )
        self._fit(candidates, budget)
        assert len(set(self.indices_.tolist())) == len(self.indices_) == budget
        self._represent(candidates)
        return self

    def _represent(self, candidates: Candidates) -> None:
        """Give each image to the nearest chosen one, where the selector has not said who stands for it."""
        if not len(self.assignment_):
            chosen = np.sort(self.indices_)
            self.assignment_ = chosen[first_minimum(candidates.distances().to(chosen))]
        if not len(self.represented_mass_):
            self.represented_mass_ = candidates.mass

    def _record(self, index: int, objective: float = float("nan")) -> None:
        """Add the choice of one image to the history."""
        step = {
            "step": len(self.history_),
            "stage": "greedy",
            "added": index,
            "removed": None,
            "objective": objective,
        }
        self.history_.append(step)
        self._watcher(
            Moment(
                "greedy",
                chosen=len(self.history_),
                objective=objective if np.isfinite(objective) else None,
            )
        )

    def _eligible(self, candidates: Candidates) -> int:
        """Return how many images may be chosen."""
        return candidates.size

    @abstractmethod
    def _fit(self, candidates: Candidates, budget: int) -> None:
        """Set `indices_` and whatever else the selector knows."""
