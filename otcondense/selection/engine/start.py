"""A start of the swap search: trimmed k-medoids.

It differs from `KMedoidsSelector`: it leaves out isolated images, keeps `include` and `exclude`,
and computes every saving in blocks of rows.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from otcondense.ot.blocks import row_blocks
from otcondense.ot.cost_rows import CostRows
from otcondense.selection.engine.problem import SubsetProblem

TIE = 1e-12
"""Totals within this share of the smallest are equal up to rounding."""


LAZY_ROWS = 1024
"""Images of a large class whose totals are computed before the next are found necessary."""


def trimmed_columns(
    cost: Float[Tensor, "n n"] | CostRows, kappa: float, neighbours: int, workers: int = 1
) -> Bool[Tensor, " n"]:
    """Mark the class images that the start serves: all but the most isolated share 1 - 1/kappa.

    If outliers were served, they would be chosen first: each is far from every other image.
    """
    size = len(cost)
    served = torch.ones(size, dtype=torch.bool)
    left_out = int(size * (1 - 1 / kappa))
    if left_out:
        isolation = _isolation(cost, min(size, neighbours + 1), workers)
        most_isolated = torch.sort(isolation, descending=True, stable=True).indices[:left_out]
        served[most_isolated] = False
    return served


def _isolation(
    cost: Float[Tensor, "n n"] | CostRows, order: int, workers: int
) -> Float[Tensor, " n"]:
    """Return the cost of each class image to its neighbour of this order, itself the first."""
    if not isinstance(cost, CostRows):
        nearest: Float[Tensor, " n"] = cost.kthvalue(order, dim=0).values
        return nearest
    isolation = cost.norms.new_empty(len(cost))

    def work(rows: slice) -> None:
        isolation[rows] = cost[rows].kthvalue(order, dim=1).values

    row_blocks(work, len(cost), workers=workers, rows=cost.block_rows)
    return isolation


def k_medoids(problem: SubsetProblem, *, workers: int = 1) -> list[int]:
    """Return a subset of `budget` images in order of choice.

    Each image lowers the weighted cost between the class and its nearest chosen images most. Ties
    go to the lower index. Forced images come first.
    """
    cost = problem.cost_matrix
    neighbours = max(1, problem.size // (2 * problem.budget))
    weight = problem.b * trimmed_columns(cost, problem.kappa, neighbours, workers)
    nearest = torch.full_like(weight, float(cost.max()) + 1)
    barred = torch.zeros(problem.size, dtype=torch.bool)
    barred[torch.as_tensor(problem.exclude, dtype=torch.int64)] = True
    totals = _LazyTotals(cost, weight, workers) if isinstance(cost, CostRows) else None

    chosen: list[int] = []
    for step in range(problem.budget):
        if step < len(problem.include):
            pick = problem.include[step]
        elif totals is not None:
            pick = totals.best(nearest, barred)
        else:
            pick = _best(cost, nearest, weight, barred, workers)
        chosen.append(pick)
        barred[pick] = True
        nearest = torch.minimum(nearest, cost[torch.tensor([pick])][0])
    return chosen


def _best(
    cost: Float[Tensor, "n n"] | CostRows,
    nearest: Float[Tensor, " n"],
    weight: Float[Tensor, " n"],
    barred: Bool[Tensor, " n"],
    workers: int,
) -> int:
    """Return the first image that is not barred with the smallest total cost."""
    total = weight.new_empty(len(cost))

    def work(rows: slice) -> None:
        total[rows] = torch.minimum(cost[rows], nearest) @ weight

    row_blocks(work, len(cost), workers=workers)
    total[barred] = torch.inf
    return _first_smallest(total)


def _first_smallest(total: Float[Tensor, " n"]) -> int:
    ties = total <= total.min() * (1 + TIE)
    return int(ties.nonzero()[0, 0])


class _LazyTotals:
    """The same choice for a large class, with fewer rows of costs.

    What an image saves never grows with the subset. So an image need not be looked at if what it
    saved when it was last looked at is less than what another one saves now (Minoux 1978).
    """

    def __init__(self, cost: CostRows, weight: Float[Tensor, " n"], workers: int) -> None:
        self.cost = cost
        self.weight = weight
        self.workers = workers
        self.saving = torch.full_like(weight, torch.inf)
        """Upper bound on what each image saves."""

    def best(self, nearest: Float[Tensor, " n"], barred: Bool[Tensor, " n"]) -> int:
        """Return the first image that is not barred with the smallest total cost."""
        total = torch.full_like(self.weight, torch.inf)
        current = float(nearest @ self.weight)
        order = torch.sort(self.saving, descending=True, stable=True).indices
        for part in torch.split(order[~barred[order]], LAZY_ROWS):
            if current - float(self.saving[part[0]]) > float(total.min()) + TIE * current:
                break
            total[part] = self._totals(part, nearest)
            self.saving[part] = current - total[part]
        return _first_smallest(total)

    def _totals(self, images: Int[Tensor, " m"], nearest: Float[Tensor, " n"]) -> Tensor:
        totals = self.weight.new_empty(len(images))

        def work(rows: slice) -> None:
            totals[rows] = torch.minimum(self.cost[images[rows]], nearest) @ self.weight

        row_blocks(work, len(images), workers=self.workers, rows=self.cost.block_rows)
        return totals
