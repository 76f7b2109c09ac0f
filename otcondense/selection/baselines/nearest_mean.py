"""The images nearest to the class mean: typical, and blind to everything else."""

from typing import ClassVar, final

import numpy as np

from otcondense.selection.base import Candidates, Selector, SelectorConfig
from otcondense.selection.nearest import TIE, Distances


class NearestMeanConfig(SelectorConfig):
    """Settings of the nearest-to-mean choice: the budget."""


@final
class NearestMeanSelector(Selector):
    """Takes the images with the smallest Euclidean distance to the (weighted) mean of the features.

    `objective_` is the mean squared distance of the chosen images to that mean.
    """

    Config: ClassVar[type[SelectorConfig]] = NearestMeanConfig

    def _fit(self, candidates: Candidates, budget: int) -> None:
        distances = Distances(candidates.require("features", "nearest_mean"))
        centre = candidates.mass @ distances.rows
        to_mean = distances.to_points(centre[None])[:, 0]
        steps = np.rint(to_mean / max(TIE * to_mean.max(), np.finfo(float).tiny))
        self.indices_ = np.argsort(steps, kind="stable")[:budget]
        for count, index in enumerate(self.indices_.tolist(), start=1):
            self._record(index, float(to_mean[self.indices_[:count]].mean()))
        self.objective_ = self.history_[-1]["objective"]
