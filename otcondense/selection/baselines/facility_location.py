"""Facility location: the mean cost of a class to the nearest of the chosen images."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

COST_GRID = 2.0**-40
"""Costs are rounded to this share of the largest: coarser than the rounding errors of distances."""

Report = Callable[[int, float], None]
"""Called with each image that is taken, and the objective after it."""


@dataclass(frozen=True)
class FacilityLocation:
    """The costs of one class."""

    cost: Float[np.ndarray, "n n"]
    """Cost >= 0, row = chosen image, column = class image."""
    mass: Float[np.ndarray, " n"]
    """Weight of each class image, sum 1."""

    @property
    def tolerance(self) -> float:
        """Difference of two objectives that are equal up to rounding."""
        return float(self.cost.max()) * COST_GRID

    def saving(self, nearest: Float[np.ndarray, " n"], index: int) -> float:
        """Return the decrease of the objective if an image is taken.

        Args:
            nearest: cost of each class image to its nearest chosen one.
            index: the image.
        """
        return float(np.maximum(nearest - self.cost[index], 0) @ self.mass)


def without_rounding(cost: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Round costs to a grid, so that images with equal costs have equal savings.

    Ties then go to the lower index.
    """
    grid = cost.max() * COST_GRID
    return np.rint(cost / grid) * grid if grid > 0 else cost


def lazy_greedy(
    problem: FacilityLocation,
    include: Iterable[int],
    free: Int[np.ndarray, " m"],
    budget: int,
    report: Report,
) -> tuple[list[int], int]:
    """Take the image that lowers the objective most, until `budget` images are chosen.

    The saving is at least 1 − 1/e of the best one. Savings only shrink as the subset grows: an old
    saving bounds the new one, so that few are recomputed. Ties go to the lower index.

    Args:
        problem: the class.
        include: images that are taken first, in this order.
        free: images that may be taken, in ascending order.
        budget: number of images to choose, those of `include` counted.
        report: called with each image.

    Returns: the images in order of choice, and the number of savings computed.

    Source: Nemhauser, Wolsey and Fisher 1978 (greedy); Minoux 1978 (lazy evaluation).
    """
    nearest = np.full(len(problem.mass), problem.cost.max())
    order: list[int] = []

    def take(index: int) -> None:
        np.minimum(nearest, problem.cost[index], out=nearest)
        order.append(index)
        report(index, float(nearest @ problem.mass))

    for index in include:
        take(index)
    # Entries are (-saving, index, size of the subset when the saving was computed).
    savings = np.maximum(nearest - problem.cost[free], 0) @ problem.mass
    entries = zip(savings.tolist(), free.tolist(), strict=True)
    heap = [(-saving, index, len(order)) for saving, index in entries]
    heapq.heapify(heap)
    evaluations = len(free)
    while len(order) < budget:
        _, index, computed_at = heapq.heappop(heap)
        if computed_at == len(order):
            take(index)
        else:
            heapq.heappush(heap, (-problem.saving(nearest, index), index, len(order)))
            evaluations += 1
    return order, evaluations
