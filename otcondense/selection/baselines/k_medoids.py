"""k-medoids as facility location, by lazy greedy."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from jaxtyping import Float

from otcondense.selection.base import Selector
from otcondense.selection.candidates import Candidates
from otcondense.selection.diagnostics import Diagnostics
from otcondense.selection.selector_config import SelectorConfig, free_images

COST_GRID = 2.0**-40
"""Costs are rounded to this share of the largest: coarser than the rounding errors of distances."""


class KMedoidsConfig(SelectorConfig):
    """Parameters of k-medoids: only the budget."""


@dataclass(frozen=True)
class KMedoidsDiagnostics(Diagnostics):
    """Diagnostics of k-medoids."""

    evaluations: int
    """Number of savings computed; plain greedy needs about budget times the number of images."""


@final
class KMedoidsSelector(Selector):
    """Each step takes the image that lowers the mean cost to the nearest chosen image most.

    The saving is at least 1 − 1/e of the best one. Savings only shrink as the subset grows: an old
    saving bounds the new one, so that few are recomputed. `objective_` is the mean cost (squared
    Euclidean distance, or the cost given), weighted if the class is. The [n, n] costs are held in
    memory.

    Args:
        budget: number of images to choose, >= 1. Default 10.
        seed: ignored: the choice is deterministic. Default 0.
        small_class: "error" refuses a class with fewer images than the budget, "take_all" takes all
            of it. Default "error".
        include: indices of images that must be chosen; they come first. Default ().
        exclude: indices of images that must not be chosen; they still count as part of the class.
            Default ().

    Source: Nemhauser, Wolsey and Fisher 1978 (greedy); Minoux 1978 (lazy evaluation).
    """

    Config: ClassVar[type[SelectorConfig]] = KMedoidsConfig
    diagnostics_: KMedoidsDiagnostics

    def __init__(
        self,
        budget: int = 10,
        *,
        seed: int = 0,
        small_class: Literal["error", "take_all"] = "error",
        include: Sequence[int] = (),
        exclude: Sequence[int] = (),
    ) -> None:
        super().__init__(
            budget, seed=seed, small_class=small_class, include=include, exclude=exclude
        )
        self._check()

    def _fit(self, candidates: Candidates, budget: int) -> None:
        cost = _without_rounding(candidates.distances().to(np.arange(candidates.size)).T)
        mass = candidates.mass
        nearest = np.full(candidates.size, cost.max())
        order = list(self.config.include)
        for index in order:
            nearest = self._add(index, cost, nearest, mass)

        # Entries are (-saving, index, size of the subset when the saving was computed).
        free = free_images(self.config, candidates.size)
        savings = np.maximum(nearest - cost[free], 0) @ mass
        entries = zip(savings.tolist(), free.tolist(), strict=True)
        heap = [(-saving, index, len(order)) for saving, index in entries]
        heapq.heapify(heap)
        evaluations = len(free)
        while len(order) < budget:
            _, index, computed_at = heapq.heappop(heap)
            if computed_at == len(order):
                order.append(index)
                nearest = self._add(index, cost, nearest, mass)
            else:
                saving = float(np.maximum(nearest - cost[index], 0) @ mass)
                heapq.heappush(heap, (-saving, index, len(order)))
                evaluations += 1

        self.indices_ = np.array(order)
        self.diagnostics_ = KMedoidsDiagnostics(evaluations)

    def _add(
        self,
        index: int,
        cost: Float[np.ndarray, "n n"],
        nearest: Float[np.ndarray, " n"],
        mass: Float[np.ndarray, " n"],
    ) -> Float[np.ndarray, " n"]:
        """Record the choice of an image and return the costs to the nearest chosen one."""
        smaller: Float[np.ndarray, " n"] = np.minimum(nearest, cost[index])
        self.objective_ = float(smaller @ mass)
        self._record(index, self.objective_)
        return smaller


def _without_rounding(cost: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Round costs to a grid, so that images with equal costs have equal savings.

    Ties then go to the lower index.
    """
    grid = cost.max() * COST_GRID
    return np.rint(cost / grid) * grid if grid > 0 else cost
