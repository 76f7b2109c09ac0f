"""The images nearest to the class mean: typical, but without coverage of the class."""

from collections.abc import Sequence
from typing import ClassVar, Literal, final

import numpy as np

from otcondense.selection.base import Selector
from otcondense.selection.candidates import Candidates
from otcondense.selection.nearest import TIE, Distances
from otcondense.selection.selector_config import SelectorConfig, included_first


class NearestMeanConfig(SelectorConfig):
    """Parameters of the nearest-to-mean choice: only the budget."""


@final
class NearestMeanSelector(Selector):
    """Takes the images with the smallest Euclidean distance to the (weighted) mean of the features.

    `fit` needs `features`.

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

    Attributes
    ----------
    indices_ : array of int, [budget]
        Chosen images, the nearest first.
    objective_ : float
        Mean squared distance of the chosen images to the mean of the class.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.selection import NearestMeanSelector
    >>> features = np.array([[0.0], [1.0], [4.0], [7.0]])  # their mean is 3
    >>> NearestMeanSelector(budget=2).fit(features).indices_
    array([2, 1])
    """

    Config: ClassVar[type[SelectorConfig]] = NearestMeanConfig
    needs = frozenset({"features"})

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
        distances = Distances(candidates.require("features", "nearest_mean"))
        centre = candidates.mass @ distances.rows
        to_mean = distances.to_points(centre[None])[:, 0]

        # Distances are rounded to a grid, so that ties go to the lower index.
        grid = max(TIE * to_mean.max(), np.finfo(float).tiny)
        order = np.argsort(np.rint(to_mean / grid), kind="stable")
        self.indices_ = included_first(self.config, order, budget)

        for count, index in enumerate(self.indices_.tolist(), start=1):
            self.objective_ = float(to_mean[self.indices_[:count]].mean())
            self._record(index, self.objective_)
        if budget > 1:
            chosen = to_mean[self.indices_]
            self.gain_ = (chosen.sum() - chosen) / (budget - 1) - self.objective_
