"""Newton's method on the semi-dual: k unknowns, concave, smooth."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from otcondense.errors import InputError
from otcondense.ot.output import PartialOutput
from otcondense.ot.problem import PartialProblem

WARM_ITERATIONS = 40
"""Newton iterations from a warm start, after which a cold start is cheaper."""

DAMPING = 0.03
"""Damping of the Hessian, as a share of the largest row error.

It vanishes at the optimum. Far from it, where the Hessian may be singular, it limits a step to
about 1 / 0.03 = 33 epsilon.
"""

DAMPING_FLOOR = 1e-13
"""Smallest damping, as a share of the mean row mass; it keeps the Hessian positive definite."""

SMALLEST_MASS = 1e-300
"""Replaces a row mass that underflowed to 0, whose logarithm would be infinite."""

ARMIJO = 1e-4
"""Share of the increase predicted by the slope that an accepted step must reach (Armijo's rule)."""

VALUE_ROUNDING = 1e-14
"""Relative rounding error of the semi-dual value: a smaller decrease does not reject a step."""

STEP_LENGTHS = 12
"""Number of step lengths tried (1, 1/2, ..., 1/2048) before a Sinkhorn sweep replaces the step."""

STALLED_STEPS = 10
"""Steps without progress after which a problem is left unsolved.

If the largest cost is about 1e10 epsilon or more, rounding hides the rest of the way.
"""

PROGRESS = 0.9
"""A step makes progress if it lowers the row error to this share of the lowest one so far.

It also does if it increases the value by more than rounding.
"""

LEVEL_TOLERANCE = 1e-2
"""Row error of the intermediate levels of a cold start, which only supply the next start."""

FIRST_LEVEL = 1 / 8
"""Upper limit on epsilon in a cold start, as a share of the largest cost.

From there the method converges from potentials of 0.
"""

OUTPUT_SLACK = 10
"""Factor between the tolerance of the solver and that of its output.

The output recomputes the plan from shifted potentials, which adds rounding errors.
"""


@dataclass(frozen=True)
class _StopRule:
    """When a problem of the batch is finished."""

    tolerance: float
    """L1 error of the row masses."""
    stop_above: float
    """Semi-dual value."""
    max_iterations: int

    def unsolved(self, a: Float[Tensor, " r"], now: "_Evaluation") -> Bool[Tensor, " batch"]:
        return (self.row_error(a, now) > self.tolerance) & (now.value <= self.stop_above)

    def row_error(self, a: Float[Tensor, " r"], now: "_Evaluation") -> Float[Tensor, " batch"]:
        """Return the L1 error of the row masses."""
        return (a - now.mass).abs().sum(dim=1)


@dataclass(frozen=True)
class _Evaluation:
    """The semi-dual at one point for each problem of the batch."""

    value: Float[Tensor, " batch"]
    shares: Float[Tensor, "batch r n"]
    """Share of each column that each row serves in the plan."""
    mass: Float[Tensor, "batch r"]
    """Row masses of the plan."""

    def of(self, problems: Bool[Tensor, " batch"]) -> "_Evaluation":
        """Return the evaluation of some of the problems."""
        return _Evaluation(self.value[problems], self.shares[problems], self.mass[problems])


@dataclass
class _Progress:
    """The best state of each problem of the batch, and the steps since it last improved."""

    error: Float[Tensor, " batch"]
    value: Float[Tensor, " batch"]
    steps: Int[Tensor, " batch"]

    @classmethod
    def start(cls, size: int, like: Tensor) -> "_Progress":
        return cls(
            like.new_full((size,), math.inf),
            like.new_full((size,), -math.inf),
            torch.zeros(size, dtype=torch.int64, device=like.device),
        )

    def add(
        self,
        error: Float[Tensor, " batch"],
        value: Float[Tensor, " batch"],
        noise: Float[Tensor, " batch"],
    ) -> None:
        """Note the state of every problem after one more step."""
        better = (error < PROGRESS * self.error) | (value > self.value + noise)
        self.steps = torch.where(better, 0, self.steps + 1)
        self.error = torch.minimum(self.error, error)
        self.value = torch.maximum(self.value, value)

    def of(self, problems: Bool[Tensor, " batch"]) -> "_Progress":
        """Return the progress of some of the problems."""
        return _Progress(self.error[problems], self.value[problems], self.steps[problems])

    @property
    def stalled(self) -> Bool[Tensor, " batch"]:
        """Whether rounding keeps a problem from getting any further."""
        return self.steps >= STALLED_STEPS


@dataclass(frozen=True)
class _SemiDual:
    """The semi-dual of a batch of problems that share the masses."""

    cost: Float[Tensor, "batch r n"]
    a: Float[Tensor, " r"]
    b: Float[Tensor, " n"]
    kappa: float

    def evaluate(
        self, f: Float[Tensor, "batch r"], epsilon: float, cost: Float[Tensor, "batch r n"]
    ) -> _Evaluation:
        """Evaluate the problems with these costs."""
        scores = (f[:, :, None] - cost).div_(epsilon).add_(torch.log(self.a / self.kappa)[:, None])
        top = scores.amax(dim=1, keepdim=True)
        shares = scores.sub_(top).exp_()
        total = shares.sum(dim=1, keepdim=True)
        value = f @ self.a - epsilon * ((top + total.log())[:, 0] @ self.b)
        shares.div_(total)
        return _Evaluation(value, shares, shares @ self.b)

    def ascend(
        self, f: Float[Tensor, "batch r"], epsilon: float, stop: _StopRule
    ) -> tuple[Float[Tensor, "batch r"], int, Bool[Tensor, " batch"]]:
        """Ascend until every problem of the batch is finished or stalls.

        Returns: the potentials, the number of iterations, and the problems that are not solved.
        """
        f = f.clone()
        active = torch.arange(len(f), device=f.device)
        cost = self.cost
        now = self.evaluate(f, epsilon, cost)
        progress = _Progress.start(len(f), f)
        failed = torch.zeros(len(f), dtype=torch.bool, device=f.device)

        for iteration in range(stop.max_iterations):
            noise = self._noise(f[active], now, epsilon)
            progress.add(stop.row_error(self.a, now), now.value, noise)
            unsolved = stop.unsolved(self.a, now)
            failed[active[unsolved & progress.stalled]] = True
            unsolved &= ~progress.stalled
            if not bool(unsolved.any()):
                return f, iteration, failed
            if not bool(unsolved.all()):
                active = active[unsolved]
                now = now.of(unsolved)
                progress = progress.of(unsolved)
                cost = self.cost[active]

            step = self._newton_step(now, epsilon)
            moved, now = self._line_search(f[active], step, now, epsilon, cost)
            f[active] = moved

        failed[active[stop.unsolved(self.a, now)]] = True
        return f, stop.max_iterations, failed

    def _newton_step(self, now: _Evaluation, epsilon: float) -> Float[Tensor, "batch r"]:
        """Return the damped Newton step; a Sinkhorn step where it is no direction of ascent."""
        gradient = self.a - now.mass
        hessian = -(now.shares * self.b) @ now.shares.mT
        hessian.diagonal(dim1=-2, dim2=-1).add_(now.mass)

        # A constant added to all potentials changes nothing (the gauge): the Hessian is singular in
        # that direction, and the gradient is orthogonal to it. Its curvature is set to the mean
        # mass.
        hessian += self.a.mean() / len(self.a)

        damping = DAMPING_FLOOR * self.a.mean() + DAMPING * gradient.abs().amax(dim=1)
        hessian.diagonal(dim1=-2, dim2=-1).add_(damping[:, None])

        factor, info = torch.linalg.cholesky_ex(hessian)
        step = epsilon * torch.cholesky_solve(gradient[..., None], factor)[..., 0]
        ascends = (step * gradient).sum(dim=1) > 0
        usable = (info == 0) & torch.isfinite(step).all(dim=1) & ascends
        return torch.where(usable[:, None], step, self._sinkhorn_step(now, epsilon))

    def _sinkhorn_step(self, now: _Evaluation, epsilon: float) -> Float[Tensor, "batch r"]:
        """Return the step of one Sinkhorn sweep, which always increases the value."""
        return epsilon * (self.a.log() - now.mass.clamp(min=SMALLEST_MASS).log())

    def _noise(
        self, f: Float[Tensor, "batch r"], now: _Evaluation, epsilon: float
    ) -> Float[Tensor, " batch"]:
        """Return the rounding error of the values."""
        scale = now.value.abs() + f.abs().amax(dim=1) * self.kappa + epsilon
        return VALUE_ROUNDING * scale

    def _line_search(
        self,
        f: Float[Tensor, "batch r"],
        step: Float[Tensor, "batch r"],
        now: _Evaluation,
        epsilon: float,
        cost: Float[Tensor, "batch r n"],
    ) -> tuple[Float[Tensor, "batch r"], _Evaluation]:
        """Halve the step until the value increases enough (Armijo's rule), else sweep.

        Returns: the new potentials and their evaluation.
        """
        slope = ((self.a - now.mass) * step).sum(dim=1)
        noise = self._noise(f, now, epsilon)

        length = torch.ones_like(now.value)
        for _ in range(STEP_LENGTHS):
            trial = f + length[:, None] * step
            then = self.evaluate(trial, epsilon, cost)
            accepted: Bool[Tensor, " batch"] = (
                then.value >= now.value + ARMIJO * length * slope - noise
            )
            if bool(accepted.all()):
                return trial, then
            length = torch.where(accepted, length, length / 2)

        sweep = f + self._sinkhorn_step(now, epsilon)
        trial = torch.where(accepted[:, None], f + length[:, None] * step, sweep)
        return trial, self.evaluate(trial, epsilon, cost)


@dataclass(frozen=True)
class SemiDualNewton:
    r"""Converged solution in float64, in the log domain, from any start.

    maximise over f:
        sum_i a_i f_i - epsilon sum_j b_j log sum_i (a_i / kappa) exp((f_i - C_ij) / epsilon)

    The gradient is the row error, the Hessian -(diag(P 1) - P diag(1/b) P^T) / epsilon. A cold
    start anneals epsilon from the range of the cost. Every step is damped until the value
    increases, and replaced by a Sinkhorn sweep where Newton's direction fails.

    Examples
    --------
    >>> import torch
    >>> from otcondense.ot import PartialProblem, SemiDualNewton
    >>> cost = torch.tensor(
    ...     [[0.0, 1.0, 9.0], [9.0, 1.0, 0.0]]
    ... )  # two chosen images, three of the class
    >>> problem = PartialProblem(cost, epsilon=0.1, kappa=1.2)
    >>> round(float(SemiDualNewton()(problem).transport_cost), 3)
    0.2

    References
    ----------
    .. [1] the semi-dual of Cuturi & Peyre (2018), eq. 2.5, with a dummy row.
    """

    tolerance: float = 1e-10
    """L1 error of the row masses (total 1) at which a problem counts as solved."""
    max_iterations: int = 200
    anneal: float = 4.0
    """Factor between two levels of epsilon in a cold start."""

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
            init: warm start: potentials of the chosen images, with the dummy row's at 0.
            stop_above: stop a problem as soon as its semi-dual value exceeds this. The output is
                then a lower bound, not a solution.
        """
        if problem.epsilon <= 0:
            raise InputError(
                f"SemiDualNewton needs epsilon > 0, found {problem.epsilon}; "
                "PotSolver(method='emd') solves the unregularised problem"
            )
        cost, a, b = (part.double() for part in problem.balanced())
        semi_dual = _SemiDual(cost.reshape(-1, *cost.shape[-2:]), a, b, problem.kappa)
        stop = _StopRule(self.tolerance, stop_above, self.max_iterations)

        if init is None:
            f, iterations = self._cold_start(semi_dual, problem.epsilon, stop)
        else:
            start = init.double().reshape(len(semi_dual.cost), -1)
            if problem.has_dummy:
                start = torch.cat([start, start.new_zeros(len(start), 1)], dim=1)
            f, iterations = self._warm_start(semi_dual, problem.epsilon, start, stop)

        # The potentials are unique up to a constant: the dummy row's is set to 0.
        gauge = f[:, -1:] if problem.has_dummy else 0
        f = f[:, : problem.num_rows] - gauge
        solved = PartialProblem(
            problem.cost_matrix.double(), problem.epsilon, problem.kappa, problem.a, problem.b
        )
        f = f.reshape((*cost.shape[:-2], problem.num_rows))
        return PartialOutput(solved, f, OUTPUT_SLACK * self.tolerance, iterations)

    def _cold_start(
        self, semi_dual: _SemiDual, epsilon: float, stop: _StopRule
    ) -> tuple[Float[Tensor, "batch r"], int]:
        """Ascend from potentials of 0 through levels of decreasing epsilon."""
        f = semi_dual.cost.new_zeros(semi_dual.cost.shape[:2])
        level_stop = _StopRule(LEVEL_TOLERANCE, math.inf, self.max_iterations)
        total = 0
        for level in self._levels(epsilon, float(semi_dual.cost.max())):
            rule = stop if level == epsilon else level_stop
            f, iterations, _ = semi_dual.ascend(f, level, rule)
            total += iterations
        return f, total

    def _warm_start(
        self, semi_dual: _SemiDual, epsilon: float, f: Float[Tensor, "batch r"], stop: _StopRule
    ) -> tuple[Float[Tensor, "batch r"], int]:
        """Ascend from given potentials; problems that do not converge get a cold start."""
        limit = min(WARM_ITERATIONS, stop.max_iterations)
        f, total, unsolved = semi_dual.ascend(f, epsilon, replace(stop, max_iterations=limit))
        if bool(unsolved.any()):
            rest = replace(semi_dual, cost=semi_dual.cost[unsolved])
            f[unsolved], iterations = self._cold_start(rest, epsilon, stop)
            total += iterations
        return f, total

    def _levels(self, epsilon: float, largest_cost: float) -> list[float]:
        """Return the levels of epsilon in decreasing order; the last is `epsilon` itself."""
        levels = [epsilon]
        while levels[-1] * self.anneal < largest_cost * FIRST_LEVEL:
            levels.append(levels[-1] * self.anneal)
        return levels[::-1]
