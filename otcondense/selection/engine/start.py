"""Where the swap search starts: trimmed k-medoids."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from otcondense.ot.blocks import row_blocks
from otcondense.selection.engine.problem import SubsetProblem


def trimmed_columns(
    cost: Float[Tensor, "n n"], kappa: float, neighbours: int
) -> Bool[Tensor, " n"]:
    """Mark the class images that the start serves: all but the share 1 - 1/kappa of the most isolated ones.

    Without this, outliers are chosen first: each of them is far from every other image.
    """
    size = len(cost)
    served = torch.ones(size, dtype=torch.bool, device=cost.device)
    left_out = int(size * (1 - 1 / kappa))
    if left_out:
        isolation = cost.kthvalue(min(size, neighbours + 1), dim=0).values
        served[torch.sort(isolation, descending=True, stable=True).indices[:left_out]] = False
    return served


def k_medoids(problem: SubsetProblem, *, workers: int = 1) -> list[int]:
    """Return a subset of `budget` images in order of choice: each lowers the weighted cost of serving the class by its nearest chosen image most.

    Ties go to the lower index; forced images come first.
    """
    cost, size = problem.cost_matrix, problem.size
    weight = problem.b * trimmed_columns(cost, problem.kappa, max(1, size // (2 * problem.budget)))
    nearest = torch.full_like(weight, float(cost.max()) + 1)
    barred = torch.zeros(size, dtype=torch.bool, device=cost.device)
    barred[torch.as_tensor(problem.exclude, dtype=torch.int64)] = True
    chosen: list[int] = []
    for step in range(problem.budget):
        pick = (
            problem.include[step]
            if step < len(problem.include)
            else _best(cost, nearest, weight, barred, workers)
        )
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
    total = weight.new_empty(len(cost))

    def work(rows: slice) -> None:
        total[rows] = torch.minimum(cost[rows], nearest) @ weight

    row_blocks(work, len(cost), workers=workers)
    total[barred] = torch.inf
    return int((total <= total.min() * (1 + 1e-12)).nonzero()[0, 0])
