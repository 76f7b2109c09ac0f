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

    The radius is at most twice the best one.

    Parameters
    ----------
    budget : int, default 10
        Number of images to choose, >= 1.
    seed : int, default 0
        Seed of a random first image, >= 0.
    small_class : {"error", "take_all"}, default "error"
        "error" refuses a class with fewer images than the budget, "take_all" takes all of it.
    include : sequence of int, default ()
        Indices of images that must be chosen; they come first.
    exclude : sequence of int, default ()
        Indices of images that must not be chosen; they still count as part of the class.
    start : {"random", "medoid"}, default "random"
        First image: "random", or "medoid" for the one with the smallest mean cost to the class.

    Attributes
    ----------
    indices_ : array of int, [budget]
        Chosen images, in order of choice.
    objective_ : float
        Largest cost (squared Euclidean distance, or the cost given) of a class image from the
        subset.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.selection import KCenterSelector
    >>> features = np.array([[0.0], [1.0], [2.0], [10.0]])
    >>> selector = KCenterSelector(budget=2, start="medoid").fit(features)
    >>> selector.indices_, selector.objective_
    (array([2, 3]), 4.0)

    References
    ----------
    .. [1] Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985.
    .. [2] Sener and Savarese, ICLR 2018, algorithm 1.
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
        second = np.full(candidates.size, np.inf)
        place = np.zeros(candidates.size, dtype=np.int64)
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
            cost = distances.to(np.array([index]))[:, 0]
            place[cost < nearest] = step
            second = np.minimum(second, np.maximum(nearest, cost))
            nearest = np.minimum(nearest, cost)
            self.objective_ = float(nearest.max())
            self._record(index, self.objective_)
        self.indices_ = np.array(order)
        if budget > 1:
            radii = [np.where(place == k, second, nearest).max() for k in range(budget)]
            self.gain_ = np.array(radii) - self.objective_
