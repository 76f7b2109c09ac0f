"""SubZeroCore: facility location that prefers images in regions of usual density."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from jaxtyping import Float
from pydantic import Field

from otcondense.selection.base import Selector
from otcondense.selection.baselines.facility_location import (
    FacilityLocation,
    lazy_greedy,
    without_rounding,
)
from otcondense.selection.candidates import Candidates
from otcondense.selection.diagnostics import Diagnostics
from otcondense.selection.forecast import check_costs
from otcondense.selection.nearest import TIE, mean_gains
from otcondense.selection.selector_config import SelectorConfig, free_images


class SubZeroCoreConfig(SelectorConfig):
    """Parameters of SubZeroCore."""

    coverage: float = Field(default=0.6, gt=0, lt=1)
    """Share of the class that would be in the neighbourhood of an image if the budget were drawn at
    random; it sets the number of neighbours."""


@dataclass(frozen=True)
class SubZeroCoreDiagnostics(Diagnostics):
    """Diagnostics of SubZeroCore."""

    neighbours: int
    """Number of neighbours whose distance is the radius of an image."""
    evaluations: int
    """Number of savings computed."""


@final
class SubZeroCoreSelector(Selector):
    """Greedy choice for Σ_x max over the chosen j of w_j · similarity(j, x).

    The radius of an image is its distance to its K-th nearest other image. Its weight w is a
    Gaussian of the radius, with the mean and the standard deviation of all radii: outliers and
    copies have small weights. K = ⌈n (1 − (1 − coverage)^(1/budget))⌉ comes from the wanted
    coverage: an image is missed by `budget` neighbourhoods of K of n images, at random places, with
    probability (1 − K/n)^budget.

    The paper was read in excerpts only: the formula of K and the Gaussian are our reading of its
    words. Decided here: the similarity is 1 − cost / largest cost (with squared Euclidean distances
    as costs, or the cost given), so that neither origin nor unit of the features matters; w is 1
    for equal radii; weights of the class count in the sum over x, not in K.

    The [n, n] costs are held in memory.

    Parameters
    ----------
    budget : int, default 10
        Number of images to choose, >= 1.
    seed : int, default 0
        Ignored: the choice is deterministic.
    small_class : {"error", "take_all"}, default "error"
        "error" refuses a class with fewer images than the budget, "take_all" takes all of it.
    include : sequence of int, default ()
        Indices of images that must be chosen; they come first.
    exclude : sequence of int, default ()
        Indices of images that must not be chosen; they still count as part of the class.
    coverage : float, default 0.6
        Wanted coverage, 0 < coverage < 1.

    Attributes
    ----------
    indices_ : array of int, [budget]
        Chosen images, in order of choice.
    objective_ : float
        Weighted mean over x of the largest cost minus its best w_j · (largest cost − cost); the
        mean cost to the nearest chosen image if all w are 1.
    diagnostics_ : SubZeroCoreDiagnostics
        Neighbours that set the radii, and savings computed.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.selection import SubZeroCoreSelector
    >>> features = np.concatenate([np.arange(10.0), [100.0]])[:, None]  # the last one is an outlier
    >>> selector = SubZeroCoreSelector(budget=3).fit(features)
    >>> 10 in selector.indices_
    False

    References
    ----------
    .. [1] Moser et al., "SubZeroCore: a submodular approach with zero training for coreset
       selection", arXiv:2509.21748.
    """

    Config: ClassVar[type[SelectorConfig]] = SubZeroCoreConfig
    config: SubZeroCoreConfig
    diagnostics_: SubZeroCoreDiagnostics

    def __init__(
        self,
        budget: int = 10,
        *,
        seed: int = 0,
        small_class: Literal["error", "take_all"] = "error",
        include: Sequence[int] = (),
        exclude: Sequence[int] = (),
        coverage: float = 0.6,
    ) -> None:
        super().__init__(
            budget, seed=seed, small_class=small_class, include=include, exclude=exclude
        )
        self.coverage = coverage
        self._check()

    def _fit(self, candidates: Candidates, budget: int) -> None:
        check_costs(candidates)
        cost = without_rounding(candidates.distances().to(np.arange(candidates.size)).T)
        neighbours = neighbourhood(candidates.size, budget, self.config.coverage)
        weight = density_weights(radii(cost, neighbours))
        largest = cost.max()
        problem = FacilityLocation(
            without_rounding(largest - weight[:, None] * (largest - cost)), candidates.mass
        )
        free = free_images(self.config, candidates.size)
        order, evaluations = lazy_greedy(problem, self.config.include, free, budget, self._take)
        self.indices_ = np.array(order)
        self.gain_ = mean_gains(problem.cost[order].T, problem.mass)
        self.diagnostics_ = SubZeroCoreDiagnostics(neighbours, evaluations)

    def _take(self, index: int, objective: float) -> None:
        self.objective_ = objective
        self._record(index, objective)


def neighbourhood(size: int, budget: int, coverage: float) -> int:
    """Return the number of neighbours for a wanted coverage, at most those that a class has."""
    share: float = 1 - (1 - coverage) ** (1 / budget)
    return max(1, min(size - 1, math.ceil(size * share)))


def radii(cost: Float[np.ndarray, "n n"], neighbours: int) -> Float[np.ndarray, " n"]:
    """Return the root of the cost of each image to its K-th nearest other one; 0 if alone."""
    if len(cost) == 1:
        return np.zeros(1)
    others = cost.copy()
    np.fill_diagonal(others, np.inf)
    others.partition(neighbours - 1, axis=1)
    radius: Float[np.ndarray, " n"] = np.sqrt(others[:, neighbours - 1])
    return radius


def density_weights(radius: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return exp(−(r − mean)² / (2 variance)) of each radius r; 1 if all are equal."""
    deviation = radius.std()
    if deviation <= TIE * radius.max():
        return np.ones_like(radius)
    weights: Float[np.ndarray, " n"] = np.exp(
        -0.5 * np.square((radius - radius.mean()) / deviation)
    )
    return weights
