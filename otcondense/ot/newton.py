"""Newton's method on the semi-dual: k unknowns, concave, smooth."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from otcondense.errors import InputError
from otcondense.ot.output import PartialOutput
from otcondense.ot.problem import PartialProblem

WARM_ITERATIONS = 40


def _with_dummy(f: Float[Tensor, "batch k"], *, has_dummy: bool) -> Float[Tensor, "batch r"]:
    return torch.cat([f, f.new_zeros(len(f), 1)], dim=1) if has_dummy else f


@dataclass(frozen=True)
class _Stop:
    tolerance: float
    enough: float
    iterations: int


@dataclass(frozen=True)
class _State:
    cost: Float[Tensor, "batch r n"]
    a: Float[Tensor, " r"]
    b: Float[Tensor, " n"]
    kappa: float

    def evaluate(
        self, f: Float[Tensor, "batch r"], epsilon: float, rows: Float[Tensor, "batch r n"]
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch r n"], Float[Tensor, "batch r"]]:
        """Return the semi-dual value, the plan's shares of each column, and the row masses of the plan."""
        scores = (f[:, :, None] - rows).div_(epsilon).add_(torch.log(self.a / self.kappa)[:, None])
        top = scores.amax(dim=1, keepdim=True)
        shares = scores.sub_(top).exp_()
        total = shares.sum(dim=1, keepdim=True)
        value = f @ self.a - epsilon * ((top + total.log())[:, 0] @ self.b)
        shares.div_(total)
        return value, shares, shares @ self.b

    def ascend(
        self, f: Float[Tensor, "batch r"], epsilon: float, stop: _Stop
    ) -> tuple[Float[Tensor, "batch r"], int]:
        """Ascend every problem of the batch until its row error is within the tolerance, or its value is enough."""
        f = f.clone()
        active, rows = torch.arange(len(f), device=f.device), self.cost
        value, shares, mass = self.evaluate(f, epsilon, rows)
        for iteration in range(stop.iterations):
            unsolved = ((self.a - mass).abs().sum(dim=1) > stop.tolerance) & (value <= stop.enough)
            if not bool(unsolved.any()):
                return f, iteration
            if not bool(unsolved.all()):
                active, value, shares, mass = (
                    active[unsolved],
                    value[unsolved],
                    shares[unsolved],
                    mass[unsolved],
                )
                rows = self.cost[active]
            step = self._direction(shares, mass, epsilon)
            moved, value, shares, mass = self._search(f[active], value, step, mass, epsilon, rows)
            f[active] = moved
        return f, stop.iterations

    def _direction(
        self, shares: Float[Tensor, "batch r n"], mass: Float[Tensor, "batch r"], epsilon: float
    ) -> Float[Tensor, "batch r"]:
        hessian = -(shares * self.b) @ shares.mT
        hessian.diagonal(dim1=-2, dim2=-1).add_(mass)
        gradient = self.a - mass
        # The constant direction is the gauge: its curvature is set to 1, and the gradient has no part in it.
        hessian += self.a.mean() / len(self.a)
        # Damping that vanishes with the gradient limits a step to some 30 epsilon: far from the optimum the Hessian may be singular.
        damping = 1e-13 * self.a.mean() + 0.03 * gradient.abs().amax(dim=1)
        hessian.diagonal(dim1=-2, dim2=-1).add_(damping[:, None])
        factor, info = torch.linalg.cholesky_ex(hessian)
        step = epsilon * torch.cholesky_solve(gradient[..., None], factor)[..., 0]
        sinkhorn = epsilon * (self.a.log() - mass.clamp(min=1e-300).log())
        good = (info == 0) & torch.isfinite(step).all(dim=1) & ((step * gradient).sum(dim=1) > 0)
        return torch.where(good[:, None], step, sinkhorn)

    def _search(
        self,
        f: Float[Tensor, "batch r"],
        value: Float[Tensor, " batch"],
        step: Float[Tensor, "batch r"],
        mass: Float[Tensor, "batch r"],
        epsilon: float,
        rows: Float[Tensor, "batch r n"],
    ) -> tuple[
        Float[Tensor, "batch r"],
        Float[Tensor, " batch"],
        Float[Tensor, "batch r n"],
        Float[Tensor, "batch r"],
    ]:
        """Halve the step until the value grows as it should; the last resort is a Sinkhorn sweep, which always does."""
        gradient = self.a - mass
        slope = (gradient * step).sum(dim=1)
        noise = 1e-14 * (value.abs() + f.abs().amax(dim=1) * self.kappa + epsilon)
        length = torch.ones_like(value)
        for _ in range(12):
            trial = f + length[:, None] * step
            new_value, shares, new_mass = self.evaluate(trial, epsilon, rows)
            good: Bool[Tensor, " batch"] = new_value >= value + 1e-4 * length * slope - noise
            if bool(good.all()):
                return trial, new_value, shares, new_mass
            length = torch.where(good, length, length / 2)
        sweep = f + epsilon * (self.a.log() - mass.clamp(min=1e-300).log())
        trial = torch.where(good[:, None], f + length[:, None] * step, sweep)
        return (trial, *self.evaluate(trial, epsilon, rows))


@dataclass(frozen=True)
class SemiDualNewton:
    r"""Converged solution in float64, in the log domain, from any start.

    maximise over f:  sum_i a_i f_i - epsilon sum_j b_j log sum_i (a_i / kappa) exp((f_i - C_ij) / epsilon)

    The gradient is the row error, the Hessian -(diag(P 1) - P diag(1/b) P^T) / epsilon. A cold start anneals epsilon from the range of the cost;
    every step is damped until the value grows, and falls back on a Sinkhorn sweep where Newton's direction is of no use.

    Source: the semi-dual of Cuturi & Peyre (2018), eq. 2.5, with a dummy row.
    """

    tolerance: float = 1e-10
    """L1 error of the row masses (total 1) at which the problem counts as solved."""
    max_iterations: int = 200
    anneal: float = 4.0
    """Factor between two levels of a cold start."""

    def __call__(
        self,
        problem: PartialProblem,
        init: Float[Tensor, "*batch k"] | None = None,
        *,
        stop_above: float = math.inf,
    ) -> PartialOutput:
        """Solve one problem or a batch of problems.

        Args:
            problem: cost [*batch, k, n].
            init: potentials of the chosen images, in the gauge where the dummy's is 0: a warm start.
            stop_above: stop a problem as soon as its semi-dual value passes this; the output is then a lower bound, not a solution.
        """
        if problem.epsilon <= 0:
            raise InputError(
                f"SemiDualNewton needs epsilon > 0, found {problem.epsilon}; PotSolver(method='emd') solves the unregularised problem"
            )
        cost, a, b = (part.double() for part in problem.balanced())
        batch = cost.reshape(-1, *cost.shape[-2:])
        state = _State(batch, a, b, problem.kappa)
        goal = _Stop(self.tolerance, stop_above, self.max_iterations)
        if init is None:
            f, iterations = self._anneal(state, problem.epsilon, goal)
        else:
            warm = _with_dummy(init.double().reshape(len(batch), -1), has_dummy=problem.has_dummy)
            f, iterations = self._warm(state, problem.epsilon, warm, goal)
        f = f[:, : problem.num_rows] - (f[:, -1:] if problem.has_dummy else 0)
        solved = PartialProblem(
            problem.cost_matrix.double(), problem.epsilon, problem.kappa, problem.a, problem.b
        )
        return PartialOutput(
            solved, f.reshape((*cost.shape[:-2], problem.num_rows)), 10 * self.tolerance, iterations
        )

    def _anneal(
        self, state: _State, epsilon: float, goal: _Stop
    ) -> tuple[Float[Tensor, "batch r"], int]:
        f, iterations = state.cost.new_zeros(state.cost.shape[:2]), 0
        for level in self._levels(epsilon, float(state.cost.max())):
            stop = goal if level == epsilon else _Stop(1e-2, math.inf, self.max_iterations)
            f, steps = state.ascend(f, level, stop)
            iterations += steps
        return f, iterations

    def _warm(
        self, state: _State, epsilon: float, f: Float[Tensor, "batch r"], goal: _Stop
    ) -> tuple[Float[Tensor, "batch r"], int]:
        """Ascend from a warm start; a problem that it does not help starts cold."""
        f, iterations = state.ascend(
            f, epsilon, _Stop(goal.tolerance, goal.enough, min(WARM_ITERATIONS, goal.iterations))
        )
        if iterations < min(WARM_ITERATIONS, goal.iterations):
            return f, iterations
        value, _, mass = state.evaluate(f, epsilon, state.cost)
        stuck = ((state.a - mass).abs().sum(dim=1) > goal.tolerance) & (value <= goal.enough)
        if bool(stuck.any()):
            f[stuck], steps = self._anneal(
                _State(state.cost[stuck], state.a, state.b, state.kappa), epsilon, goal
            )
            iterations += steps
        return f, iterations

    def _levels(self, epsilon: float, largest: float) -> list[float]:
        levels, level = [epsilon], epsilon * self.anneal
        while level < largest / 8:
            levels.append(level)
            level *= self.anneal
        return levels[::-1]
