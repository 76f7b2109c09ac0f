"""The subset problem: what one class asks of the search, in the units the search works in."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.ot import PartialOutput, PartialProblem, PotSolver, SemiDualNewton, Sinkhorn
from otcondense.selection.engine.statistics import Statistics, make_statistics


@dataclass(frozen=True)
class SubsetProblem:
    r"""Minimise $L(S) = OT_\varepsilon(S) + \alpha \cdot$ statistics $(S) + \beta \cdot$ mean cross-entropy over $|S| = K$.

    Every number is absolute here: the selector has already multiplied the relative settings by the class's own cost.
    """

    cost_matrix: Float[Tensor, "n n"]
    """Row = chosen image, column = class image, float64, >= 0."""
    budget: int
    kappa: float
    epsilon: float
    alpha: float = 0.0
    beta: float = 0.0
    features: Float[Tensor, "n d"] | None = None
    """Features with the (weighted) class mean subtracted, float64; None where alpha is 0."""
    statistics: Literal["diagonal", "full"] = "diagonal"
    cross_entropy: Float[Tensor, " n"] | None = None
    """Nats, >= 0; None where beta is 0."""
    weights: Float[Tensor, " n"] | None = None
    """Share of each class image, sum 1: the column masses are kappa times this; None is uniform."""
    include: tuple[int, ...] = ()
    exclude: tuple[int, ...] = ()
    objective: Literal["regularized", "transport"] = "regularized"
    """Transport term: the regularised value, or the cost of the converged plan."""
    solver: Literal["newton", "sinkhorn", "pot"] = "newton"
    workers: int = 1
    """Threads; no result depends on it."""

    @property
    def size(self) -> int:
        """Number of class images."""
        return len(self.cost_matrix)

    @cached_property
    def b(self) -> Float[Tensor, " n"]:
        """Column masses, sum kappa."""
        if self.weights is None:
            return self.cost_matrix.new_full((self.size,), self.kappa / self.size)
        return self.kappa * self.weights

    @cached_property
    def statistics_term(self) -> Statistics | None:
        """The statistics of the class and of its subsets; None where alpha is 0."""
        if self.alpha == 0 or self.features is None:
            return None
        return make_statistics(self.statistics, self.features, self.weights, self.workers)

    def make_solver(self) -> SemiDualNewton | Sinkhorn | PotSolver:
        """Return the solver of the transport term; POT's is its exact linear program where the cost of the plan is asked for."""
        if self.epsilon == 0:
            return PotSolver("emd")
        if self.solver == "newton":
            return SemiDualNewton()
        if self.solver == "sinkhorn":
            return Sinkhorn(max_iterations=100_000, tolerance=1e-9)
        return PotSolver("emd" if self.objective == "transport" else "sinkhorn")

    def transport(self, indices: Sequence[int]) -> PartialOutput:
        """Solve the one-sided partial transport from the subset `indices` to the class, to convergence."""
        rows = self.cost_matrix[torch.as_tensor(list(indices), device=self.cost_matrix.device)]
        return self.make_solver()(
            PartialProblem(rows, epsilon=self.epsilon, kappa=self.kappa, b=self.b)
        )

    def transport_term(self, output: PartialOutput) -> Float[Tensor, "*batch"]:
        """Return the transport term of the objective, from a solution."""
        return (
            output.regularized_value if self.objective == "regularized" else output.transport_cost
        )

    def penalties(self, indices: Sequence[int]) -> dict[str, float]:
        """Statistics and confidence terms of a subset, weighted by alpha and beta."""
        index = torch.as_tensor(list(indices), device=self.cost_matrix.device)
        statistics = self.statistics_term
        return {
            "statistics": 0.0
            if statistics is None
            else self.alpha * float(statistics.value(index)),
            "confidence": 0.0
            if self.cross_entropy is None
            else self.beta * float(self.cross_entropy[index].mean()),
        }

    def terms(self, indices: Sequence[int], output: PartialOutput) -> dict[str, float]:
        """All terms of the objective, which is their sum."""
        return {"transport": float(self.transport_term(output)), **self.penalties(indices)}

    def penalty(self, indices: Sequence[int]) -> float:
        """Sum of the statistics and confidence terms."""
        return sum(self.penalties(indices).values())

    def exact_objective(self, indices: Sequence[int]) -> float:
        """Return the converged objective of a subset, any size from 1."""
        return sum(self.terms(indices, self.transport(indices)).values())
