"""k-medoids as facility location, by lazy greedy."""

import heapq
from typing import ClassVar, final

import numpy as np
from jaxtyping import Float

from otcondense.selection.base import Candidates, Selector, SelectorConfig


class KMedoidsConfig(SelectorConfig):
    """Settings of k-medoids: the budget."""


@final
class KMedoidsSelector(Selector):
    """Each step takes the image that lowers the mean cost to the nearest chosen image most; 1 − 1/e of the best saving.

    Savings only shrink as the subset grows, so an old saving bounds the new one and few are computed again. `objective_` is
    that mean cost (squared Euclidean distance, or the cost given), weighted where the class is. The [n, n] costs are held.

    Source: Nemhauser, Wolsey and Fisher 1978 (greedy); Minoux 1978 (lazy evaluation).
    """

    Config: ClassVar[type[SelectorConfig]] = KMedoidsConfig

    def _fit(self, candidates: Candidates, budget: int) -> None:
        cost = _without_rounding(candidates.distances().to(np.arange(candidates.size)).T)
        mass, nearest = candidates.mass, np.full(candidates.size, cost.max())
        heap = [(-float(saving), index, 0) for index, saving in enumerate((nearest - cost) @ mass)]
        heapq.heapify(heap)
        evaluations = candidates.size
        while len(self.history_) < budget:
            saving, index, seen = heapq.heappop(heap)
            if seen == len(self.history_):
                nearest = np.minimum(nearest, cost[index])
                self._record(index, float(nearest @ mass))
            else:
                evaluations += 1
                saving = -float(np.maximum(nearest - cost[index], 0) @ mass)
                heapq.heappush(heap, (saving, index, len(self.history_)))
        self.indices_ = np.array([step["added"] for step in self.history_])
        self.objective_ = self.history_[-1]["objective"]
        self.diagnostics_ = {"evaluations": evaluations}


def _without_rounding(cost: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Snap costs to a grid of 2⁻⁴⁰ of the largest, so that images with equal costs have equal savings and tie by index."""
    grid = cost.max() * 2.0**-40
    return np.rint(cost / grid) * grid if grid > 0 else cost
