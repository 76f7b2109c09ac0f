"""Search by solving every candidate: for objectives and solvers that give no bound to rule one out by."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.ot import PartialProblem, PotSolver, SemiDualNewton
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.engine.search import Search, SearchLimits, Winner, first_minimum

BATCH_VALUES = 1 << 22


class ExhaustiveSearch(Search):
    """Search under the objective and solver of the problem; slow, and proven only by having tried everything."""

    def __init__(self, problem: SubsetProblem, limits: SearchLimits) -> None:
        super().__init__(problem, limits)
        self._solver = problem.make_solver()

    def place_at(self, subset: list[int]) -> None:
        self.subset = list(subset)
        if subset:
            values, f = self._values(self._index(subset)[None], None)
            self._f, self.value = f[0], float(values[0])

    def _contest(self, position: int | None, incumbent: float) -> Winner | None:
        rest, others = self._around(position)
        candidates = self._allowed()
        self.counts["screened"] += len(candidates)
        if len(candidates) == 0:
            return None
        subsets = torch.cat([rest.expand(len(candidates), -1), candidates[:, None]], dim=1)
        guess = others.mean() if len(others) else self.problem.cost_matrix.mean()
        values, f = self._values(subsets, torch.cat([others, guess[None]]))
        best = first_minimum(values, self.limits.tolerance)
        if not float(values[best]) < incumbent - self.limits.tolerance:
            return None
        return Winner(int(candidates[best]), float(values[best]), f[best])

    def _values(
        self, subsets: Int[Tensor, "m k"], init: Float[Tensor, " k"] | None
    ) -> tuple[Float[Tensor, " m"], Float[Tensor, "m k"]]:
        """Objective and potentials of each subset; one that does not converge counts as undecided."""
        problem = self.problem
        rows = (
            1
            if isinstance(self._solver, PotSolver)
            else max(1, BATCH_VALUES // (subsets.shape[1] * problem.size))
        )
        values, potentials = [], []
        for start in range(0, len(subsets), rows):
            part = subsets[start : start + rows]
            value, f = self._solve(part, init)
            values.append(value)
            potentials.append(f)
        return torch.cat(values) + self._penalties(subsets), torch.cat(potentials)

    def _solve(
        self, subsets: Int[Tensor, "m k"], init: Float[Tensor, " k"] | None
    ) -> tuple[Float[Tensor, " m"], Float[Tensor, "m k"]]:
        problem = self.problem
        cost = problem.cost_matrix[subsets]
        cost = cost[0] if isinstance(self._solver, PotSolver) else cost
        rows = PartialProblem(cost, problem.epsilon, problem.kappa, b=problem.b)
        warm = (
            init.expand(len(subsets), -1)
            if init is not None and isinstance(self._solver, SemiDualNewton)
            else None
        )
        output = self._solver(rows, warm)
        self.counts["exact_solves"] += len(subsets)
        self.counts["newton_steps"] += output.iterations
        self.counts["undecided"] += int((~output.converged).sum())
        return problem.transport_term(output).reshape(-1), output.f.reshape(len(subsets), -1)

    def _penalties(self, subsets: Int[Tensor, "m k"]) -> Float[Tensor, " m"]:
        """Statistics and confidence of subsets that differ in their last image alone."""
        problem = self.problem
        value = problem.b.new_zeros(len(subsets))
        if problem.statistics_term is not None:
            value += problem.alpha * problem.statistics_term.at(subsets[0, :-1]).exact(
                subsets[:, -1]
            )
        if problem.cross_entropy is not None:
            value += problem.beta * problem.cross_entropy[subsets].mean(dim=1)
        return value
