"""Swaps of k-medoids: a chosen image for another one, while that lowers the mean cost."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int

from otcondense.selection.baselines.facility_location import FacilityLocation
from otcondense.selection.nearest import first_minimum

ReportSwap = Callable[[int, int, float], None]
"""Called with the image that came in, the one that went out, and the objective after the swap."""


class Medoids:
    """Chosen images, and for each class image its nearest and second nearest of them.

    With these two, the objective after any swap of a candidate is known in O(n) for all chosen
    images together.
    """

    def __init__(self, problem: FacilityLocation, chosen: Sequence[int]) -> None:
        self._problem = problem
        self.chosen = list(chosen)
        self._find_nearest()

    def _find_nearest(self) -> None:
        cost = self._problem.cost[self.chosen]
        column = np.arange(cost.shape[1])
        self._place: Int[np.ndarray, " n"] = cost.argmin(axis=0)
        self._nearest: Float[np.ndarray, " n"] = cost[self._place, column]
        cost[self._place, column] = np.inf
        self._second: Float[np.ndarray, " n"] = cost.min(axis=0)
        self.objective = float(self._nearest @ self._problem.mass)

    def objectives_with(self, candidate: int) -> Float[np.ndarray, " k"]:
        """Return the objective after the candidate has taken the place of each chosen image.

        A class image goes to the nearer of its nearest chosen image and the candidate, or, if its
        nearest one is removed, of its second nearest one and the candidate.
        """
        cost = self._problem.cost[candidate]
        kept = np.minimum(cost, self._nearest)
        lost = (np.minimum(cost, self._second) - kept) * self._problem.mass
        by_place = np.bincount(self._place, weights=lost, minlength=len(self.chosen))
        objectives: Float[np.ndarray, " k"] = kept @ self._problem.mass + by_place
        return objectives

    def swap(self, place: int, candidate: int) -> int:
        """Put the candidate in a place, and return the image that was there."""
        removed = self.chosen[place]
        self.chosen[place] = candidate
        self._find_nearest()
        return removed


def improve_by_swaps(
    problem: FacilityLocation,
    medoids: Medoids,
    fixed: int,
    free: Int[np.ndarray, " m"],
    report: ReportSwap,
) -> None:
    """Swap until no single swap lowers the objective by more than rounding.

    Candidates come in turn, those with the smallest mean cost to the whole class first, and each
    takes the best place at once if that is an improvement. So the order of the images does not
    matter, up to ties. Ties go to the candidate with the lower index, and to the image chosen first
    as the one to remove.

    Args:
        problem: the class.
        medoids: the chosen images; they are changed.
        fixed: number of images at the beginning that stay.
        free: images that may be chosen, in ascending order; the chosen ones among them count.
        report: called with each swap.

    Source: Schubert and Rousseeuw, "Fast and eager k-medoids clustering", Information Systems 101,
    2021 (eager swaps of FasterPAM).
    """
    if fixed == len(medoids.chosen):
        return
    candidates = free[np.argsort(problem.cost[free] @ problem.mass, kind="stable")].tolist()
    chosen = set(medoids.chosen)
    unchanged = 0
    turn = 0
    while unchanged < len(candidates):
        candidate = candidates[turn % len(candidates)]
        turn += 1
        unchanged += 1
        if candidate in chosen:
            continue
        objectives = medoids.objectives_with(candidate)
        objectives[:fixed] = np.inf
        place = int(first_minimum(objectives))
        if objectives[place] < medoids.objective - problem.tolerance:
            removed = medoids.swap(place, candidate)
            chosen ^= {removed, candidate}
            report(candidate, removed, medoids.objective)
            unchanged = 0
