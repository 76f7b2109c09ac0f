"""A proven lower bound on the best objective over all subsets: how far from optimal a subset can be at most.

Tiny problems are enumerated. For others a concave dual function (see `relaxation`) is maximised by L-BFGS, in rounds of less and less smoothing, on the rows
that can matter, in float32 unless they are few; after each round the point found is evaluated on every row in float64 with a margin for rounding, and the best value stands.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from scipy.optimize import minimize
from torch import Tensor

from otcondense.config import Config
from otcondense.ot import PartialProblem, SemiDualNewton
from otcondense.ot.blocks import row_blocks
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.engine.relaxation import DualPoint, Relaxation, level_rows
from otcondense.selection.engine.start import k_medoids
from otcondense.threads import one_thread

SMOOTHING = (1e-2, 3e-3, 1e-3)
"""Temperature of the choice of rows in each round, as a share of the objective per row."""
LEAST_EPSILON = (0.03, 0.01, 0.004)
"""Smallest epsilon of each round, as a share of the objective or the median cost; the certified value uses the problem's own."""
EFFORT = (0.25, 0.375, 0.375)
"""Share of the evaluations of each round; the first works on every row."""

LOG_ROOM = (-20.0, 60.0)
"""Ends of the logarithm of how far q stays below the end of its domain; nearer, rounding would decide on which side it is."""
SMALL = 1 << 17
"""Entries of a cost matrix up to which float64 and full convergence of the levels cost next to nothing."""


class LowerBoundConfig(Config):
    """How much work the lower bound may take."""

    max_iterations: int = Field(default=120, ge=0)
    """Evaluations of the dual function, over all rounds; 0 evaluates the starting point only."""
    tolerance: float = Field(default=1e-3, ge=0)
    """Stop when the bound is within this share of the objective."""
    enumerate_up_to: int = Field(default=2000, ge=0)
    """Solve every subset exactly where there are no more than this."""
    max_rows: int = Field(default=8192, ge=1)
    """Most rows that a round works on, the cheapest ones; bounds its memory to 8 bytes times this times the class size."""


@dataclass(frozen=True)
class LowerBound:
    """A value that no subset of the size asked for can go below."""

    value: float
    iterations: int
    """Subsets solved, or evaluations of the dual function."""
    method: Literal["enumeration", "relaxation"]


def subset_lower_bound(
    problem: SubsetProblem,
    *,
    upper: float,
    config: LowerBoundConfig,
    subset: Sequence[int] | None = None,
    workers: int = 1,
) -> LowerBound:
    """Bound the best objective over all subsets that include and exclude what the problem says.

    With epsilon 0 the bound is on the unregularised objective, and so on the one whose transport part is <C, plan>.

    Args:
        problem: the problem, in absolute units.
        upper: objective of a known subset: sets the scale of the work and the point at which nothing is left to prove.
        config: limits.
        subset: the known subset, whose potentials are the start; None starts from k-medoids.
        workers: threads; the result does not depend on their number.
    """
    with one_thread():
        free = problem.size - len(problem.include) - len(problem.exclude)
        count = math.comb(free, problem.budget - len(problem.include))
        if count <= config.enumerate_up_to and problem.epsilon > 0:
            value, iterations, method = _enumerate(problem), count, "enumeration"
        else:
            value, iterations = _Ascent(problem, upper, config, workers).run(
                subset or k_medoids(problem)
            )
            method = "relaxation"
    return LowerBound(
        max(0.0, min(value, upper)),
        iterations,
        "enumeration" if method == "enumeration" else "relaxation",
    )


def _enumerate(problem: SubsetProblem) -> float:
    barred = {*problem.include, *problem.exclude}
    free = [image for image in range(problem.size) if image not in barred]
    subsets = [
        [*problem.include, *rest]
        for rest in combinations(free, problem.budget - len(problem.include))
    ]
    best, rows = math.inf, max(1, (1 << 21) // (problem.size * problem.budget))
    for start in range(0, len(subsets), rows):
        part = subsets[start : start + rows]
        output = SemiDualNewton()(
            PartialProblem(
                problem.cost_matrix[torch.tensor(part)], problem.epsilon, problem.kappa, b=problem.b
            )
        )
        penalty = torch.tensor([problem.penalty(indices) for indices in part], dtype=torch.float64)
        best = min(best, float((output.value_lower_bound.cpu() + penalty * (1 - 1e-12)).min()))
    return best


class _Ascent:
    """Rounds of L-BFGS on the smoothed dual, each followed by a certified evaluation."""

    def __init__(
        self, problem: SubsetProblem, upper: float, config: LowerBoundConfig, workers: int
    ) -> None:
        self.problem, self.upper, self.config, self.workers = problem, upper, config, workers
        self.relaxation = Relaxation(problem, workers)
        # Zero only where every cost and every term is: then any scale does.
        self.scale = min(abs(upper), float(problem.cost_matrix.median())) or abs(upper) or 1.0

    def run(self, subset: Sequence[int]) -> tuple[float, int]:
        """Return the best certified value and the number of evaluations."""
        point = self._start(subset)
        best, price = self.relaxation.certify(point)
        rows, evaluations = self._cheapest(price, self.problem.size), 0
        for smoothing, least, effort in zip(SMOOTHING, LEAST_EPSILON, EFFORT, strict=True):
            iterations = int(effort * self.config.max_iterations)
            if iterations == 0 or self.upper - best <= self.config.tolerance * abs(self.upper):
                break
            tau = smoothing * (abs(self.upper) or 1.0) / self.problem.budget
            function = SmoothedDual(
                self.relaxation, rows, max(self.problem.epsilon, least * self.scale), tau
            )
            reached, used = function.maximise(point, iterations)
            evaluations += used
            value, price = self.relaxation.certify(reached)
            if value > best:
                best, point = value, reached
                rows = self._cheapest(price, self._within(price, 10 * tau))
            else:
                rows = self._cheapest(price, self.problem.size)
        return best, evaluations

    def _start(self, subset: Sequence[int]) -> DualPoint:
        """Potentials of the subset's plan, and no price on the statistics.

        The price that the subset's own moments suggest has no limit where a feature hardly varies among the few chosen images, as
        those behind a rectifier do: from there the ascent did not come back, and the bound said nothing.
        """
        output = replace(
            self.problem, epsilon=max(self.problem.epsilon, LEAST_EPSILON[0] * self.scale)
        ).transport(subset)
        nothing = torch.zeros_like(self.relaxation.std)
        return DualPoint(output.g, nothing, nothing)

    def _within(self, price: Float[Tensor, " n"], slack: float) -> int:
        """Count the rows that the smoothed choice could give a share to, and some to spare."""
        budget, ordered = self.problem.budget, price[self.relaxation.candidates()].sort().values
        last = ordered[max(0, budget - len(self.problem.include) - 1)]
        return max(int((ordered <= last + slack).sum()), 4 * budget + 64)

    def _cheapest(self, price: Float[Tensor, " n"], count: int) -> Int[Tensor, " m"]:
        """Return the forced rows, then the cheapest of the others."""
        candidates = self.relaxation.candidates()
        order = candidates[price[candidates].sort(stable=True).indices]
        count = min(count, max(self.config.max_rows, self.problem.budget))
        return torch.cat([order.new_tensor(self.problem.include), order[:count].sort().values])


class SmoothedDual:
    """The relaxation on some rows at some epsilon, its choice of rows smoothed; variables are scaled to even curvature."""

    def __init__(
        self, relaxation: Relaxation, rows: Int[Tensor, " m"], epsilon: float, tau: float
    ) -> None:
        self.relaxation, self.problem, self.rows, self.epsilon, self.tau = (
            relaxation,
            relaxation.problem,
            rows,
            epsilon,
            tau,
        )
        problem = self.problem
        small = len(rows) * problem.size <= SMALL
        self.dtype, self.steps = (torch.float64, 6) if small else (torch.float32, 2)
        self.cost = (problem.cost_matrix[rows] / epsilon).to(self.dtype)
        self.kernel = torch.empty_like(self.cost)
        self.b = problem.b.to(self.dtype)
        self.log_w = (problem.b / problem.kappa).log()
        self.x = relaxation.features[rows].to(self.dtype)
        self.forced, self.share = len(problem.include), 1 / problem.budget
        self.scale_g = math.sqrt(problem.size * epsilon / problem.kappa)
        self.scale_p = math.sqrt(2 / problem.alpha) if problem.alpha else 1.0
        self.scale_q = (
            1 / (relaxation.std * math.sqrt(2 * problem.alpha)) if problem.alpha else relaxation.std
        )
        self._rank = max(1, math.ceil(problem.size * self.share / problem.kappa))
        self.level: Float[Tensor, " m"] | None = None
        self.evaluations = 0

    def maximise(self, point: DualPoint, iterations: int) -> tuple[DualPoint, int]:
        """Climb from a dual point; returns the end and the number of evaluations.

        L-BFGS starts afresh where a line search fails, which the carried-over levels can cause, as long as it gains.
        """
        z, value = self._pack(point), math.inf
        while self.evaluations < iterations:
            left = iterations - self.evaluations
            options = {"maxiter": left, "maxfun": left, "maxcor": 15, "ftol": 1e-9, "gtol": 0.0}
            result = minimize(self._negative, z, jac=True, method="L-BFGS-B", options=options)
            gain, z, value = value - result.fun, result.x, result.fun
            if gain < 1e-5 * abs(value):
                break
        return self._unpack(torch.from_numpy(z).to(point.g)), self.evaluations

    def _pack(self, point: DualPoint) -> np.ndarray:
        w = torch.log((1 - point.q - self.share).clamp(min=1e-12))
        return (
            torch.cat([point.g / self.scale_g, point.p / self.scale_p, w / self.scale_q])
            .cpu()
            .numpy()
        )

    def _unpack(self, z: Float[Tensor, " v"]) -> DualPoint:
        n, d = self.problem.size, len(self.relaxation.std)
        q = 1 - self.share - torch.exp((z[n + d :] * self.scale_q).clamp(*LOG_ROOM))
        return DualPoint(z[:n] * self.scale_g, z[n : n + d] * self.scale_p, q)

    def _negative(self, z: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = self.value_and_gradient(torch.from_numpy(z).to(self.problem.b))
        return -value, -gradient.cpu().numpy()

    def value_and_gradient(self, z: Float[Tensor, " v"]) -> tuple[float, Float[Tensor, " v"]]:
        """Return the smoothed bound on the working rows and its gradient in the scaled variables."""
        self.evaluations += 1
        problem, epsilon, point = self.problem, self.epsilon, self._unpack(z)
        price = self._row_prices(point.g) + self.relaxation.row_terms(point, self.rows)
        value, y = soft_choice(price, self.forced, problem.budget, self.tau)
        scores = point.g / epsilon + self.log_w
        value += float(problem.b @ point.g) - (problem.kappa - 1) * epsilon * float(
            torch.logsumexp(scores, dim=0)
        )
        served = (y.to(self.dtype) @ self.kernel).double() * problem.b
        slope_g = problem.b - (problem.kappa - 1) * torch.softmax(scores, dim=0) - served
        return value + self.relaxation.statistics_constant(point), torch.cat(
            [slope_g * self.scale_g, *self._slopes(point, y)]
        )

    def _row_prices(self, g: Float[Tensor, " n"]) -> Float[Tensor, " m"]:
        """Prices of the working rows, and their shares of the columns in `kernel`; the levels carry over from call to call."""
        reduced, price = (g / self.epsilon).to(self.dtype), self.cost.new_empty(len(self.cost))
        if self.level is None:
            level = torch.empty_like(price)

            def start(rows: slice) -> None:
                level[rows] = (self.cost[rows] - reduced).kthvalue(self._rank, dim=1).values - 1

            row_blocks(start, len(price), workers=self.relaxation.workers)
            self.level = level
        level, steps = self.level, self.steps + (self.evaluations == 1)

        def work(rows: slice) -> None:
            x = reduced - self.cost[rows]
            shift, self.kernel[rows], spent = level_rows(
                x.add_(level[rows, None]), self.b, self.share, steps
            )
            level[rows] += shift
            price[rows] = (level[rows] + 1) * self.share - spent

        row_blocks(work, len(price), workers=self.relaxation.workers)
        return self.epsilon * (
            price.double() + self.share * math.log(self.problem.kappa / self.share)
        )

    def _slopes(
        self, point: DualPoint, y: Float[Tensor, " m"]
    ) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
        """Gradient in the scaled p and w."""
        if not len(self.relaxation.std):
            return point.p, point.q
        alpha, size, weight = (
            self.problem.alpha,
            self.problem.budget,
            (y * self.share).to(self.dtype),
        )
        c, room = size / (size - 1), 1 - point.q * size / (size - 1)
        slope_p = (weight @ self.x).double() - point.p / (2 * room)
        slope_q = c * (weight @ self.x.square()).double() - c * point.p.square() / (
            4 * room.square()
        )
        slope_q -= (self.relaxation.std / (1 - point.q)).square()
        return alpha * slope_p * self.scale_p, alpha * slope_q * (
            point.q - 1 + self.share
        ) * self.scale_q


def soft_choice(
    price: Float[Tensor, " m"], forced: int, budget: int, tau: float
) -> tuple[float, Float[Tensor, " m"]]:
    """Choose the first `forced` rows and the cheapest others, each by degrees; returns a value below the sum of the cheapest, and the degrees.

    The value is min sum y p + tau sum (y log y + (1 - y) log(1 - y)) over 0 <= y <= 1 with the right sum: a concave function of the prices.
    """
    y, wanted = torch.ones_like(price), budget - forced
    rest = price[forced:]
    if wanted == 0:
        y[forced:] = 0
        return float(price[:forced].sum()), y
    if wanted == len(rest):
        return float(price.sum()), y
    low, high = rest.min() - 60 * tau, rest.max() + 60 * tau
    theta = rest.sort().values[wanted - 1 : wanted + 1].mean()
    for _ in range(80):
        y[forced:] = torch.sigmoid((theta - rest) / tau)
        excess = y[forced:].sum() - wanted
        if abs(float(excess)) < 1e-9:
            break
        low, high = (low, theta) if excess > 0 else (theta, high)
        newton = theta - excess * tau / (y[forced:] * (1 - y[forced:])).sum().clamp(min=1e-300)
        theta = newton if low < newton < high else (low + high) / 2
    smooth = wanted * theta - tau * torch.nn.functional.softplus((theta - rest) / tau).sum()
    return float(price[:forced].sum() + smooth), y
