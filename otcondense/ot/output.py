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

    Examples
    --------
    >>> import torch
    >>> from otcondense.ot import PartialProblem, SemiDualNewton
    >>> cost = torch.tensor(
    ...     [[0.0, 1.0, 9.0], [9.0, 1.0, 0.0]]
    ... )  # two chosen images, three of the class
    >>> problem = PartialProblem(cost.double(), epsilon=0.1, kappa=1.2)
    >>> output = SemiDualNewton()(problem)
    >>> [round(mass, 2) for mass in output.plan.sum(dim=1).tolist()]
    [0.5, 0.5]
    >>> bool(output.converged), bool(output.certified_error < 1e-6)
    (True, True)
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

        The semi-dual is concave with gradient r (the row errors, sum 0). The distance to the
        optimum is therefore at most half the L1 norm of r times the sum of the spread of f and that
        of optimal potentials.
        """
        spread = self._all_f.amax(dim=-1) - self._all_f.amin(dim=-1)
        return self.marginal_error / 2 * (spread + self._optimal_spread())

    def _optimal_spread(self) -> Float[Tensor, "*batch"]:
        """Return a bound on the spread of optimal potentials.

        Without a dummy row, f_i - f_k is at most the largest C_ij - C_kj. With one, whose potential
        is 0, set aside any columns with a total capacity B < kappa - 1, such as that of a distant
        image. The dummy row then ships at least kappa - 1 - B to the other columns J, and the
        optimality of the rows gives 0 <= f_i <= max_J C_ij
        + epsilon log((kappa - 1) / (kappa - 1 - B)).
        """
        cost = self.problem.cost_matrix
        top = cost.amax(dim=-2)
        if not self.problem.has_dummy:
            return (top - cost.amin(dim=-2)).amax(dim=-1)

        ordered, order = top.sort(dim=-1, descending=True)
        capacity = self.problem.column_mass[order]
        room = self.problem.kappa - 1 - (capacity.cumsum(dim=-1) - capacity)
        share = (room / (self.problem.kappa - 1)).clamp(min=0)
        return (ordered - self.problem.epsilon * share.log()).nan_to_num(torch.inf).amin(dim=-1)

    @property
    def rounding(self) -> Float[Tensor, "*batch"]:
        """Margin of `regularized_value` for rounding."""
        scale = self.f.abs().amax(dim=-1) + self.g.abs().amax(dim=-1) + self.problem.epsilon
        unit = torch.finfo(self.f.dtype).eps
        return ROUNDING_UNITS * unit * self.problem.kappa * scale

    @property
    def value_lower_bound(self) -> Float[Tensor, "*batch"]:
        """Proven lower bound on the regularised optimum: the value less a margin for rounding."""
        return self.regularized_value - self.rounding

    @property
    def value_upper_bound(self) -> Float[Tensor, "*batch"]:
        """Proven upper bound on the regularised optimum, with a margin for rounding."""
        return self.regularized_value + self.certified_error + self.rounding

    @cached_property
    def feasible_plan(self) -> Float[Tensor, "*batch r n"]:
        """Plan with the prescribed row and column masses, near the plan of the solver.

        Rows and columns with too much mass are scaled down; what they lack is shipped in proportion
        to it. The plan moves by at most twice the marginal error (L1).

        Source: Altschuler, Weed and Rigollet (2017), algorithm 2.
        """
        _, a, b = self.problem.balanced()
        tiny = torch.finfo(a.dtype).tiny
        rows = self.full_plan.sum(dim=-1)
        plan = self.full_plan * (a / rows.clamp(min=tiny)).clamp(max=1)[..., :, None]
        columns = plan.sum(dim=-2)
        plan = plan * (b / columns.clamp(min=tiny)).clamp(max=1)[..., None, :]

        lack_of_rows = (a - plan.sum(dim=-1)).clamp(min=0)
        lack_of_columns = (b - plan.sum(dim=-2)).clamp(min=0)
        total = lack_of_rows.sum(dim=-1)[..., None, None].clamp(min=tiny)
        return plan + lack_of_rows[..., :, None] * lack_of_columns[..., None, :] / total
