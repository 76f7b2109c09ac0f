"""Greedy k-center: no image far from the subset."""

from typing import ClassVar, Literal, final

import numpy as np

from otcondense.selection.base import Selector, SelectorConfig
from otcondense.selection.candidates import Candidates
from otcondense.selection.nearest import first_minimum


class KCenterConfig(SelectorConfig):
    """Parameters of greedy k-center."""

    start: Literal["random", "medoid"] = "random"
    """First image: a random one (by `seed`), or the one with the smallest mean cost to the class,
    which for features is the one nearest to the class mean."""


@final
class KCenterSelector(Selector):
    """Greedy k-center: each step takes the image that is farthest from its nearest chosen image.

    The radius is at most twice the best one. `objective_` is the largest cost (squared Euclidean
    distance, or the cost given) of a class image from the subset.

    Args:
        budget: number of images to choose, >= 1. Default 10.
        seed: seed of a random first image, >= 0. Default 0.
        small_class: "error" refuses a class with fewer images than the budget, "take_all" takes all
            of it. Default "error".
        start: first image: "random", or "medoid" for the one with the smallest mean cost to the
            class. Default "random".

    Source: Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985; Sener and
    Savarese, ICLR 2018, algorithm 1.
    """

    Config: ClassVar[type[SelectorConfig]] = KCenterConfig
    config: KCenterConfig

    def __init__(
        self,
        budget: int = 10,
        *,
        seed: int = 0,
        small_class: Literal["error", "take_all"] = "error",
        start: Literal["random", "medoid"] = "random",
    ) -> None:
        super().__init__(budget, seed=seed, small_class=small_class)
        self.start = start
        self._check()

    def _first(self, candidates: Candidates) -> int:
        if self.config.start == "random":
            return int(np.random.default_rng(self.config.seed).integers(candidates.size))
        distances = candidates.distances()
        if distances.cost is not None:
            return int(first_minimum(distances.cost @ candidates.mass))
        mean = candidates.mass @ distances.rows
        return int(first_minimum(distances.to_points(mean[None])[:, 0]))

    def _fit(self, candidates: Candidates, budget: int) -> None:
        distances = candidates.distances()
        nearest = np.full(candidates.size, np.inf)
        chosen = np.zeros(candidates.size, dtype=bool)

        order: list[int] = []
        index = self._first(candidates)
        for _ in range(budget):
            order.append(index)
            chosen[index] = True
            nearest = np.minimum(nearest, distances.to(np.array([index]))[:, 0])
            self.objective_ = float(nearest.max())
            self._record(index, self.objective_)
            index = int(first_minimum(np.where(chosen, np.inf, -nearest)))
        self.indices_ = np.array(order)
