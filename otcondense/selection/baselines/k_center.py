"""Greedy k-center: no image far from the subset."""

from typing import ClassVar, Literal, final

import numpy as np

from otcondense.selection.base import Candidates, Selector, SelectorConfig
from otcondense.selection.nearest import first_minimum


class KCenterConfig(SelectorConfig):
    """Settings of greedy k-center."""

    start: Literal["random", "medoid"] = "random"
    """First image: a random one by the seed, or the one nearest to the class mean in the sense of the smallest mean cost."""


@final
class KCenterSelector(Selector):
    """After the first image, each step takes the image whose nearest chosen image is farthest: at most twice the best radius.

    `objective_` is the largest cost (squared Euclidean distance, or the cost given) of a class image from the subset.

    Source: Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985; Sener and Savarese, ICLR 2018, algorithm 1.
    """

    Config: ClassVar[type[SelectorConfig]] = KCenterConfig
    config: KCenterConfig

    def _first(self, candidates: Candidates) -> int:
        if self.config.start == "random":
            return int(np.random.default_rng(self.config.seed).integers(candidates.size))
        distances = candidates.distances()
        if distances.cost is not None:
            return int(first_minimum(distances.cost @ candidates.mass))
        return int(
            first_minimum(distances.to_points((candidates.mass @ distances.rows)[None])[:, 0])
        )

    def _fit(self, candidates: Candidates, budget: int) -> None:
        distances, index = candidates.distances(), self._first(candidates)
        nearest, chosen = np.full(candidates.size, np.inf), np.zeros(candidates.size, dtype=bool)
        for _ in range(budget):
            chosen[index] = True
            nearest = np.minimum(nearest, distances.to(np.array([index]))[:, 0])
            self._record(index, float(nearest.max()))
            index = int(first_minimum(np.where(chosen, np.inf, -nearest)))
        self.indices_ = np.array([step["added"] for step in self.history_])
        self.objective_ = self.history_[-1]["objective"]
