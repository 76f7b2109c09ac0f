"""A start of the swap search: trimmed k-medoids.

It differs from `KMedoidsSelector`: it leaves out isolated images, keeps `include` and `exclude`,
and computes every saving in blocks of rows.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from otcondense.ot.blocks import row_blocks
from otcondense.selection.engine.problem import SubsetProblem

TIE = 1e-12
"""Totals within this share of the smallest are equal up to rounding."""


def trimmed_columns(
    cost: Float[Tensor, "n n"], kappa: float, neighbours: int
) -> Bool[Tensor, " n"]:
    """Mark the class images that the start serves: all but the most isolated share 1 - 1/kappa.

    If outliers were served, they would be chosen first: each is far from every other image.
    """
    size = len(cost)
    served = torch.ones(size, dtype=torch.bool)
    left_out = int(size * (1 - 1 / kappa))
    if left_out:
        isolation = cost.kthvalue(min(size, neighbours + 1), dim=0).values
        most_isolated = torch.sort(isolation, descending=True, stable=True).indices[:left_out]
        served[most_isolated] = False
    return served


def k_medoids(problem: SubsetProblem, *, workers: int = 1) -> list[int]:
    """Return a subset of `budget` images in order of choice.

    Each image lowers the weighted cost between the class and its nearest chosen images most. Ties
    go to the lower index. Forced images come first.
    """
    cost = problem.cost_matrix
    neighbours = max(1, problem.size // (2 * problem.budget))
    weight = problem.b * trimmed_columns(cost, problem.kappa, neighbours)
    nearest = torch.full_like(weight, float(cost.max()) + 1)
    barred = torch.zeros(problem.size, dtype=torch.bool)
    barred[torch.as_tensor(problem.exclude, dtype=torch.int64)] = True

    chosen: list[int] = []
    for step in range(problem.budget):
        if step < len(problem.include):
            pick = problem.include[step]
        else:
            pick = _best(cost, nearest, weight, barred, workers)
        chosen.append(pick)
        barred[pick] = True
        nearest = torch.minimum(nearest, cost[pick])
    return chosen


def _best(
    cost: Float[Tensor, "n n"],
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
    ties = total <= total.min() * (1 + TIE)
    return int(ties.nonzero()[0, 0])
