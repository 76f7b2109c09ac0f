"""Search by solving every candidate, for objectives and solvers without bounds."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.ot import PartialProblem, PotSolver, SemiDualNewton
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.engine.search import Search, SearchLimits, Winner, first_minimum

BATCH_VALUES = 1 << 22
"""Number of cost entries in a batch of problems (32 MB)."""


class ExhaustiveSearch(Search):
    """Search under the objective and solver of the problem.

    It is slow: the proof consists in trying every candidate.
    """

    def __init__(self, problem: SubsetProblem, limits: SearchLimits) -> None:
        super().__init__(problem, limits)
        self._solver = problem.make_solver()

    def place_at(self, subset: list[int]) -> None:
        self.subset = list(subset)
        if subset:
            values, f = self._values(self._index(subset)[None], None)
            self._f = f[0]
            self.value = float(values[0])

    def _contest(self, position: int | None, incumbent: float) -> Winner | None:
        rest, others = self._around(position)
        candidates = self._allowed()
        self.counts.screened += len(candidates)
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
        """Return the objective and the potentials of each subset.

        A subset that does not converge counts as undecided.
        """
        rows = max(1, BATCH_VALUES // (subsets.shape[1] * self.problem.size))
        if isinstance(self._solver, PotSolver):
            rows = 1
        values = []
        potentials = []
        for start in range(0, len(subsets), rows):
            value, f = self._solve(subsets[start : start + rows], init)
            values.append(value)
            potentials.append(f)
        return torch.cat(values) + self._penalties(subsets), torch.cat(potentials)

    def _solve(
        self, subsets: Int[Tensor, "m k"], init: Float[Tensor, " k"] | None
    ) -> tuple[Float[Tensor, " m"], Float[Tensor, "m k"]]:
        """Return the transport terms and the potentials of one batch."""
        problem = self.problem
        cost = problem.cost_matrix[subsets]
        if isinstance(self._solver, PotSolver):
            cost = cost[0]
        warm_start = None
        if init is not None and isinstance(self._solver, SemiDualNewton):
            warm_start = init.expand(len(subsets), -1)

        rows = PartialProblem(cost, problem.epsilon, problem.kappa, b=problem.b)
        output = self._solver(rows, warm_start)
        self.counts.exact_solves += len(subsets)
        self.counts.newton_steps += output.iterations
        self.counts.undecided += int((~output.converged).sum())
        return problem.transport_term(output).reshape(-1), output.f.reshape(len(subsets), -1)

    def _penalties(self, subsets: Int[Tensor, "m k"]) -> Float[Tensor, " m"]:
        """Return statistics and confidence of subsets that differ only in their last image."""
        problem = self.problem
        value = problem.b.new_zeros(len(subsets))
        if problem.statistics_term is not None:
            place = problem.statistics_term.at(subsets[0, :-1])
            value += problem.alpha * place.exact(subsets[:, -1])
        if problem.cross_entropy is not None:
            value += problem.beta * problem.cross_entropy[subsets].mean(dim=1)
        return value
