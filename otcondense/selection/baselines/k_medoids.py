"""k-medoids: lazy greedy, then swaps (PAM)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np

from otcondense.history import Step
from otcondense.selection.base import Selector
from otcondense.selection.baselines.facility_location import (
    FacilityLocation,
    lazy_greedy,
    without_rounding,
)
from otcondense.selection.baselines.medoid_swaps import Medoids, improve_by_swaps
from otcondense.selection.candidates import Candidates
from otcondense.selection.diagnostics import Diagnostics
from otcondense.selection.forecast import check_costs
from otcondense.selection.nearest import mean_gains
from otcondense.selection.selector_config import SelectorConfig, free_images
from otcondense.selection.watch import Moment


class KMedoidsConfig(SelectorConfig):
    """Parameters of k-medoids."""

    swaps: bool = True
    """Whether chosen images are swapped for others, until no single swap lowers the mean cost;
    without, the greedy choice is the result."""


@dataclass(frozen=True)
class KMedoidsDiagnostics(Diagnostics):
    """Diagnostics of k-medoids."""

    evaluations: int
    """Number of savings computed by the greedy part; plain greedy needs about budget times the
    number of images."""
    swaps: int
    """Number of swaps."""
    swap_gain: float
    """Share of the greedy objective that the swaps removed, 0 to 1."""


@final
class KMedoidsSelector(Selector):
    """Images with a small mean cost from each class image to the nearest of them.

    Each greedy step takes the image that lowers the mean cost most; then chosen images are swapped
    for others until no single swap lowers it (PAM: the two parts are BUILD and SWAP). The [n, n]
    costs are held in memory.

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
    swaps : bool, default True
        Whether to swap after the greedy part.

    Attributes
    ----------
    indices_ : array of int, [budget]
        Chosen images, in order of choice; an image that came in by a swap has the place of the
        one that went out.
    objective_ : float
        Weighted mean cost (squared Euclidean distance, or the cost given) of the class to the
        nearest chosen image.
    diagnostics_ : KMedoidsDiagnostics
        Work of the greedy part, and what the swaps gained.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.selection import KMedoidsSelector
    >>> features = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> selector = KMedoidsSelector(budget=2).fit(features)
    >>> selector.indices_, round(selector.objective_, 3)
    (array([1, 4]), 0.667)

    References
    ----------
    .. [1] Kaufman and Rousseeuw, "Finding groups in data", 1990 (PAM).
    .. [2] Schubert and Rousseeuw, Information Systems 101, 2021 (FasterPAM).
    """

    Config: ClassVar[type[SelectorConfig]] = KMedoidsConfig
    config: KMedoidsConfig
    diagnostics_: KMedoidsDiagnostics

    def __init__(
        self,
        budget: int = 10,
        *,
        seed: int = 0,
        small_class: Literal["error", "take_all"] = "error",
        include: Sequence[int] = (),
        exclude: Sequence[int] = (),
        swaps: bool = True,
    ) -> None:
        super().__init__(
            budget, seed=seed, small_class=small_class, include=include, exclude=exclude
        )
        self.swaps = swaps
        self._check()

    def _fit(self, candidates: Candidates, budget: int) -> None:
        check_costs(candidates)
        cost = candidates.distances().to(np.arange(candidates.size)).T
        problem = FacilityLocation(without_rounding(cost), candidates.mass)
        free = free_images(self.config, candidates.size)
        order, evaluations = lazy_greedy(problem, self.config.include, free, budget, self._take)

        greedy = self.objective_
        if self.config.swaps:
            medoids = Medoids(problem, order)
            improve_by_swaps(problem, medoids, len(self.config.include), free, self._swap)
            order = medoids.chosen
        self.indices_ = np.array(order)
        self.gain_ = mean_gains(problem.cost[order].T, problem.mass)
        gain = 1 - self.objective_ / greedy if greedy > 0 else 0.0
        self.diagnostics_ = KMedoidsDiagnostics(evaluations, len(self.history_) - budget, gain)

    def _take(self, index: int, objective: float) -> None:
        self.objective_ = objective
        self._record(index, objective)

    def _swap(self, added: int, removed: int, objective: float) -> None:
        self.objective_ = objective
        self.history_.append(Step(len(self.history_), "swap", added, removed, objective))
        chosen = sum(step.stage == "greedy" for step in self.history_)
        swaps = len(self.history_) - chosen
        self._tell(Moment("swaps", chosen=chosen, swaps=swaps, objective=objective))
