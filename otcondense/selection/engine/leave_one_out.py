"""The objective of a subset without each of its images in turn."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.ot import PartialProblem, SemiDualNewton
from otcondense.ot.blocks import row_blocks
from otcondense.selection.engine.problem import SubsetProblem

TOLERANCE = 1e-5
"""L1 error of the row masses: the semi-dual is flat at its maximum, so that the error of its value
is about the square of this, in units of the class."""

BATCH_VALUES = 1 << 19
"""Number of costs in a batch of problems (4 MB): larger ones do not fit into a cache."""


def objectives_without(
    problem: SubsetProblem, subset: Sequence[int], f: Float[Tensor, " k"], workers: int = 1
) -> Float[Tensor, " k"]:
    """Return the objective of the rest of a subset without each of its images; nan without a rest.

    The images that remain share the mass of the subset equally, as in a subset of that size.

    Args:
        problem: the class.
        subset: its images.
        f: their potentials, which are a good start for those of the rest.
        workers: threads; no result depends on their number.
    """
    size = len(subset)
    if size == 1:
        return f.new_full((1,), math.nan)
    rests = [[*subset[:place], *subset[place + 1 :]] for place in range(size)]
    penalties = f.new_tensor([problem.penalty(rest) for rest in rests])
    if problem.objective == "regularized" and problem.solver == "newton":
        return penalties + _regularized(problem, rests, f, workers)
    terms = [float(problem.transport_term(problem.transport(rest))) for rest in rests]
    return penalties + f.new_tensor(terms)


def _regularized(
    problem: SubsetProblem, rests: Sequence[Sequence[int]], f: Float[Tensor, " k"], workers: int
) -> Float[Tensor, " k"]:
    """Return the regularised transport term of each rest, a batch at a time."""
    size = len(rests)
    values = f.new_empty(size)
    images = torch.tensor(rests)
    starts = f.expand(size, -1)[~torch.eye(size, dtype=torch.bool)].reshape(size, -1)
    solver = SemiDualNewton(tolerance=TOLERANCE)

    def work(places: slice) -> None:
        cost = problem.cost_matrix[images[places]]
        batch = PartialProblem(cost, problem.epsilon, problem.kappa, b=problem.b)
        values[places] = solver(batch, starts[places]).regularized_value

    batch = max(1, BATCH_VALUES // (size * problem.size))
    # Each thread holds a batch: a single problem may be as large as the forecast of memory allows.
    fits = size * problem.size <= BATCH_VALUES
    row_blocks(work, size, workers=workers if fits else 1, rows=batch)
    return values
