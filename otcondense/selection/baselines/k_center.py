"""Greedy k-center: no image far from the subset."""

from collections.abc import Sequence
from typing import ClassVar, Literal, final

import numpy as np

from otcondense.selection.base import Selector
from otcondense.selection.candidates import Candidates
from otcondense.selection.nearest import first_minimum
from otcondense.selection.selector_config import SelectorConfig, barred_images


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
        include: indices of images that must be chosen; they come first. Default ().
        exclude: indices of images that must not be chosen; they still count as part of the class.
            Default ().
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
        include: Sequence[int] = (),
        exclude: Sequence[int] = (),
        start: Literal["random", "medoid"] = "random",
    ) -> None:
        super().__init__(
            budget, seed=seed, small_class=small_class, include=include, exclude=exclude
        )
        self.start = start
        self._check()

    def _first(self, candidates: Candidates) -> int:
        if self.config.start == "random":
            free = np.flatnonzero(~barred_images(self.config, candidates.size))
            return int(free[np.random.default_rng(self.config.seed).integers(len(free))])
        distances = candidates.distances()
        if distances.cost is not None:
            to_class = distances.cost @ candidates.mass
        else:
            mean = candidates.mass @ distances.rows
            to_class = distances.to_points(mean[None])[:, 0]
        return int(
            first_minimum(np.where(barred_images(self.config, candidates.size), np.inf, to_class))
        )

    def _fit(self, candidates: Candidates, budget: int) -> None:
        distances = candidates.distances()
        nearest = np.full(candidates.size, np.inf)
        barred = barred_images(self.config, candidates.size)

        order: list[int] = []
        for step in range(budget):
            if step < len(self.config.include):
                index = self.config.include[step]
            elif step == 0:
                index = self._first(candidates)
            else:
                index = int(first_minimum(np.where(barred, np.inf, -nearest)))
            order.append(index)
            barred[index] = True
            nearest = np.minimum(nearest, distances.to(np.array([index]))[:, 0])
            self.objective_ = float(nearest.max())
            self._record(index, self.objective_)
        self.indices_ = np.array(order)
