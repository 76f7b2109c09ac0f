"""Herding: a sequence of images whose running mean follows the class mean."""

from typing import ClassVar, Literal, final

import numpy as np

from otcondense.selection.base import Candidates, Selector, SelectorConfig
from otcondense.selection.nearest import Distances, first_minimum


class HerdingConfig(SelectorConfig):
    """Settings of herding."""

    variant: Literal["welling", "deepcore"] = "welling"
    """welling: the published method; deepcore: the farthest image in place of the nearest, as that library computes it."""


@final
class HerdingSelector(Selector):
    """Step t takes the image x that minimises ‖t·mean − (sum of the chosen) − x‖ over the images not yet chosen.

    `objective_` is the squared distance between the mean of the subset and the mean of the class.

    Source: Welling, "Herding dynamical weights to learn", ICML 2009, in the form of iCaRL (Rebuffi et al., CVPR 2017, algorithm 4).
    """

    Config: ClassVar[type[SelectorConfig]] = HerdingConfig
    config: HerdingConfig

    def _fit(self, candidates: Candidates, budget: int) -> None:
        distances = Distances(candidates.require("features", "herding"))
        mean, total = candidates.mass @ distances.rows, np.zeros(distances.rows.shape[1])
        sign, chosen = (
            (1 if self.config.variant == "welling" else -1),
            np.zeros(candidates.size, dtype=bool),
        )
        for step in range(1, budget + 1):
            score = sign * distances.to_points((step * mean - total)[None])[:, 0]
            index = int(first_minimum(np.where(chosen, np.inf, score)))
            chosen[index] = True
            total += distances.rows[index]
            self._record(index, float(np.square(total / step - mean).sum()))
        self.indices_ = np.array([step["added"] for step in self.history_])
        self.objective_ = self.history_[-1]["objective"]
