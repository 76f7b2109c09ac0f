r"""A concave function that stays below the best objective of all subsets, wherever it is evaluated.

Dualise the column masses with g: every row then has a price of its own, and a subset costs at least the sum of its rows' prices. A chosen row i ships
1 / K in all and no more than b_j to column j; with the second condition a row cannot serve itself alone, which is what makes the bound tight:

    r_i(g) = min <C_i - g, pi> + epsilon KL   over 0 <= pi <= b, sum pi = 1 / K
          >= mu / K + (epsilon / K) log(K kappa) - epsilon sum_j b_j (t_ij + max(x_ij, 0)),   x = (mu + g_j - C_ij) / epsilon - 1,  t = exp(min(x, 0)),

for every mu, with equality where sum_j b_j t_ij = 1 / K. The dummy row, always there, has the price -(kappa - 1) epsilon log sum_j (b_j / kappa) exp(g_j / epsilon).

The statistics become linear in the rows too. With v the variance of the subset in one feature, m its mean, c = K / (K - 1), for all p and q < 1 / c:

    m^2 + (sqrt(v) - sigma)^2 >= p m + q (v + c m^2) - p^2 / (4 (1 - c q)) - sigma^2 q / (1 - q),

and v + c m^2 is the sum of x^2 / (K - 1) over the subset. The Frechet distance with full covariances is at least this in the principal axes of the class,
and at least the sum of all but the K - 1 largest eigenvalues of the class covariance, whichever serves.

The bound is the dummy's price, the constants and the K cheapest rows: a Lagrangian bound of the k-median kind (Cornuejols, Fisher and Nemhauser 1977),
with entropy and statistics. Smoothing the choice of the K cheapest lowers the bound a little and makes it differentiable.
"""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.ot.blocks import row_blocks
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.engine.statistics import DiagonalStatistics

NEGLIGIBLE = 1e-9
"""Features whose deviation is below this share of the largest are dropped: their term is >= 0."""

MISSED = 0.05
"""Share of the class's variance beyond the reach of any subset, above which that alone bounds the full statistics better than rows do."""

ROUNDING = 1e-15
"""More than what rounding can add to the room that the statistics' dual has left, so that the bound is never above the exact one."""


@dataclass(frozen=True)
class DualPoint:
    """Multipliers of the column masses (g), of the means (p) and of the second moments (q < (K - 1) / K)."""

    g: Float[Tensor, " n"]
    p: Float[Tensor, " d"]
    q: Float[Tensor, " d"]


def level_rows(
    x: Float[Tensor, "m n"], b: Float[Tensor, " n"], share: float, steps: int
) -> tuple[Float[Tensor, " m"], Float[Tensor, "m n"], Float[Tensor, " m"]]:
    """Shift each row of x until sum_j b_j exp(min(x, 0)) = share.

    A step solves for the columns below the cap as if none would reach it, so that it approaches the solution from below.

    Returns: the shifts, exp(min(x, 0)), and sum_j b_j (exp(min(x, 0)) + max(x, 0)) at the shifted x, which is overwritten.
    """
    shift, tolerance = x.new_zeros(len(x)), share * (1e-5 if x.dtype == torch.float32 else 1e-11)
    for _ in range(steps):
        mass, capped, excess = (
            x.clamp(max=0).exp_() @ b,
            (x >= 0).to(x.dtype) @ b,
            x.clamp(min=0) @ b,
        )
        rise = torch.log(
            (share - capped).clamp(min=1e-30) / (mass - capped).clamp(min=1e-30)
        ).clamp(-20, 20)
        step = torch.where(capped > share + tolerance, -1 - excess / capped.clamp(min=1e-30), rise)
        # A row whose capped columns take all its mass is at its optimum over a whole interval.
        step = torch.where((mass - share).abs() <= tolerance, 0, step)
        shift += step
        x += step[:, None]
    total = x.clamp(min=0) @ b
    t = x.clamp_(max=0).exp_()
    return shift, t, total + t @ b


@dataclass
class Relaxation:
    """The bound of one problem; it remembers the level mu of each row, which only costs time when it is off."""

    problem: SubsetProblem
    workers: int = 1
    features: Float[Tensor, "n d"] = field(init=False)
    """Features in which the statistics are bounded; no column where alpha is 0."""
    std: Float[Tensor, " d"] = field(init=False)
    constant: float = field(init=False, default=0.0)
    fixed: Float[Tensor, " n"] = field(init=False)
    """What each row costs at every dual point."""
    mu: Float[Tensor, " n"] | None = field(init=False, default=None)
    margin: float = field(init=False, default=0.0)
    """Bound on the rounding error of the last certified value."""

    def __post_init__(self) -> None:
        problem, size = self.problem, self.problem.budget
        self.fixed = problem.b.new_zeros(problem.size)
        if problem.beta > 0 and problem.cross_entropy is not None:
            self.fixed += problem.beta / size * problem.cross_entropy
        rows = (
            problem.features
            if problem.alpha > 0 and problem.features is not None
            else problem.b.new_zeros(problem.size, 0)
        )
        if problem.statistics == "full" and rows.shape[1]:
            rows = principal_axes(rows, problem.weights)
        std = DiagonalStatistics.of(rows, problem.weights).std
        if size == 1:
            # The variance of a single image is 0, so its term is known.
            self.fixed += problem.alpha * rows.square().sum(dim=1)
            self.constant = problem.alpha * float(std.square().sum())
            rows, std = rows[:, :0], std[:0]
        elif problem.statistics == "full":
            # K images span K - 1 directions at most: the class's variance in all others is missed for certain.
            missed = float(std.square().sort(descending=True).values[size - 1 :].sum())
            if missed > MISSED * float(std.square().sum()):
                self.constant = problem.alpha * missed * (1 - 1e-9)
                rows, std = rows[:, :0], std[:0]
        kept = std > NEGLIGIBLE * std.max() if len(std) else std > 0
        self.features, self.std = (rows, std) if bool(kept.all()) else (rows[:, kept], std[kept])

    def row_terms(self, point: DualPoint, rows: Int[Tensor, " m"] | slice) -> Float[Tensor, " m"]:
        """Return what rows cost beside the transport."""
        if not len(self.std):
            return self.fixed[rows]
        x, size = self.features[rows], self.problem.budget
        return self.fixed[rows] + self.problem.alpha / size * (
            x @ point.p + size / (size - 1) * (x.square() @ point.q)
        )

    def statistics_constant(self, point: DualPoint) -> float:
        """Return the part of the statistics' bound that no row bears."""
        size = self.problem.budget
        if not len(self.std):
            return self.constant
        room = 1 - size / (size - 1) * point.q - ROUNDING
        if bool((room <= 0).any()):
            return -math.inf  # the least over the statistics is not bounded there
        return -self.problem.alpha * float(
            (point.p.square() / (4 * room)).sum()
            + (self.std.square() * point.q / (1 - point.q)).sum()
        )

    def free_constant(self, point: DualPoint) -> float:
        """Return all of the bound but the rows: column masses, dummy row and statistics."""
        problem, value = (
            self.problem,
            float(self.problem.b @ point.g) + self.statistics_constant(point),
        )
        if problem.kappa == 1:
            return value
        if problem.epsilon == 0:
            dummy = float(point.g[problem.b > 0].max())
        else:
            dummy = problem.epsilon * float(
                torch.logsumexp(
                    point.g / problem.epsilon + (problem.b / problem.kappa).log(), dim=0
                )
            )
        return value - (problem.kappa - 1) * dummy

    def prices(self, point: DualPoint, steps: int = 10) -> Float[Tensor, " n"]:
        """Return the price of every row at a dual point in float64; each is a valid lower bound however far its level is off."""
        problem, epsilon, share = self.problem, self.problem.epsilon, 1 / self.problem.budget
        price, cold = torch.empty_like(point.g), self.mu is None
        mu = torch.zeros_like(point.g) if self.mu is None else self.mu
        rank = max(1, math.ceil(problem.size * share / problem.kappa))

        def work(rows: slice) -> None:
            reduced = problem.cost_matrix[rows] - point.g
            if epsilon == 0:
                price[rows] = _cheapest(reduced, problem.b, share)
                return
            if cold:
                mu[rows] = reduced.kthvalue(rank, dim=1).values
            x = (mu[rows, None] - reduced).div_(epsilon).sub_(1)
            shift, _, spent = level_rows(x, problem.b, share, steps)
            mu[rows] += epsilon * shift
            price[rows] = mu[rows] * share + epsilon * (
                share * math.log(problem.kappa / share) - spent
            )

        def add_terms(rows: slice) -> None:
            price[rows] += self.row_terms(point, rows)

        for each in (work, add_terms):
            row_blocks(each, problem.size, workers=self.workers)
        self.mu = mu
        return price

    def certify(self, point: DualPoint) -> tuple[float, Float[Tensor, " n"]]:
        """Return the bound at a dual point, less what rounding may have added, and the prices of all rows."""
        problem, price = self.problem, self.prices(point)
        forced = price[list(problem.include)]
        choice = price[self.candidates()].sort().values[: problem.budget - len(problem.include)]
        value = self.free_constant(point) + float(forced.sum() + choice.sum())
        scale = float(point.g.abs().max() + problem.cost_matrix.max()) + problem.epsilon * (
            1 + math.log(problem.size * problem.budget)
        )
        if self.mu is not None:
            scale += float(self.mu.abs().max())
        if len(self.std):
            longest = float(torch.linalg.vector_norm(self.features, dim=1).max())
            linear = longest * float(torch.linalg.vector_norm(point.p)) + 2 * longest**2 * float(
                point.q.abs().max()
            )
            scale += problem.alpha * (linear + float(self.std.square().sum())) + abs(
                self.statistics_constant(point)
            )
        scale += float(self.fixed.abs().max()) + abs(value)
        self.margin = (
            4
            * torch.finfo(torch.float64).eps
            * (problem.size + self.features.shape[1] + 64)
            * problem.kappa
            * scale
        )
        return value - self.margin, price

    def candidates(self) -> Int[Tensor, " m"]:
        """Return the rows that may or may not be chosen."""
        free = torch.ones(self.problem.size, dtype=torch.bool)
        free[[*self.problem.include, *self.problem.exclude]] = False
        return free.nonzero()[:, 0].to(self.problem.b.device)


def _cheapest(
    reduced: Float[Tensor, "m n"], b: Float[Tensor, " n"], share: float
) -> Float[Tensor, " m"]:
    """Price of rows without regularisation: fill the cheapest columns to their capacity."""
    cost, order = reduced.sort(dim=1)
    filled = b[order].cumsum(dim=1)
    level = cost.gather(1, (filled < share).sum(dim=1, keepdim=True).clamp(max=len(b) - 1))
    return level[:, 0] * share + (reduced - level).clamp(max=0) @ b


def principal_axes(
    features: Float[Tensor, "n d"], weights: Float[Tensor, " n"] | None
) -> Float[Tensor, "n r"]:
    """Return the features in an orthonormal basis of their span that is close to the principal axes of the class."""
    mass = features.new_full((len(features),), 1 / len(features)) if weights is None else weights
    scaled = features * mass.sqrt()[:, None]
    n, d = scaled.shape
    values, vectors = torch.linalg.eigh(scaled.T @ scaled if d <= n else scaled @ scaled.T)
    kept = values > 1e-10 * values[-1].clamp(min=1e-300)
    basis = (
        vectors[:, kept]
        if d <= n
        else torch.linalg.qr(scaled.T @ (vectors[:, kept] / values[kept].sqrt())).Q
    )
    rotated: Float[Tensor, "n r"] = features @ basis
    return rotated
