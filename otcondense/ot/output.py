"""Result of a solver: potentials, plan and their error bounds."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from otcondense.ot.problem import PartialProblem

ROUNDING_UNITS = 64
"""Margin of `value_lower_bound` for rounding, in units in the last place of the potentials."""


@dataclass(frozen=True)
class PartialOutput:
    """Solution of a `PartialProblem`, computed from the row potentials.

    The plan is the Gibbs plan of f and its conjugate g. It meets the column masses exactly, so that
    the remaining error is in the rows.
    """

    problem: PartialProblem
    f: Float[Tensor, "*batch k"]
    """Potentials of the chosen images; the dummy row's potential is 0."""
    tolerance: float
    """Marginal error below which the solver calls the problem solved."""
    iterations: int
    column_error: Float[Tensor, "*batch"] | None = None
    """L1 error of the columns, from a solver whose plan is not the Gibbs plan of f."""
    given_plan: Float[Tensor, "*batch r n"] | None = None
    """Plan of such a solver, dummy row last."""

    @cached_property
    def _scores(self) -> Float[Tensor, "*batch r n"]:
        cost, a, _ = self.problem.balanced()
        return (
            torch.log(a / self.problem.kappa)[:, None]
            + (self._all_f[..., :, None] - cost) / self.problem.epsilon
        )

    @cached_property
    def _all_f(self) -> Float[Tensor, "*batch r"]:
        zero = self.f.new_zeros(*self.f.shape[:-1], 1)
        return torch.cat([self.f, zero], dim=-1) if self.problem.has_dummy else self.f

    @cached_property
    def g(self) -> Float[Tensor, "*batch n"]:
        """Potentials of the class images, the conjugate of f."""
        if self.problem.epsilon == 0:
            cost, _, _ = self.problem.balanced()
            return (cost - self._all_f[..., :, None]).min(dim=-2).values
        return -self.problem.epsilon * torch.logsumexp(self._scores, dim=-2)

    @cached_property
    def full_plan(self) -> Float[Tensor, "*batch r n"]:
        """Plan, with the dummy row (if any) last."""
        if self.given_plan is not None:
            return self.given_plan
        return torch.softmax(self._scores, dim=-2) * self.problem.column_mass

    @property
    def plan(self) -> Float[Tensor, "*batch k n"]:
        """Mass that each chosen image ships to each class image."""
        return self.full_plan[..., : self.problem.num_rows, :]

    @cached_property
    def marginal_error(self) -> Float[Tensor, "*batch"]:
        """L1 distance of the plan's marginals to the prescribed masses, dummy row included."""
        _, a, _ = self.problem.balanced()
        error = (self.full_plan.sum(dim=-1) - a).abs().sum(dim=-1)
        return error if self.column_error is None else error + self.column_error

    @property
    def converged(self) -> Bool[Tensor, "*batch"]:
        """Whether the marginal error is within the solver's tolerance."""
        return self.marginal_error <= self.tolerance

    @cached_property
    def transport_cost(self) -> Float[Tensor, "*batch"]:
        """<C, plan> of the real rows: the paper's transport loss when the plan has converged."""
        return (self.plan * self.problem.cost_matrix).sum(dim=(-2, -1))

    @cached_property
    def regularized_value(self) -> Float[Tensor, "*batch"]:
        """Semi-dual value at f, a lower bound on the regularised optimum and equal to it there.

        At epsilon 0 it is the dual value of the linear program.
        """
        rows = (self.f * self.problem.row_mass).sum(dim=-1)
        columns = (self.g * self.problem.column_mass).sum(dim=-1)
        return rows + columns

    @cached_property
    def certified_error(self) -> Float[Tensor, "*batch"]:
        """Proven bound on the regularised optimum minus `regularized_value`.

        The semi-dual is concave with gradient r (the row errors, sum 0). Optimal potentials spread
        over at most the range of the cost. The distance to the optimum is therefore at most half
        the L1 norm of r times the sum of the spread of f and that range.
        """
        cost, _, _ = self.problem.balanced()
        spread = self._all_f.amax(dim=-1) - self._all_f.amin(dim=-1)
        return self.marginal_error / 2 * (spread + cost.amax(dim=(-2, -1)))

    @property
    def value_lower_bound(self) -> Float[Tensor, "*batch"]:
        """Proven lower bound on the regularised optimum: the value less a margin for rounding."""
        scale = self.f.abs().amax(dim=-1) + self.g.abs().amax(dim=-1) + self.problem.epsilon
        unit = torch.finfo(self.f.dtype).eps
        return self.regularized_value - ROUNDING_UNITS * unit * self.problem.kappa * scale
