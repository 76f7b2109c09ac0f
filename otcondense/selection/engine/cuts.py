"""Search by dual cuts, with a proof of swap optimality.

For one place of the subset, all candidates are bounded from a dual point, and the most promising
one is solved. A candidate that beats the incumbent becomes the incumbent. Whether it wins or not,
its optimal potentials account for how the rest of the subset covers for the missing image, so they
give a new bound on every remaining candidate (a cut). The contest ends when every candidate is
ruled out. A subset for which no place has a better candidate is swap-optimal: that is the proof.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.ot import PartialOutput, PartialProblem, SemiDualNewton
from otcondense.selection.engine.block_bounds import BlockBounds
from otcondense.selection.engine.bounds import TransportBounds
from otcondense.selection.engine.contest import Contest, Place
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.engine.search import Search, SearchLimits, Winner, first_minimum

COST_ROUNDING = 1e-12
"""Margin for rounding of a value read off the costs, as a share of the largest cost."""


class CutSearch(Search):
    """Search under the regularised objective.

    Every candidate that was not solved is ruled out by a proven bound.
    """

    def __init__(self, problem: SubsetProblem, limits: SearchLimits, workers: int = 1) -> None:
        super().__init__(problem, limits)
        self._solver = SemiDualNewton()
        kind = BlockBounds if problem.is_large else TransportBounds
        self._bounds = kind(problem.cost_matrix, problem.b, problem.epsilon, problem.kappa, workers)

    def at_epsilon(self, epsilon: float) -> "CutSearch":
        """Return a search from the current subset at another epsilon.

        The kernel of this search is freed first: two would need more memory than the forecast.
        """
        self._bounds.drop_kernel()
        other = CutSearch(self.problem.with_epsilon(epsilon), self.limits, self._bounds.workers)
        other._bounds.start_from(self._bounds)
        other.stage = self.stage
        other.started = self.started
        # It works on another problem: the watcher is told the state that counts.
        other.watcher = lambda _: self.tell()
        other.place_at(self.subset)
        return other

    def drop_kernel(self) -> None:
        """Free the memory of the bounds; the next contest computes their kernel again."""
        self._bounds.drop_kernel()

    def place_at(self, subset: list[int]) -> None:
        self.subset = list(subset)
        if subset:
            output = self._solve(self._index(subset), None)
            self._f = output.f
            self.value = _upper(output, self.problem.penalty(subset))

    def _contest(self, position: int | None, incumbent: float) -> Winner | None:
        place = Place(*self._around(position))
        contest = Contest(self._allowed(), self.problem, place)
        self.counts.screened += len(contest.candidates)
        removed = None if position is None else self.subset[position]
        self._open(contest, place, incumbent, removed)

        winner: Winner | None = None
        while True:
            target = incumbent - self.limits.tolerance
            contest.drop(contest.bound >= target)
            if len(contest.candidates) == 0:
                return winner

            best = first_minimum(contest.bound, self.limits.tolerance)
            if not bool(contest.exact[best]):
                contest.make_exact()
                continue

            image = int(contest.candidates[best])
            trial = self._try(place, image, float(contest.penalty[best]), target)
            contest.drop(contest.candidates == image)
            if trial.value < target:
                incumbent = trial.value
                # The statistics are linearised again at the first winner only.
                self._narrow(contest, incumbent, image if winner is None else None)
                winner = trial

            # The cut: the potentials of the trial, whether or not it won.
            place = Place(place.rest, trial.f[:-1])
            if len(contest.candidates):
                contest.tighten(self._bound(place, contest.candidates))

    def _open(self, contest: Contest, place: Place, incumbent: float, removed: int | None) -> None:
        """Compute the first bounds.

        The transport term is bounded from the dual point of the current subset, the statistics term
        around the removed image, or else around the most promising candidate.
        """
        if len(contest.candidates) == 0:
            return
        contest.tighten(self._bound(place, contest.candidates))
        if removed is None:
            reference = int(contest.candidates[first_minimum(contest.bound, 0.0)])
        else:
            reference = removed
        self._narrow(contest, incumbent, reference)

    def _narrow(self, contest: Contest, incumbent: float, reference: int | None) -> None:
        """Drop the candidates that are ruled out, then bound the statistics of the others."""
        contest.drop(contest.bound >= incumbent - self.limits.tolerance)
        if reference is not None and len(contest.candidates):
            contest.relinearise(reference)

    def _try(self, place: Place, image: int, penalty: float, target: float) -> Winner:
        """Solve one candidate far enough to decide whether it beats the target."""
        index = torch.cat([place.rest, place.rest.new_tensor([image])])
        init = torch.cat([place.others, self._bounds.own[image : image + 1]])
        output = self._solve(index, init, target - penalty)

        least = float(output.value_lower_bound) + penalty
        if least >= target:
            return Winner(image, math.inf, output.f)  # it loses, whatever its value is
        value = _upper(output, penalty)
        if value >= target and least < target - self.limits.tolerance:
            self.counts.undecided += 1
        return Winner(image, value, output.f)

    def _solve(
        self,
        index: Int[Tensor, " k"],
        init: Float[Tensor, " k"] | None,
        stop_above: float = math.inf,
    ) -> PartialOutput:
        problem = self.problem
        rows = PartialProblem(
            problem.cost_matrix[index], problem.epsilon, problem.kappa, b=problem.b
        )
        output = self._solver(rows, init, stop_above=stop_above)
        self.counts.exact_solves += 1
        self.counts.newton_steps += output.iterations
        return output

    def _bound(self, place: Place, candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        """Bound the transport term of every candidate from one dual point."""
        self.counts.dual_points += 1
        problem = self.problem
        if place.size == 1 and problem.kappa == 1:
            # A single image without a dummy serves the whole class: the value itself is known.
            rounding = COST_ROUNDING * float(problem.cost_matrix.max())
            return problem.total_costs(candidates) - rounding
        bounds = self._bounds(place.others, self._prices(place), place.size, candidates)
        return bounds - problem.cost_rounding(place.rest, candidates)

    def _prices(self, place: Place) -> Float[Tensor, " n"]:
        """Return the prices that the other images and the dummy leave to the class images."""
        problem = self.problem
        reduced = (place.others[:, None] - problem.cost_matrix[place.rest]) / problem.epsilon
        scores = reduced - math.log(place.size * problem.kappa)
        if problem.kappa > 1:
            dummy_share = math.log((problem.kappa - 1) / problem.kappa)
            scores = torch.cat([scores, scores.new_full((1, problem.size), dummy_share)])
        return -problem.epsilon * torch.logsumexp(scores, dim=0)


def _upper(output: PartialOutput, penalty: float) -> float:
    """Return a proven upper bound on the objective."""
    return float(output.value_upper_bound) + penalty
