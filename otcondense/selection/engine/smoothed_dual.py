"""The dual function of the lower bound, smoothed so that L-BFGS can maximise it."""

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from torch import Tensor

from otcondense.ot.blocks import row_blocks
from otcondense.ot.cost_rows import rows_at_once
from otcondense.selection.engine.relaxation import (
    DualPoint,
    Relaxation,
    level_block,
    level_rows,
    rounded,
)

LOG_ROOM = (-20.0, 60.0)
"""Limits on the logarithm of the distance of q from the end of its domain.

Nearer to the end, rounding would decide on which side q is.
"""

SMALLEST_ROOM = 1e-12
"""Smallest distance of q from the end of its domain at the start."""

SMALL = 1 << 17
"""Entries of a cost matrix up to which float64 and full convergence of the levels are cheap."""

LARGEST_COST = 1e30
"""Largest cost over epsilon and largest square; float32 does not hold much larger ones."""

SMALL_STEPS = 6
"""Steps of the levels at each evaluation of a small problem, to full convergence."""

LARGE_STEPS = 2
"""The same for a large problem: the levels carry over from one evaluation to the next."""

MEMORY = 15
"""Number of corrections that L-BFGS keeps."""

RELATIVE_DECREASE = 1e-5
"""L-BFGS stops if the relative decrease of an iteration is below this.

On photographs, this saves a quarter of the work, and costs 0.02 % of the bound.
"""

LEAST_GAIN = 1e-5
"""L-BFGS is not started again if its last run gained less than this share of the value."""

CHOICE_RANGE = 60
"""The threshold of the soft choice is at most this many temperatures outside the prices."""

CHOICE_STEPS = 80
"""Limit on the Newton and bisection steps for the threshold."""

CHOICE_TOLERANCE = 1e-9
"""Error of the number of chosen rows at which the threshold has converged."""

TINY = 1e-300
"""Keeps a slope of 0 from dividing by 0; the step then leaves the bracket and is bisected."""


class SmoothedDual:
    """The relaxation on some rows at some epsilon, with a smoothed choice of rows.

    The variables are scaled so that the curvature is even. L-BFGS compares values and steps with 1:
    epsilon, tau and all values are in the unit of the relaxation, which should be a typical cost.
    """

    def __init__(
        self, relaxation: Relaxation, rows: Int[Tensor, " m"], epsilon: float, tau: float
    ) -> None:
        problem = relaxation.problem
        self.relaxation = relaxation
        self.problem = problem
        self.rows = rows
        self.epsilon = epsilon
        self.tau = tau
        self.forced = len(problem.include)
        self.share = 1 / problem.budget

        small = len(rows) * problem.size <= SMALL
        self.dtype = torch.float64 if small else torch.float32
        self.steps = SMALL_STEPS if small else LARGE_STEPS
        self.block = level_block(problem.size) if problem.is_large else None
        self.cost = torch.empty(len(rows), problem.size, dtype=self.dtype)
        self._fill_cost()
        self.kernel = torch.empty_like(self.cost)
        self.b = problem.b.to(self.dtype)
        self.log_w = (problem.b / problem.kappa).log()
        self.fixed = relaxation.fixed[rows]
        self.x = relaxation.features[rows].to(self.dtype)
        self.squares = self.x.square().clamp_(max=LARGEST_COST)

        self.scale_g = math.sqrt(problem.size * epsilon / problem.kappa)
        self.scale_p = 1.0
        self.scale_q = relaxation.std
        if problem.alpha:
            self.scale_p = math.sqrt(2 / problem.alpha)
            self.scale_q = 1 / (relaxation.std * math.sqrt(2 * problem.alpha))

        self._rank = max(1, math.ceil(problem.size * self.share / problem.kappa))
        self.level: Float[Tensor, " m"] | None = None
        self.evaluations = 0

    def _fill_cost(self) -> None:
        """Compute the costs of the rows over epsilon."""

        def fill(part: slice) -> None:
            cost = self.problem.cost_matrix[self.rows[part]]
            cost /= self.epsilon * self.relaxation.unit
            self.cost[part] = rounded(cost.clamp_(max=LARGEST_COST))

        at_once = rows_at_once(self.problem.cost_matrix)
        row_blocks(fill, len(self.rows), workers=self.relaxation.workers, rows=at_once)

    def maximise(self, point: DualPoint, iterations: int) -> DualPoint:
        """Climb from a dual point with at most about `iterations` evaluations; return the end.

        A line search can fail because the levels carry over. L-BFGS is then started again, as long
        as it gains.
        """
        z = self._pack(point)
        value = math.inf
        while self.evaluations < iterations:
            left = iterations - self.evaluations
            options = {
                "maxiter": left,
                "maxfun": left,
                "maxcor": MEMORY,
                "ftol": RELATIVE_DECREASE,
                "gtol": 0.0,
            }
            result = minimize(self._negative, z, jac=True, method="L-BFGS-B", options=options)
            gain = value - result.fun
            z = result.x
            value = result.fun
            if gain < LEAST_GAIN * abs(value):
                break
        return self._unpack(torch.from_numpy(z).to(point.g))

    def _pack(self, point: DualPoint) -> np.ndarray:
        """Return the scaled variables of a dual point; q becomes w, the logarithm of its room."""
        w = torch.log((1 - point.q - self.share).clamp(min=SMALLEST_ROOM))
        z = torch.cat([point.g / self.scale_g, point.p / self.scale_p, w / self.scale_q])
        packed: np.ndarray = z.numpy()
        return packed

    def _unpack(self, z: Float[Tensor, " v"]) -> DualPoint:
        n = self.problem.size
        d = len(self.relaxation.std)
        q = 1 - self.share - torch.exp((z[n + d :] * self.scale_q).clamp(*LOG_ROOM))
        return DualPoint(z[:n] * self.scale_g, z[n : n + d] * self.scale_p, q)

    def _negative(self, z: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = self.value_and_gradient(torch.from_numpy(z).to(self.problem.b))
        return -value, -gradient.numpy()

    def value_and_gradient(self, z: Float[Tensor, " v"]) -> tuple[float, Float[Tensor, " v"]]:
        """Return the smoothed bound on the rows and its gradient in the scaled variables."""
        self.evaluations += 1
        problem = self.problem
        epsilon = self.epsilon
        point = self._unpack(z)

        price = self._row_prices(point.g) + self._row_terms(point)
        value, y = soft_choice(price, self.forced, problem.budget, self.tau)

        scores = point.g / epsilon + self.log_w
        dummy = (problem.kappa - 1) * epsilon * float(torch.logsumexp(scores, dim=0))
        value += float(problem.b @ point.g) - dummy
        value += self.relaxation.statistics_constant(point)

        served = (y.to(self.dtype) @ self.kernel).double() * problem.b
        slope_g = problem.b - (problem.kappa - 1) * torch.softmax(scores, dim=0) - served
        slope_p, slope_w = self._slopes(point, y)
        return value, torch.cat([slope_g * self.scale_g, slope_p, slope_w])

    def _row_prices(self, g: Float[Tensor, " n"]) -> Float[Tensor, " m"]:
        """Return the prices of the rows; their shares of the columns go to `kernel`.

        The levels carry over from call to call.
        """
        reduced = (g / self.epsilon).to(self.dtype)
        workers = self.relaxation.workers
        if self.level is None:
            self.level = self._first_levels(reduced)
        level = self.level
        price = torch.empty_like(level)
        steps = self.steps
        if self.evaluations == 1:
            steps += 1

        def work(rows: slice) -> None:
            x = reduced - self.cost[rows]
            x.add_(level[rows, None])
            shift, self.kernel[rows], spent = level_rows(x, self.b, self.share, steps)
            level[rows] += shift
            price[rows] = (level[rows] + 1) * self.share - spent

        row_blocks(work, len(price), workers=workers, rows=self.block)
        entropy = self.share * math.log(self.problem.kappa / self.share)
        return self.epsilon * (price.double() + entropy)

    def _row_terms(self, point: DualPoint) -> Float[Tensor, " m"]:
        """Return the costs of the rows besides the transport."""
        if not len(self.relaxation.std):
            return self.fixed
        size = self.problem.budget
        moments = self.x @ point.p.to(self.dtype)
        moments += self.squares @ (point.q * (size / (size - 1))).to(self.dtype)
        return self.fixed + self.problem.alpha / size * moments.double()

    def _first_levels(self, reduced: Float[Tensor, " n"]) -> Float[Tensor, " m"]:
        """Return the levels at which the nearest columns to fill a row's share are capped."""
        level = self.cost.new_empty(len(self.cost))

        def start(rows: slice) -> None:
            level[rows] = (self.cost[rows] - reduced).kthvalue(self._rank, dim=1).values - 1

        row_blocks(start, len(level), workers=self.relaxation.workers, rows=self.block)
        return level

    def _slopes(
        self, point: DualPoint, y: Float[Tensor, " m"]
    ) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
        """Return the gradient in the scaled p and w."""
        if not len(self.relaxation.std):
            return point.p, point.q
        alpha = self.problem.alpha
        size = self.problem.budget
        weight = (y * self.share).to(self.dtype)
        c = size / (size - 1)
        room = 1 - point.q * size / (size - 1)

        slope_p = (weight @ self.x).double() - point.p / (2 * room)
        second_moment = (weight @ self.squares).double()
        slope_q = c * second_moment - c * point.p.square() / (4 * room.square())
        slope_q -= (self.relaxation.std / (1 - point.q)).square()

        room_of_q = point.q - 1 + self.share  # minus exp(w), the derivative of q in w
        return alpha * slope_p * self.scale_p, alpha * slope_q * room_of_q * self.scale_q


def soft_choice(
    price: Float[Tensor, " m"], forced: int, budget: int, tau: float
) -> tuple[float, Float[Tensor, " m"]]:
    """Choose the first `forced` rows and, by degrees, the cheapest of the others.

    The value is min sum y p + tau sum (y log y + (1 - y) log(1 - y)) over 0 <= y <= 1 with the
    right
    sum: a concave function of the prices, below the sum of the cheapest.

    Returns: the value and the degrees y.
    """
    y = torch.ones_like(price)
    wanted = budget - forced
    rest = price[forced:]
    if wanted == 0:
        y[forced:] = 0
        return float(price[:forced].sum()), y
    if wanted == len(rest):
        return float(price.sum()), y

    # Find the threshold theta by Newton's method inside a bracket.
    low = rest.min() - CHOICE_RANGE * tau
    high = rest.max() + CHOICE_RANGE * tau
    theta = rest.sort().values[wanted - 1 : wanted + 1].mean()
    for _ in range(CHOICE_STEPS):
        y[forced:] = torch.sigmoid((theta - rest) / tau)
        excess = y[forced:].sum() - wanted
        if abs(float(excess)) < CHOICE_TOLERANCE:
            break
        if excess > 0:
            high = theta
        else:
            low = theta
        slope = (y[forced:] * (1 - y[forced:])).sum().clamp(min=TINY)
        newton = theta - excess * tau / slope
        theta = newton if low < newton < high else (low + high) / 2

    smooth = wanted * theta - tau * torch.nn.functional.softplus((theta - rest) / tau).sum()
    return float(price[:forced].sum() + smooth), y
