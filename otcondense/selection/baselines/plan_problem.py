"""Partial transport from chosen images to a class, and bounds of what a further image gains."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from otcondense.selection.nearest import TIE


@dataclass(frozen=True)
class PlanProblem:
    """Chosen images ship `supply` each; a class image takes at most its capacity.

    All capacities together take the supply of the whole budget, so that a plan always exists.
    """

    similarity: Float[np.ndarray, "n n"]
    """Similarity >= 0, row = chosen image, column = class image."""
    capacity: Float[np.ndarray, " n"]
    supply: float

    @cached_property
    def _columns(self) -> int:
        """Class images that certainly take the supply of one image."""
        free = self.capacity > 0
        needed = math.ceil(self.supply / float(self.capacity[free].min()))
        return min(len(free), needed + int((~free).sum()))

    def best_use(self, values: Float[np.ndarray, " n"]) -> float:
        """Return the largest Σ values · mass for the supply of one image within the capacities."""
        count = self._columns
        first = np.arange(len(values))
        if count < len(values):
            first = np.argpartition(-values, count - 1)[:count]
        first = first[np.argsort(-values[first], kind="stable")]
        capacity = self.capacity[first]
        before = np.concatenate([[0.0], np.cumsum(capacity)[:-1]])
        return float(np.clip(self.supply - before, 0, capacity) @ values[first])

    @cached_property
    def mass_tolerance(self) -> float:
        """Masses below it are rounding errors."""
        return TIE * float(self.capacity.sum())

    @cached_property
    def unit_tolerance(self) -> float:
        """Similarities closer than that are equal."""
        return TIE * float(self.similarity.max())


@dataclass(frozen=True)
class Cut:
    """Prices of class images that bound the gain of adding any image to a plan.

    Raised to what the added image would pay, they solve the dual problem of the larger subset.
    """

    problem: PlanProblem
    prices: Float[np.ndarray, " n"]
    """Dual value >= 0 of a unit of each class image's capacity."""
    offset: float
    """Dual value of the plan's images at these prices, less the value of the plan."""

    def bound(self, image: int) -> float:
        """Return an upper bound of the gain of an image."""
        values = self.problem.similarity[image] - self.prices
        return self.offset + self.problem.best_use(values)
