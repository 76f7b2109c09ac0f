r"""A concave function that is below the best objective of all subsets, at every point.

Dualise the column masses with g. Every row then has its own price, and a subset costs at least the
sum of the prices of its rows. A chosen row i ships 1 / K in total and at most b_j to column j.
Without the second condition a row could serve itself alone; the condition makes the bound tight:

    r_i(g) = min <C_i - g, pi> + epsilon KL   over 0 <= pi <= b, sum pi = 1 / K
          >= mu / K + (epsilon / K) log(K kappa) - epsilon sum_j b_j (t_ij + max(x_ij, 0)),
             x = (mu + g_j - C_ij) / epsilon - 1,   t = exp(min(x, 0)),

for every mu, with equality if sum_j b_j t_ij = 1 / K. The dummy row is always chosen; its price is
-(kappa - 1) epsilon log sum_j (b_j / kappa) exp(g_j / epsilon).

The statistics become linear in the rows too. With v the variance of the subset in one feature, m
its mean and c = K / (K - 1), for all p and q < 1 / c:

    m^2 + (sqrt(v) - sigma)^2 >= p m + q (v + c m^2) - p^2 / (4 (1 - c q)) - sigma^2 q / (1 - q),

and v + c m^2 is the sum of x^2 / (K - 1) over the subset. The Frechet distance with full
covariances is at least this in the principal axes of the class. It is also at least the sum of all
but the K - 1 largest eigenvalues of the class covariance. The better of the two is used.

The bound is the sum of the dummy's price, the constants and the K cheapest rows: a Lagrangian bound
of the k-median kind (Cornuejols, Fisher and Nemhauser 1977), with entropy and statistics. Smoothing
the choice of the K cheapest rows lowers the bound a little and makes it differentiable.
"""

import copy
import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.ot.blocks import row_blocks
from otcondense.ot.cost_rows import rows_at_once
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.engine.statistics import TINY, DiagonalStatistics, class_weights

NEGLIGIBLE = 1e-9
"""Features whose deviation is below this share of the largest are dropped: their term is >= 0."""

MISSED = 0.05
"""Limit on the share of the class's variance that no subset can reach.

Above it, that variance alone bounds the full statistics better than the rows do.
"""

MISSED_ROUNDING = 1e-9
"""Relative margin for rounding of that variance."""

ROUNDING = 1e-15
"""Margin for rounding in the distance of q from the end of its domain, as a share of its length.

It is larger than the rounding error, so that the bound is never above the exact one.
"""

CERTIFIED_ROUNDING = 4
"""Margin of a certified value, in units in the last place of each term of its sums."""

OTHER_TERMS = 64
"""Number of terms added to the length of the sums in the margin of a certified value."""

SAMPLED_COLUMNS = 2048
"""Columns from which the first level of a row of a large class is guessed, evenly spaced."""

LEVEL_VALUES = 1 << 18
"""Entries of a block of rows whose levels are found at a time: 1 MB in float32."""

LARGE_STEPS = 10
"""Steps of the levels of a large class, all in float32."""

LEVEL_STEP = 20
"""Largest step of a level, in units of epsilon; limits the quotient of nearly vanishing masses."""

LEVEL_TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-11}
"""Relative error of the mass of a row at which its level is not changed."""

SMALLEST_MASS = 1e-30
"""Replaces masses of 0 in quotients and logarithms; float32 holds it."""

ROUNDED_BITS = 12
"""Bits of the numbers with which the ascent works.

Features in another unit, or with a large common shift, then give the very same numbers. Fewer bits
lower the bound: 12 cost nothing, 10 cost 1e-4 of it (classes of 30 to 400 images).
"""

DOUBLE_BITS = 53
"""Bits of a float64."""

SMALLEST_AXIS = 1e-10
"""Principal axes with a variance below this share of the largest are 0 up to rounding."""


@dataclass(frozen=True)
class DualPoint:
    """Multipliers of the column masses (g), the means (p) and the second moments (q < 1 - 1/K)."""

    g: Float[Tensor, " n"]
    p: Float[Tensor, " d"]
    q: Float[Tensor, " d"]

    def times(self, unit: float) -> "DualPoint":
        """Return the point in a unit of cost that is `unit` times smaller."""
        return DualPoint(self.g * unit, self.p * math.sqrt(unit), self.q)


def level_rows(
    x: Float[Tensor, "m n"], b: Float[Tensor, " n"], share: float, steps: int
) -> tuple[Float[Tensor, " m"], Float[Tensor, "m n"], Float[Tensor, " m"]]:
    """Shift each row of x until sum_j b_j exp(min(x, 0)) = share.

    A step solves for the columns below the cap as if none of them would reach it. It therefore
    approaches the solution from below.

    Args:
        x: overwritten.
        b: capacities of the columns.
        share: mass of a row.
        steps: number of steps.

    Returns: the shifts, and at the shifted x the values exp(min(x, 0)) and
        sum_j b_j (exp(min(x, 0)) + max(x, 0)).
    """
    shift = x.new_zeros(len(x))
    tolerance = share * LEVEL_TOLERANCE[x.dtype]
    for _ in range(steps):
        mass = x.clamp(max=0).exp_() @ b
        capped = (x >= 0).to(x.dtype) @ b
        excess = x.clamp(min=0) @ b

        wanted = (share - capped).clamp(min=SMALLEST_MASS)
        below_cap = (mass - capped).clamp(min=SMALLEST_MASS)
        rise = torch.log(wanted / below_cap).clamp(-LEVEL_STEP, LEVEL_STEP)
        fall = -1 - excess / capped.clamp(min=SMALLEST_MASS)
        step = torch.where(capped > share + tolerance, fall, rise)
        # If the capped columns take all the mass of a row, a whole interval of levels is optimal.
        step = torch.where((mass - share).abs() <= tolerance, 0, step)
        if not bool(step.any()):
            break  # further steps change nothing

        shift += step
        x += step[:, None]

    total = x.clamp(min=0) @ b
    t = x.clamp_(max=0).exp_()
    return shift, t, total + t @ b


def level_block(columns: int) -> int:
    """Return the number of rows of a large class whose levels are found at a time."""
    return max(1, LEVEL_VALUES // columns)


@dataclass
class Relaxation:
    """The bound of one problem.

    It keeps the level mu of each row from one call to the next. A wrong level only costs time.
    """

    problem: SubsetProblem
    workers: int = 1
    features: Float[Tensor, "n d"] = field(init=False)
    """Features in which the statistics are bounded; no column if alpha is 0."""
    std: Float[Tensor, " d"] = field(init=False)
    constant: float = field(init=False, default=0.0)
    fixed: Float[Tensor, " n"] = field(init=False)
    """Cost of each row that does not depend on the dual point."""
    mu: Float[Tensor, " n"] | None = field(init=False, default=None)
    margin: float = field(init=False, default=0.0)
    """Bound on the rounding error of the last certified value."""
    unit: float = field(init=False, default=1.0)
    """Unit of cost of `features`, `std`, `constant` and `fixed`; the costs keep their own."""

    def __post_init__(self) -> None:
        problem = self.problem
        size = problem.budget
        self.fixed = problem.b.new_zeros(problem.size)
        if problem.beta > 0 and problem.cross_entropy is not None:
            self.fixed += problem.beta / size * problem.cross_entropy

        rows = self._statistics_rows()
        std = DiagonalStatistics.of(rows, problem.weights).std
        if size == 1:
            # The variance of a single image is 0, so that its term is known.
            self.fixed += problem.alpha * rows.square().sum(dim=1)
            self.constant = problem.alpha * float(std.square().sum())
            rows = rows[:, :0]
            std = std[:0]
        elif problem.statistics == "full":
            # K images span at most K - 1 directions: they miss the variance in all the others.
            missed = float(std.square().sort(descending=True).values[size - 1 :].sum())
            if missed > MISSED * float(std.square().sum()):
                self.constant = problem.alpha * missed * (1 - MISSED_ROUNDING)
                rows = rows[:, :0]
                std = std[:0]

        self.features = rows
        self.std = std
        if len(std):
            kept = std > NEGLIGIBLE * std.max()
            if not bool(kept.all()):
                self.features = rows[:, kept]
                self.std = std[kept]

    def _statistics_rows(self) -> Float[Tensor, "n d"]:
        """Return the features of the statistics term; principal axes for full covariances."""
        problem = self.problem
        if problem.alpha == 0 or problem.features is None:
            return problem.b.new_zeros(problem.size, 0)
        if problem.statistics == "full" and problem.features.shape[1]:
            return principal_axes(problem.features, problem.weights)
        return problem.features

    def rounded(self, unit: float) -> "Relaxation":
        """Return the same bound with the cost `unit` as 1 and its terms rounded.

        The certified value uses the exact terms.
        """
        length = math.sqrt(unit)
        other = copy.copy(self)
        other.unit = unit
        other.features = rounded(self.features / length)
        other.std = rounded(self.std / length)
        other.fixed = rounded(self.fixed / unit)
        other.constant = self.constant / unit
        return other

    def row_terms(self, point: DualPoint, rows: Int[Tensor, " m"] | slice) -> Float[Tensor, " m"]:
        """Return the costs of rows besides the transport."""
        if not len(self.std):
            return self.fixed[rows]
        x = self.features[rows]
        size = self.problem.budget
        moments = x @ point.p + size / (size - 1) * (x.square() @ point.q)
        return self.fixed[rows] + self.problem.alpha / size * moments

    def statistics_constant(self, point: DualPoint) -> float:
        """Return the part of the statistics' bound that does not depend on the rows."""
        size = self.problem.budget
        if not len(self.std):
            return self.constant
        room = 1 - size / (size - 1) * point.q - ROUNDING
        if bool((room <= 0).any()):
            return -math.inf  # outside the domain of the dual
        means = (point.p.square() / (4 * room)).sum()
        variances = (self.std.square() * point.q / (1 - point.q)).sum()
        return -self.problem.alpha * float(means + variances)

    def free_constant(self, point: DualPoint) -> float:
        """Return the bound without the rows: column masses, dummy row and statistics."""
        problem = self.problem
        value = float(problem.b @ point.g) + self.statistics_constant(point)
        if problem.kappa == 1:
            return value
        if problem.epsilon == 0:
            dummy = float(point.g[problem.b > 0].max())
        else:
            scores = point.g / problem.epsilon + (problem.b / problem.kappa).log()
            dummy = problem.epsilon * float(torch.logsumexp(scores, dim=0))
        return value - (problem.kappa - 1) * dummy

    def prices(self, point: DualPoint, steps: int = 10) -> Float[Tensor, " n"]:
        """Return the price of every row at a dual point in float64.

        Each price is a valid lower bound, however far its level is from the best one.
        """
        problem = self.problem
        epsilon = problem.epsilon
        share = 1 / problem.budget
        rank = max(1, math.ceil(problem.size * share / problem.kappa))
        price = torch.empty_like(point.g)
        cold = self.mu is None
        mu = torch.zeros_like(point.g) if self.mu is None else self.mu

        def work(rows: slice) -> None:
            reduced = problem.cost_matrix[rows] - point.g
            if problem.is_large and epsilon > 0:
                levels = None if cold else mu[rows]
                price[rows], mu[rows] = self._large_block(reduced, levels, share)
                return
            if epsilon == 0:
                price[rows] = _cheapest(reduced, problem.b, share)
                return
            if cold:
                mu[rows] = reduced.kthvalue(rank, dim=1).values
            x = (mu[rows, None] - reduced).div_(epsilon).sub_(1)
            shift, _, spent = level_rows(x, problem.b, share, steps)
            mu[rows] += epsilon * shift
            entropy = share * math.log(problem.kappa / share) - spent
            price[rows] = mu[rows] * share + epsilon * entropy

        def add_terms(rows: slice) -> None:
            price[rows] += self.row_terms(point, rows)

        at_once = rows_at_once(problem.cost_matrix)
        row_blocks(work, problem.size, workers=self.workers, rows=at_once)
        row_blocks(add_terms, problem.size, workers=self.workers)
        self.mu = mu
        return price

    def _large_block(
        self, reduced: Float[Tensor, "m n"], mu: Float[Tensor, " m"] | None, share: float
    ) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
        """Return the prices of some rows of a large class, and their levels.

        The levels are found in float32. The price at a level is computed in float64: it is a lower
        bound for any level, and an error of the level changes it by the square of that error.

        Args:
            reduced: costs less g.
            mu: first levels; None guesses them.
            share: mass of a row.
        """
        epsilon = self.problem.epsilon
        b = self.problem.b
        if mu is None:
            some = reduced[:, :: max(1, len(b) // SAMPLED_COLUMNS)]
            rank = max(1, math.ceil(some.shape[1] * share / self.problem.kappa))
            mu = some.kthvalue(rank, dim=1).values
        mu = mu.clone()
        price = torch.empty_like(mu)
        b32 = b.float()
        x = (mu[:, None] - reduced).div_(epsilon).sub_(1)
        for start in range(0, len(mu), level_block(len(b))):
            rows = slice(start, start + level_block(len(b)))
            shift, _, _ = level_rows(x[rows].float(), b32, share, LARGE_STEPS)
            mu[rows] += epsilon * shift
            exact = x[rows].add_(shift.double()[:, None])
            _, _, spent = level_rows(exact, b, share, 0)
            price[rows] = mu[rows] * share + epsilon * (
                share * math.log(self.problem.kappa / share) - spent
            )
        return price, mu

    def certify(self, point: DualPoint) -> tuple[float, Float[Tensor, " n"]]:
        """Return the bound at a dual point less a margin for rounding, and all prices."""
        problem = self.problem
        price = self.prices(point)
        forced = price[list(problem.include)]
        free_places = problem.budget - len(problem.include)
        choice = price[self.candidates()].sort().values[:free_places]
        value = self.free_constant(point) + float(forced.sum() + choice.sum())

        terms = problem.size + self.features.shape[1] + OTHER_TERMS
        self.margin = (
            CERTIFIED_ROUNDING
            * torch.finfo(torch.float64).eps
            * terms
            * problem.kappa
            * self._scale(point, value)
        )
        return value - self.margin, price

    def _scale(self, point: DualPoint, value: float) -> float:
        """Return a bound on the size of all intermediate results."""
        problem = self.problem
        largest = float(point.g.abs().max() + problem.cost_matrix.max())
        entropy = problem.epsilon * (1 + math.log(problem.size * problem.budget))
        scale = largest + entropy
        if self.mu is not None:
            scale += float(self.mu.abs().max())
        if len(self.std):
            longest = float(torch.linalg.vector_norm(self.features, dim=1).max())
            means = longest * float(torch.linalg.vector_norm(point.p))
            squares = 2 * longest**2 * float(point.q.abs().max())
            variance = float(self.std.square().sum())
            constant = abs(self.statistics_constant(point))
            scale += problem.alpha * (means + squares + variance) + constant
        return scale + (float(self.fixed.abs().max()) + abs(value))

    def candidates(self) -> Int[Tensor, " m"]:
        """Return the rows that are neither forced in nor out."""
        free = torch.ones(self.problem.size, dtype=torch.bool)
        free[[*self.problem.include, *self.problem.exclude]] = False
        return free.nonzero()[:, 0]


def rounded(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return values with `ROUNDED_BITS` bits each (Veltkamp's splitting)."""
    scaled = values * (2.0 ** (DOUBLE_BITS - ROUNDED_BITS) + 1)
    return scaled - (scaled - values)


def _cheapest(
    reduced: Float[Tensor, "m n"], b: Float[Tensor, " n"], share: float
) -> Float[Tensor, " m"]:
    """Return the price of rows without regularisation: fill the cheapest columns to capacity."""
    cost, order = reduced.sort(dim=1)
    filled = b[order].cumsum(dim=1)
    last = (filled < share).sum(dim=1, keepdim=True).clamp(max=len(b) - 1)
    level = cost.gather(1, last)
    return level[:, 0] * share + (reduced - level).clamp(max=0) @ b


def principal_axes(
    features: Float[Tensor, "n d"], weights: Float[Tensor, " n"] | None
) -> Float[Tensor, "n r"]:
    """Return the features in an orthonormal basis of their span.

    The basis is close to the principal axes of the class.
    """
    mass = class_weights(len(features), weights, features)
    scaled = features * mass.sqrt()[:, None]
    n, d = scaled.shape
    wide = d > n
    gram = scaled @ scaled.T if wide else scaled.T @ scaled
    values, vectors = torch.linalg.eigh(gram)

    kept = values > SMALLEST_AXIS * values[-1].clamp(min=TINY)
    basis = vectors[:, kept]
    if wide:
        basis = torch.linalg.qr(scaled.T @ (basis / values[kept].sqrt())).Q
    rotated: Float[Tensor, "n r"] = features @ basis
    return rotated
