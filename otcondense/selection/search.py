"""Greedy choice and swap search to a proven end.

For one place of the subset, all candidates are bounded from a dual point; the most promising one is solved exactly. If it beats the incumbent it becomes the
incumbent; if not, its own optimal potentials, which know how the rest of the subset covers for the missing image, give a new bound for all that are left (a cut).
The contest ends when every candidate is ruled out. A subset none of whose places has a better candidate is swap-optimal: that is the proof.
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
    """When to stop before the proof, and what counts as an improvement."""

    tolerance: float
    """A swap is an improvement when it lowers the objective by more than this (absolute)."""
    max_passes: int | None = None
    max_seconds: float | None = None


@dataclass(frozen=True)
class Place:
    """One place of a subset: the images around it and their potentials at the best dual point known."""

    rest: Int[Tensor, " r"]
    others: Float[Tensor, " r"]
    reference: int
    """Image around which the statistics are linearised."""

    @property
    def size(self) -> int:
        """Images in the subset once the place is taken."""
        return len(self.rest) + 1


@dataclass(frozen=True)
class Winner:
    """The best candidate of a contest, solved to convergence; its potentials come last."""

    image: int
    output: PartialOutput
    value: float


@dataclass
class SwapSearch:
    """State of the search: the current subset, its potentials and value, and what has been counted."""

    problem: SubsetProblem
    limits: SearchLimits
    workers: int = 1
    subset: list[int] = field(init=False, default_factory=list)
    value: float = field(init=False, default=math.inf)
    """Proven upper bound on the objective of the subset, within the certified error of its value."""
    history: list[dict[str, Any]] = field(init=False, default_factory=list)
    proven: bool = field(init=False, default=False)
    counts: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        problem = self.problem
        self.counts = dict.fromkeys(
            ("exact_solves", "newton_steps", "dual_points", "rows_visited", "swaps", "screened", "passes", "undecided"), 0
        )
        self.solver = SemiDualNewton()
        self.bounds = TransportBounds(problem.cost_matrix, problem.b, problem.epsilon, problem.kappa, self.workers)
        self._f = problem.b.new_zeros(0)
        self._started = time.monotonic()

    def grow(self, subset: list[int]) -> None:
        """Extend `subset` to the budget by the exact greedy choice: at each step the candidate of the lowest objective, every image with mass 1/k."""
        self.place_at(subset)
        while len(self.subset) < self.problem.budget:
            place = Place(self._index(self.subset), self._f, self.subset[-1] if self.subset else 0)
            winner = self._contest(place, math.inf)
            assert winner is not None
            self.subset.append(winner.image)
            self._f, self.value = winner.output.f, winner.value
            self._record("greedy", winner.image, None)

    def place_at(self, subset: list[int]) -> None:
        """Make `subset` the current one and solve it."""
        self.subset = list(subset)
        if subset:
            output = self._solve(self._index(subset), None)
            self._f, self.value = output.f, self._upper(output, self.problem.penalty(subset))

    def swap(self) -> None:
        """Swap until no swap improves, or a limit is met."""
        movable = [place for place, image in enumerate(self.subset) if image not in set(self.problem.include)]
        settled, visits = 0, 0
        while settled < len(movable):
            if self._out_of_budget(visits, len(movable)):
                return
            improved = self._improve(movable[visits % len(movable)])
            settled = 1 if improved else settled + 1
            visits += 1
            self.counts["passes"] = -(-visits // len(movable))
        # A candidate that did not converge does not count as ruled out.
        self.proven = self.counts["undecided"] == 0

    def _out_of_budget(self, visits: int, movable: int) -> bool:
        limits = self.limits
        if limits.max_passes is not None and visits >= limits.max_passes * movable:
            return True
        return limits.max_seconds is not None and time.monotonic() - self._started > limits.max_seconds

    def _improve(self, position: int) -> bool:
        """Put the best candidate in one position, proven best among all; say whether that changed the subset."""
        self.counts["rows_visited"] += 1
        keep = [other for other in range(len(self.subset)) if other != position]
        place = Place(self._index([self.subset[other] for other in keep]), self._f[keep], self.subset[position])
        winner = self._contest(place, self.value)
        if winner is None:
            return False
        removed, self.subset[position] = self.subset[position], winner.image
        f = winner.output.f
        self._f = torch.cat([f[:position], f[-1:], f[position:-1]])
        self.value = winner.value
        self.counts["swaps"] += 1
        self._record("swap", winner.image, removed)
        return True

    def _record(self, stage: str, added: int, removed: int | None) -> None:
        self.history.append({"step": len(self.history), "stage": stage, "added": added, "removed": removed, "objective": self.value})

    def _contest(self, place: Place, incumbent: float) -> Winner | None:
        """Return the candidate of the lowest objective if it beats the incumbent by more than the tolerance; every other one is ruled out."""
        candidates = self._allowed()
        self.counts["screened"] += len(candidates)
        transport = self._bound(place, candidates)
        bound = transport + self._penalties(place, candidates)
        candidates, transport = self._keep(bound < incumbent - self.limits.tolerance, candidates, transport)
        penalty = self._exact_penalties(place, candidates)
        winner: Winner | None = None
        while True:
            alive = transport + penalty < incumbent - self.limits.tolerance
            candidates, transport, penalty = self._keep(alive, candidates, transport, penalty)
            if len(candidates) == 0:
                return winner
            best = _first_minimum(transport + penalty, self.limits.tolerance)
            image = int(candidates[best])
            trial = self._try(place, image, float(penalty[best]), incumbent - self.limits.tolerance)
            if trial.value < incumbent - self.limits.tolerance:
                winner, incumbent = trial, trial.value
            place = Place(place.rest, trial.output.f[:-1], place.reference)
            candidates, transport, penalty = self._keep(candidates != image, candidates, transport, penalty)
            if len(candidates):
                transport = torch.maximum(transport, self._bound(place, candidates))

    def _try(self, place: Place, image: int, penalty: float, target: float) -> Winner:
        """Solve one candidate far enough to know whether it beats the target."""
        index = torch.cat([place.rest, place.rest.new_tensor([image])])
        init = torch.cat([place.others, self.bounds.own[image : image + 1]])
        output = self._solve(index, init, target - penalty)
        trial = Winner(image, output, self._upper(output, penalty))
        ruled_out = float(output.value_lower_bound) + penalty >= target - self.limits.tolerance
        if trial.value >= target and not ruled_out:
            self.counts["undecided"] += 1
        return trial

    @staticmethod
    def _keep(mask: Bool[Tensor, " m"], *parts: Tensor) -> tuple[Tensor, ...]:
        return tuple(part[mask] for part in parts)

    def _index(self, images: list[int]) -> Int[Tensor, " m"]:
        return torch.as_tensor(images, dtype=torch.int64, device=self.problem.cost_matrix.device)

    def _allowed(self) -> Int[Tensor, " m"]:
        free = torch.ones(self.problem.size, dtype=torch.bool, device=self.problem.cost_matrix.device)
        free[self._index([*self.subset, *self.problem.exclude])] = False
        return free.nonzero()[:, 0]

    def _solve(self, index: Int[Tensor, " k"], init: Float[Tensor, " k"] | None, stop_above: float = math.inf) -> PartialOutput:
        problem = self.problem
        rows = PartialProblem(problem.cost_matrix[index], problem.epsilon, problem.kappa, b=problem.b)
        output = self.solver(rows, init, stop_above=stop_above)
        self.counts["exact_solves"] += 1
        self.counts["newton_steps"] += output.iterations
        return output

    def _upper(self, output: PartialOutput, penalty: float) -> float:
        return float(output.regularized_value) + float(output.certified_error) + penalty

    def _prices(self, place: Place) -> Float[Tensor, " n"]:
        """What the other images and the dummy leave of each class image."""
        problem = self.problem
        scores = (place.others[:, None] - problem.cost_matrix[place.rest]) / problem.epsilon - math.log(place.size * problem.kappa)
        if problem.kappa > 1:
            dummy = scores.new_full((1, problem.size), math.log((problem.kappa - 1) / problem.kappa))
            scores = torch.cat([scores, dummy])
        return -problem.epsilon * torch.logsumexp(scores, dim=0)

    def _bound(self, place: Place, candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        self.counts["dual_points"] += 1
        if place.size == 1 and self.problem.kappa == 1:
            # A single image without a dummy ships everything everywhere: the value itself.
            return self.problem.cost_matrix[candidates] @ self.problem.b - 1e-12 * float(self.problem.cost_matrix.max())
        return self.bounds(place.others, self._prices(place), place.size, candidates)

    def _penalties(self, place: Place, candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        """Lower bound on the other terms: exact for the confidence, a linearisation for the statistics."""
        problem = self.problem
        value = self._confidence(place, candidates)
        if problem.statistics_term is not None:
            value += problem.alpha * problem.statistics_term.lower_bound(place.rest, place.reference)[candidates].clamp(min=0)
        return value

    def _exact_penalties(self, place: Place, candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        problem = self.problem
        value = self._confidence(place, candidates)
        if problem.statistics_term is not None and len(candidates):
            value += problem.alpha * problem.statistics_term.extended(place.rest, candidates)
        return value

    def _confidence(self, place: Place, candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        problem = self.problem
        if problem.cross_entropy is None:
            return problem.b.new_zeros(len(candidates))
        return problem.beta * (problem.cross_entropy[place.rest].sum() + problem.cross_entropy[candidates]) / place.size


def _first_minimum(values: Float[Tensor, " m"], tolerance: float) -> int:
    """Return the first position whose value is within the tolerance of the minimum: ties go to the lower index."""
    return int((values <= values.min() + tolerance).nonzero()[0, 0])
