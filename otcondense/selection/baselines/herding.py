"""Herding: a sequence of images whose running mean follows the class mean."""

from collections.abc import Sequence
from typing import ClassVar, Literal, final

import numpy as np

from otcondense.selection.base import Selector
from otcondense.selection.candidates import Candidates
from otcondense.selection.nearest import Distances, first_minimum
from otcondense.selection.selector_config import SelectorConfig, barred_images


class HerdingConfig(SelectorConfig):
    """Parameters of herding."""

    variant: Literal["welling", "deepcore"] = "welling"
    """welling: the published method; deepcore: the farthest image in place of the nearest, as that
    library computes it."""


@final
class HerdingSelector(Selector):
    """Herding in feature space.

    Step t takes the image x, among those not yet chosen, that minimises
    ‖t·mean − (sum of the chosen) − x‖. `fit` needs `features`.

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
    variant : {"welling", "deepcore"}, default "welling"
        "welling" is the published method; "deepcore" takes the farthest image in place of the
        nearest, as that library computes it.

    Attributes
    ----------
    indices_ : array of int, [budget]
        Chosen images, in order of choice.
    objective_ : float
        Squared distance between the mean of the subset and the mean of the class.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.selection import HerdingSelector
    >>> features = np.array([[0.0], [1.0], [4.0], [7.0]])  # their mean is 3
    >>> HerdingSelector(budget=3).fit(features).indices_
    array([2, 1, 3])

    References
    ----------
    .. [1] Welling, "Herding dynamical weights to learn", ICML 2009, in the form of iCaRL (Rebuffi
       et al., CVPR 2017, algorithm 4).
    """

    Config: ClassVar[type[SelectorConfig]] = HerdingConfig
    needs = frozenset({"features"})
    config: HerdingConfig

    def __init__(
        self,
        budget: int = 10,
        *,
        seed: int = 0,
        small_class: Literal["error", "take_all"] = "error",
        include: Sequence[int] = (),
        exclude: Sequence[int] = (),
        variant: Literal["welling", "deepcore"] = "welling",
    ) -> None:
        super().__init__(
            budget, seed=seed, small_class=small_class, include=include, exclude=exclude
        )
        self.variant = variant
        self._check()

    def _fit(self, candidates: Candidates, budget: int) -> None:
        distances = Distances(candidates.require("features", "herding"))
        mean = candidates.mass @ distances.rows
        sign = 1 if self.config.variant == "welling" else -1

        total = np.zeros(distances.rows.shape[1])
        barred = barred_images(self.config, candidates.size)
        order: list[int] = []
        for step in range(1, budget + 1):
            if step <= len(self.config.include):
                index = self.config.include[step - 1]
            else:
                score = sign * distances.to_points((step * mean - total)[None])[:, 0]
                index = int(first_minimum(np.where(barred, np.inf, score)))
            order.append(index)
            barred[index] = True
            total += distances.rows[index]
            self.objective_ = float(np.square(total / step - mean).sum())
            self._record(index, self.objective_)
        self.indices_ = np.array(order)
        if budget > 1:
            rests = (total - distances.rows[order]) / (budget - 1)
            self.gain_ = np.square(rests - mean).sum(axis=1) - self.objective_
