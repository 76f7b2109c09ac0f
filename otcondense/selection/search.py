"""Swap search to a proven end.

For one chosen image at a time, all candidates for its place are bounded from a dual point; the most promising one is solved exactly. If it improves the objective
it is taken; if not, its own optimal potentials, which know how the rest of the class covers for the missing image, give a new bound for all that are left (a cut).
An image whose candidates are all ruled out is settled for this subset; when every image is, no single swap improves the objective: that is the proof.
"""

import math
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from otcondense.ot import PartialOutput, PartialProblem, SemiDualNewton
from otcondense.selection.bounds import TransportBounds
from otcondense.selection.problem import SubsetProblem


@dataclass(frozen=True)
class SearchLimits:
    """When to stop before the proof."""

    tolerance: float
    """A swap counts as an improvement when it lowers the objective by more than this (absolute)."""
    max_passes: int | None = None
    max_seconds: float | None = None


@dataclass
class SwapSearch:
    """State of the search: the current subset, its potentials and value, and what has been counted."""

    problem: SubsetProblem
    limits: SearchLimits
    workers: int = 1
    subset: list[int] = field(init=False, default_factory=list)
    value: float = field(init=False, default=math.nan)
    """Proven upper bound on the objective of the subset, within the certified error of its value."""
    history: list[dict[str, Any]] = field(init=False, default_factory=list)
    proven: bool = field(init=False, default=False)
    counts: dict[str, int] = field(init=False, default_factory=lambda: dict.fromkeys(("exact_solves", "dual_points", "rows_visited", "swaps", "screened"), 0))

    def __post_init__(self) -> None:
        problem = self.problem
        self.solver = SemiDualNewton()
        self.bounds = TransportBounds(problem.cost_matrix, problem.b, problem.epsilon, problem.kappa, self.workers)
        self._started = time.monotonic()

    def run(self, start: list[int]) -> None:
        """Swap from `start` until no swap improves, or a limit is met."""
        self.subset = list(start)
        output = self._solve(self._index(self.subset), None)
        self._f = output.f
        self.value = self._upper(output, self.problem.penalty(self.subset))
        movable = [place for place, image in enumerate(self.subset) if image not in set(self.problem.include)]
        settled, visits = 0, 0
        while movable and settled < len(movable):
            if self._out_of_budget(visits, len(movable)):
                return
            improved = self._settle(movable[visits % len(movable)])
            settled = 1 if improved else settled + 1
            visits += 1
        self.proven = True

    def _out_of_budget(self, visits: int, movable: int) -> bool:
        limits = self.limits
        if limits.max_passes is not None and visits >= limits.max_passes * movable:
            return True
        return limits.max_seconds is not None and time.monotonic() - self._started > limits.max_seconds

    def _index(self, images: list[int]) -> Int[Tensor, " m"]:
        return torch.as_tensor(images, dtype=torch.int64, device=self.problem.cost_matrix.device)

    def _allowed(self) -> Int[Tensor, " m"]:
        free = torch.ones(self.problem.size, dtype=torch.bool, device=self.problem.cost_matrix.device)
        free[self._index([*self.subset, *self.problem.exclude])] = False
        return free.nonzero()[:, 0]

    def _solve(self, index: Int[Tensor, " k"], init: Float[Tensor, " k"] | None, stop_above: float = math.inf) -> PartialOutput:
        problem = self.problem
        self.counts["exact_solves"] += 1
        rows = PartialProblem(problem.cost_matrix[index], problem.epsilon, problem.kappa, b=problem.b)
        return self.solver(rows, init, stop_above=stop_above)

    def _upper(self, output: PartialOutput, penalty: float) -> float:
        return float(output.regularized_value) + float(output.certified_error) + penalty

    def _prices(self, rest: Int[Tensor, " r"], others: Float[Tensor, " r"]) -> Float[Tensor, " n"]:
        """What the other images and the dummy leave of each class image; infinite where nobody is left."""
        problem, size = self.problem, len(rest) + 1
        scores = (others[:, None] - problem.cost_matrix[rest]) / problem.epsilon - math.log(size * problem.kappa)
        if problem.kappa > 1:
            dummy = scores.new_full((1, problem.size), math.log((problem.kappa - 1) / problem.kappa))
            scores = torch.cat([scores, dummy])
        return -problem.epsilon * torch.logsumexp(scores, dim=0)

    def _penalties(self, rest: Int[Tensor, " r"], candidates: Int[Tensor, " m"], reference: int) -> Float[Tensor, " m"]:
        """Lower bound on the other terms: exact for the confidence, a linearisation for the statistics."""
        problem = self.problem
        value = problem.cost_matrix.new_zeros(len(candidates))
        if problem.statistics_term is not None:
            value += problem.alpha * problem.statistics_term.lower_bound(rest, reference)[candidates].clamp(min=0)
        if problem.beta > 0 and problem.cross_entropy is not None:
            value += problem.beta * (problem.cross_entropy[rest].sum() + problem.cross_entropy[candidates]) / (len(rest) + 1)
        return value

    def _exact_penalties(self, rest: Int[Tensor, " r"], candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        problem = self.problem
        value = problem.cost_matrix.new_zeros(len(candidates))
        if problem.statistics_term is not None:
            value += problem.alpha * problem.statistics_term.extended(rest, candidates)
        if problem.beta > 0 and problem.cross_entropy is not None:
            value += problem.beta * (problem.cross_entropy[rest].sum() + problem.cross_entropy[candidates]) / (len(rest) + 1)
        return value

    def _settle(self, place: int) -> bool:
        """Find the best candidate for one place, and prove that it is; say whether the subset changed."""
        self.counts["rows_visited"] += 1
        image = self.subset[place]
        keep = [position for position in range(len(self.subset)) if position != place]
        rest = self._index([self.subset[position] for position in keep])
        others = self._f[keep]
        candidates = self._allowed()
        self.counts["screened"] += len(candidates)
        if len(candidates) == 0:
            return False
        penalty = self._penalties(rest, candidates, image)
        transport = self._bound(rest, others, candidates)
        open_ = self._open(transport + penalty)
        candidates, transport = candidates[open_], transport[open_]
        if len(candidates) == 0:
            return False
        penalty = self._exact_penalties(rest, candidates)
        improved = False
        while True:
            open_ = self._open(transport + penalty)
            candidates, transport, penalty = candidates[open_], transport[open_], penalty[open_]
            if len(candidates) == 0:
                return improved
            best = _first_minimum(transport + penalty, self.limits.tolerance)
            chosen = int(candidates[best])
            others, taken = self._try(place, chosen, float(penalty[best]), (rest, others))
            improved |= taken
            candidates, transport, penalty = (_without(part, best) for part in (candidates, transport, penalty))
            if len(candidates):
                transport = torch.maximum(transport, self._bound(rest, others, candidates))

    def _open(self, bound: Float[Tensor, " m"]) -> Bool[Tensor, " m"]:
        return bound < self.value - self.limits.tolerance

    def _bound(self, rest: Int[Tensor, " r"], others: Float[Tensor, " r"], candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        self.counts["dual_points"] += 1
        return self.bounds(others, self._prices(rest, others), len(rest) + 1, candidates)

    def _try(
        self, place: int, chosen: int, penalty: float, dual: tuple[Int[Tensor, " r"], Float[Tensor, " r"]]
    ) -> tuple[Float[Tensor, " r"], bool]:
        """Solve one swap; take it if it improves; return the others' potentials at its optimum."""
        rest, others = dual
        index = torch.cat([rest, rest.new_tensor([chosen])])
        init = torch.cat([others, self.bounds.own[chosen : chosen + 1]])
        output = self._solve(index, init, self.value - self.limits.tolerance - penalty)
        taken = self._upper(output, penalty) < self.value - self.limits.tolerance
        if taken:
            self._take(place, chosen, output, penalty)
        else:
            assert float(output.value_lower_bound) + penalty >= self.value - 2 * self.limits.tolerance, "a candidate was neither taken nor ruled out"
        return output.f[:-1], taken

    def _take(self, place: int, chosen: int, output: PartialOutput, penalty: float) -> None:
        removed, self.subset[place] = self.subset[place], chosen
        self._f = torch.cat([output.f[:place], output.f[-1:], output.f[place:-1]])
        self.value = self._upper(output, penalty)
        self.counts["swaps"] += 1
        step = len(self.history)
        self.history.append({"step": step, "stage": "swap", "removed": removed, "added": chosen, "objective": self.value})


def _first_minimum(values: Float[Tensor, " m"], tolerance: float) -> int:
    """Return the first position whose value is within the tolerance of the minimum: ties go to the lower index."""
    return int((values <= values.min() + tolerance).nonzero()[0, 0])


def _without(values: Tensor, position: int) -> Tensor:
    return torch.cat([values[:position], values[position + 1 :]])
