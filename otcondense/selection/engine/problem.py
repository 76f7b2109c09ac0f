"""The subset problem of one class, in units of the class."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.ot import PartialOutput, PartialProblem, PotSolver, SemiDualNewton, Sinkhorn
from otcondense.ot.cost_rows import CostRows
from otcondense.selection.engine.statistics import Statistics, make_statistics

SINKHORN_ITERATIONS = 100_000
"""Limit on Sinkhorn's iterations: the objective needs a converged solution."""

SINKHORN_TOLERANCE = 1e-9
"""L1 error of the row masses at which Sinkhorn has converged."""


PENALTY_ROUNDING = 1e-14
"""Rounding error of the penalties, as a share of the largest squares that they add up."""


@dataclass(frozen=True)
class SubsetProblem:
    r"""Minimise $L(S)$ over $|S| = K$.

    $L(S) = OT_\varepsilon(S) + \alpha \cdot$ statistics $(S) + \beta \cdot$ mean cross-entropy.
    Every number is in units of the class. The selector has already multiplied the relative
    parameters by the median cost, and divided the absolute ones by the unit of cost.
    """

    cost_matrix: Float[Tensor, "n n"] | CostRows
    """Row = chosen image, column = class image, float64, >= 0; of a large class, an object that
    computes the rows that are asked for."""
    budget: int
    kappa: float
    epsilon: float
    alpha: float = 0.0
    beta: float = 0.0
    features: Float[Tensor, "n d"] | None = None
    """Features with the (weighted) class mean subtracted, float64; None if alpha is 0."""
    statistics: Literal["diagonal", "full"] = "diagonal"
    cross_entropy: Float[Tensor, " n"] | None = None
    """Nats, >= 0; None if beta is 0."""
    weights: Float[Tensor, " n"] | None = None
    """Share of each class image, sum 1; the column masses are kappa times this. None is uniform."""
    include: tuple[int, ...] = ()
    exclude: tuple[int, ...] = ()
    objective: Literal["regularized", "transport"] = "regularized"
    """Transport term: the regularised value, or the cost of the converged plan."""
    solver: Literal["newton", "sinkhorn", "pot"] = "newton"
    workers: int = 1
    """Threads; no result depends on their number."""

    @property
    def size(self) -> int:
        """Number of class images."""
        return len(self.cost_matrix)

    @cached_property
    def b(self) -> Float[Tensor, " n"]:
        """Column masses, sum kappa."""
        if self.weights is None:
            return torch.full((self.size,), self.kappa / self.size, dtype=torch.float64)
        return self.kappa * self.weights

    @cached_property
    def statistics_term(self) -> Statistics | None:
        """Statistics of the class and of its subsets; None if alpha is 0."""
        if self.alpha == 0 or self.features is None:
            return None
        return make_statistics(
            self.statistics, self.features, self.weights, self.workers, is_large=self.is_large
        )

    @property
    def is_large(self) -> bool:
        """Whether the class has no matrix of costs."""
        return isinstance(self.cost_matrix, CostRows)

    def total_costs(self, indices: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        """Return the cost from each image to the whole class, with the column masses."""
        if isinstance(self.cost_matrix, CostRows):
            return self.cost_matrix.times(indices, self.b)
        return self.cost_matrix[indices] @ self.b

    def cost_rounding(
        self, rest: Int[Tensor, " r"], candidates: Int[Tensor, " m"]
    ) -> Float[Tensor, " m"] | float:
        """Return how much two computations of the transport term may differ by rounding of costs.

        The rows of a large class are computed more than once, in blocks of different shapes. A plan
        from `rest` and a candidate has the row masses 1 / k and at most the column masses b, so
        that errors of the costs change its value by at most their means.
        """
        if not isinstance(self.cost_matrix, CostRows):
            return 0.0
        error = self.cost_matrix.rounding
        size = len(rest) + 1
        return (error[rest].sum() + error[candidates]) / size + self.b @ error

    def with_epsilon(self, epsilon: float) -> "SubsetProblem":
        """Return the problem at another epsilon; the statistics are not computed again."""
        other = replace(self, epsilon=epsilon)
        other.__dict__["statistics_term"] = self.statistics_term
        return other

    def make_solver(self) -> SemiDualNewton | Sinkhorn | PotSolver:
        """Return the solver of the transport term.

        POT solves the exact linear program if the objective is the cost of the plan.
        """
        if self.epsilon == 0:
            return PotSolver("emd")
        if self.solver == "newton":
            return SemiDualNewton()
        if self.solver == "sinkhorn":
            return Sinkhorn(max_iterations=SINKHORN_ITERATIONS, tolerance=SINKHORN_TOLERANCE)
        return PotSolver("emd" if self.objective == "transport" else "sinkhorn")

    def transport(self, indices: Sequence[int]) -> PartialOutput:
        """Solve the one-sided partial transport from a subset to the class, to convergence."""
        rows = self.cost_matrix[self._index(indices)]
        problem = PartialProblem(rows, epsilon=self.epsilon, kappa=self.kappa, b=self.b)
        return self.make_solver()(problem)

    def transport_term(self, output: PartialOutput) -> Float[Tensor, "*batch"]:
        """Return the transport term of the objective, from a solution."""
        if self.objective == "regularized":
            return output.regularized_value
        return output.transport_cost

    def penalties(self, indices: Sequence[int]) -> dict[str, float]:
        """Return the statistics and confidence terms, weighted by alpha and beta."""
        index = self._index(indices)
        statistics = 0.0
        confidence = 0.0
        if self.statistics_term is not None:
            statistics = self.alpha * float(self.statistics_term.value(index))
        if self.cross_entropy is not None:
            confidence = self.beta * float(self.cross_entropy[index].mean())
        return {"statistics": statistics, "confidence": confidence}

    def terms(self, indices: Sequence[int], output: PartialOutput) -> dict[str, float]:
        """Return all terms of the objective, which is their sum."""
        return {"transport": float(self.transport_term(output)), **self.penalties(indices)}

    def penalty(self, indices: Sequence[int]) -> float:
        """Return the sum of the statistics and confidence terms."""
        return sum(self.penalties(indices).values())

    @cached_property
    def penalty_rounding(self) -> float:
        """Bound on the rounding error of the statistics and confidence terms of any subset.

        It is large if some image is so far away that the squares of the others hardly count.
        """
        squares = 0.0
        entropy = 0.0
        if self.alpha > 0 and self.features is not None:
            squares = float(self.features.abs().amax(dim=0).square().sum())
        if self.cross_entropy is not None:
            entropy = float(self.cross_entropy.max())
        return PENALTY_ROUNDING * (self.alpha * squares + self.beta * entropy)

    def exact_objective(self, indices: Sequence[int]) -> float:
        """Return the converged objective of a subset of any size from 1."""
        return sum(self.terms(indices, self.transport(indices)).values())

    def _index(self, indices: Sequence[int]) -> Tensor:
        return torch.as_tensor(list(indices))
