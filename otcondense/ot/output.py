"""What a solver returns: potentials, plan, and how far they can be trusted."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from otcondense.ot.problem import PartialProblem


@dataclass(frozen=True)
class PartialOutput:
    """Solution of a `PartialProblem`; everything is computed from the row potentials, so it is consistent.

    The plan meets the column masses exactly (it is the Gibbs plan of f and its conjugate g); what is left of the error is in the rows.
    """

    problem: PartialProblem
    f: Float[Tensor, "*batch k"]
    """Potentials of the chosen images; the dummy row's potential is 0."""
    tolerance: float
    """Marginal error below which the solver calls the problem solved."""
    iterations: int
    column_error: Float[Tensor, "*batch"] | None = None
    """L1 error on the columns of a solver whose plan is not the Gibbs plan of f."""
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
        """Plan with the dummy row last, where there is one."""
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
        """Semi-dual value at f: a lower bound on the regularised optimum, equal to it at the optimum. At epsilon 0, the LP's dual value."""
        return (self.f * self.problem.row_mass).sum(dim=-1) + (
            self.g * self.problem.column_mass
        ).sum(dim=-1)

    @cached_property
    def certified_error(self) -> Float[Tensor, "*batch"]:
        """Proven bound on the regularised optimum minus `regularized_value`.

        The semi-dual is concave with gradient r (the row errors, sum 0), and optimal potentials spread over no more than the range of the cost;
        so the distance to the optimum is at most half the L1 norm of r times the two spreads.
        """
        cost, _, _ = self.problem.balanced()
        spread = self._all_f.amax(dim=-1) - self._all_f.amin(dim=-1)
        return self.marginal_error / 2 * (spread + cost.amax(dim=(-2, -1)))

    @property
    def value_lower_bound(self) -> Float[Tensor, "*batch"]:
        """Proven lower bound on the regularised optimum: the semi-dual value less a margin for rounding."""
        scale = self.f.abs().amax(dim=-1) + self.g.abs().amax(dim=-1) + self.problem.epsilon
        return (
            self.regularized_value - 64 * torch.finfo(self.f.dtype).eps * self.problem.kappa * scale
        )
