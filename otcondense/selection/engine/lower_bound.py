"""A proven lower bound on the best objective over all subsets of a size.

It limits how far a subset can be from the best one. Tiny problems are enumerated. For the others a
concave dual function (see `relaxation`) is maximised by L-BFGS in rounds of decreasing smoothing. A
round works on the rows that can matter, in float32 unless they are few. After each round the point
is evaluated on every row in float64, with a margin for rounding; the best such value is returned.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.ot import PartialProblem, SemiDualNewton
from otcondense.ot.cost_rows import median_of
from otcondense.selection.engine.lower_bound_config import LowerBoundConfig
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.engine.relaxation import ROUNDED_BITS, DualPoint, Relaxation
from otcondense.selection.engine.smoothed_dual import SmoothedDual
from otcondense.selection.engine.start import k_medoids
from otcondense.threads import one_thread


@dataclass(frozen=True)
class _Round:
    """Parameters of one round of the ascent."""

    smoothing: float
    """Temperature of the choice of rows, as a share of the objective per row."""
    least_epsilon: float
    """Smallest epsilon, as a share of the scale of the objective.

    The certified value uses the problem's own epsilon.
    """
    effort: float
    """Share of all evaluations."""


ROUNDS = (
    _Round(smoothing=1e-2, least_epsilon=0.03, effort=0.125),
    _Round(smoothing=3e-3, least_epsilon=0.01, effort=0.375),
    _Round(smoothing=1e-3, least_epsilon=0.004, effort=0.375),
)
"""The rounds, from the smoothest problem to the sharpest; the first works on every row."""

SLACK = 10
"""Rows up to this many temperatures above the last chosen price stay in the next round.

The smoothed choice gives a row at this distance a share of e^-10.
"""

ROWS_PER_CHOSEN = 4
"""Fewest rows of a round for each image of the budget."""

LEAST_ROWS = 64
"""Fewest rows of a round in addition to those."""

START_GRID = 2.0**-12
"""Grid of the potentials from which the ascent starts, as a share of the median cost."""

ENUMERATION_VALUES = 1 << 21
"""Number of cost entries in a batch of enumerated subsets (16 MB)."""

PENALTY_ROUNDING = 1e-12
"""Relative margin for rounding of the penalties of an enumerated subset."""


@dataclass(frozen=True)
class LowerBound:
    """A value that no subset of the requested size is below."""

    value: float
    iterations: int
    """Number of subsets solved, or of evaluations of the dual function."""
    method: Literal["enumeration", "relaxation"]


def subset_lower_bound(
    problem: SubsetProblem,
    *,
    upper: float,
    config: LowerBoundConfig,
    subset: Sequence[int] | None = None,
    workers: int = 1,
) -> LowerBound:
    """Bound the best objective over all subsets that keep `include` and `exclude` of the problem.

    With epsilon 0 the bound is on the unregularised objective, and therefore also on the objective
    with transport term <C, plan>.

    Args:
        problem: the problem.
        upper: objective of a known subset: the scale of the work, and the value at which it stops.
        config: limits.
        subset: the known subset, whose potentials are the start; None starts from k-medoids.
        workers: threads; the result does not depend on their number.
    """
    with one_thread():
        free = problem.size - len(problem.include) - len(problem.exclude)
        count = math.comb(free, problem.budget - len(problem.include))
        if count <= config.enumerate_up_to and problem.epsilon > 0:
            found = LowerBound(_enumerate(problem), count, "enumeration")
        else:
            ascent = _Ascent(problem, upper, config, workers)
            found = ascent.run(subset or k_medoids(problem))
    return replace(found, value=max(0.0, min(found.value, upper)))


def _enumerate(problem: SubsetProblem) -> float:
    """Return the smallest lower bound over all subsets, solving each one."""
    barred = {*problem.include, *problem.exclude}
    free = [image for image in range(problem.size) if image not in barred]
    choices = combinations(free, problem.budget - len(problem.include))
    subsets = [[*problem.include, *rest] for rest in choices]
    rows = max(1, ENUMERATION_VALUES // (problem.size * problem.budget))

    best = math.inf
    for start in range(0, len(subsets), rows):
        part = subsets[start : start + rows]
        cost = problem.cost_matrix[torch.tensor(part)]
        output = SemiDualNewton()(PartialProblem(cost, problem.epsilon, problem.kappa, b=problem.b))
        penalties = [problem.penalty(indices) for indices in part]
        penalty = torch.tensor(penalties, dtype=torch.float64) * (1 - PENALTY_ROUNDING)
        best = min(best, float((output.value_lower_bound + penalty).min()))
    return best


def coarse(value: float) -> float:
    """Return a value rounded to `ROUNDED_BITS` bits."""
    mantissa, exponent = math.frexp(value)
    return math.ldexp(round(math.ldexp(mantissa, ROUNDED_BITS)), exponent - ROUNDED_BITS)


class _Ascent:
    """Rounds of L-BFGS on the smoothed dual, each followed by a certified evaluation."""

    def __init__(
        self, problem: SubsetProblem, upper: float, config: LowerBoundConfig, workers: int
    ) -> None:
        self.problem = problem
        self.upper = upper
        self.config = config
        self.relaxation = Relaxation(problem, workers)
        # The unit is 0 only if all costs are: any positive one is then right.
        self.unit = median_of(problem.cost_matrix) or 1.0
        self.rounded = self.relaxation.rounded(self.unit)
        # The objective is certain to fewer digits than the costs.
        self.upper_in_units = coarse(abs(upper) / self.unit) or 1.0
        self.scale = min(self.upper_in_units, 1.0)

    def run(self, subset: Sequence[int]) -> LowerBound:
        """Return the best certified value."""
        point = self._start(subset)
        best, price = self.relaxation.certify(point)
        point = self._on_grid(point)
        rows = self._cheapest(price, self.problem.size)
        evaluations = 0
        for current in ROUNDS:
            iterations = int(current.effort * self.config.max_iterations)
            close = self.upper - best <= self.config.tolerance * abs(self.upper)
            if iterations == 0 or close:
                break

            tau = current.smoothing * self.upper_in_units / self.problem.budget
            dual = SmoothedDual(self.rounded, rows, self._epsilon(current), tau)
            reached = dual.maximise(point, iterations)
            evaluations += dual.evaluations
            del dual  # the next round needs its memory

            value, price = self.relaxation.certify(reached.times(self.unit))
            cheapest = self._cheapest(price, self._within(price, SLACK * tau * self.unit))
            # If the value fell, rows that were left out have become cheap: they join the others.
            rows = cheapest if value > best else self._with_forced_first(rows, cheapest)
            best = max(best, value)
            point = reached
        return LowerBound(best, evaluations, "relaxation")

    def _epsilon(self, current: _Round) -> float:
        """Return the epsilon of a round, in units of the median cost."""
        own = coarse(self.problem.epsilon / self.unit)
        return max(own, current.least_epsilon * self.scale)

    def _on_grid(self, point: DualPoint) -> DualPoint:
        """Return a point in units of the median cost, its g rounded.

        The solver's tolerance leaves the other digits open. With them, the path of the ascent
        would depend on the unit of the features.
        """
        g = (point.g / (self.unit * START_GRID)).round_() * START_GRID
        return DualPoint(g, point.p, point.q)

    def _start(self, subset: Sequence[int]) -> DualPoint:
        """Return the potentials of the subset's plan, without a price on the statistics.

        The price that follows from the moments of the subset is unbounded if a feature hardly
        varies among the few chosen images, such as features after a rectifier. The ascent did not
        recover from it, and the bound was useless.
        """
        epsilon = max(self.problem.epsilon, ROUNDS[0].least_epsilon * self.scale * self.unit)
        output = replace(self.problem, epsilon=epsilon).transport(subset)
        nothing = torch.zeros_like(self.relaxation.std)
        return DualPoint(output.g, nothing, nothing)

    def _within(self, price: Float[Tensor, " n"], slack: float) -> int:
        """Return the number of rows that the smoothed choice could use, and some more."""
        budget = self.problem.budget
        ordered = price[self.relaxation.candidates()].sort().values
        last_chosen = ordered[max(0, budget - len(self.problem.include) - 1)]
        within = int((ordered <= last_chosen + slack).sum())
        return max(within, ROWS_PER_CHOSEN * budget + LEAST_ROWS)

    def _cheapest(self, price: Float[Tensor, " n"], count: int) -> Int[Tensor, " m"]:
        """Return the forced rows, then the cheapest of the others."""
        candidates = self.relaxation.candidates()
        order = candidates[price[candidates].sort(stable=True).indices]
        count = min(count, max(self.config.max_rows, self.problem.budget))
        return torch.cat([order.new_tensor(self.problem.include), order[:count].sort().values])

    def _with_forced_first(
        self, rows: Int[Tensor, " m"], more: Int[Tensor, " l"]
    ) -> Int[Tensor, " r"]:
        """Return the rows of both, the forced ones first, at most `max_rows` besides them."""
        forced = len(self.problem.include)
        is_free = torch.zeros(self.problem.size, dtype=torch.bool)
        is_free[more[forced:]] = True
        is_free[rows[forced:]] = True
        free = is_free.nonzero()[:, 0]
        if len(free) > max(self.config.max_rows, self.problem.budget):
            return more
        return torch.cat([more[:forced], free])
