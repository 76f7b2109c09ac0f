"""Greedy choice, then swaps until none improves: what every search shares."""

import math
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.watch import Moment, Watcher, nobody

COUNTS = (
    "exact_solves",
    "newton_steps",
    "dual_points",
    "rows_visited",
    "swaps",
    "screened",
    "passes",
    "undecided",
    "rebuilds",
)


@dataclass(frozen=True)
class SearchLimits:
    """When to stop before the proof, and what counts as an improvement."""

    tolerance: float
    """A swap is an improvement when it lowers the objective by more than this (absolute)."""
    max_passes: int | None = None
    max_seconds: float | None = None


@dataclass(frozen=True)
class Winner:
    """The best candidate for a place, solved to convergence."""

    image: int
    value: float
    f: Float[Tensor, " k"]
    """Potentials of the subset, the winner's last."""


class Search(ABC):
    """State of a search: the current subset, its potentials and value, what has been tried.

    Attributes:
        value: upper bound on the objective of the current subset, within the certified error of its value.
        proven: whether every single swap has been ruled out for the current subset.
        stage: what the search is doing, as `watcher` is told.
    """

    def __init__(self, problem: SubsetProblem, limits: SearchLimits) -> None:
        self.problem, self.limits = problem, limits
        self.subset: list[int] = []
        self.value = math.inf
        self.history: list[dict[str, Any]] = []
        self.counts = dict.fromkeys(COUNTS, 0)
        self.proven = False
        self.stage = "greedy"
        self.watcher: Watcher = nobody
        self._f = problem.b.new_zeros(0)
        self._started = time.monotonic()

    def tell(self) -> None:
        """Tell the watcher where the search is."""
        objective = self.value if math.isfinite(self.value) else None
        self.watcher(Moment(self.stage, len(self.subset), self.counts["swaps"], objective))

    @abstractmethod
    def _contest(self, position: int | None, incumbent: float) -> Winner | None:
        """Return the best image for a position (None: a new one) if it beats the incumbent by more than the tolerance."""

    @abstractmethod
    def place_at(self, subset: list[int]) -> None:
        """Make `subset` the current one and solve it."""

    def grow(self, subset: list[int]) -> None:
        """Extend `subset` to the budget by the exact greedy choice: at each step the image of the lowest objective, all with mass 1/k."""
        self.place_at(subset)
        while len(self.subset) < self.problem.budget:
            self.tell()
            winner = self._contest(None, math.inf)
            assert winner is not None, "no candidate has a finite objective"
            self.subset.append(winner.image)
            self._f, self.value = winner.f, winner.value
            self._record("greedy", winner.image, None)

    def swap(self) -> None:
        """Swap until no swap improves, or a limit is met."""
        forced = set(self.problem.include)
        movable = [position for position, image in enumerate(self.subset) if image not in forced]
        settled = visits = 0
        while settled < len(movable):
            if self._out_of_budget(visits, len(movable)):
                return
            improved = self._improve(movable[visits % len(movable)])
            settled = 1 if improved else settled + 1
            visits += 1
            self.counts["passes"] = -(-visits // len(movable))
        # A candidate that did not converge does not count as ruled out.
        self.proven = self.counts["undecided"] == 0

    def explore(self, other_starts: list[list[int]], rounds: int, seed: int) -> None:
        """Leave the swap-optimal subset for better ones: swap from other starts, then from the subset with half of its images replaced at random.

        Each trial ends with a proof of its own; one that is not proven, or not better, is taken back.
        """
        generator = np.random.default_rng(seed)
        for trial in range(len(other_starts) + rounds):
            if not self.proven or self._out_of_budget(0, 1):
                return
            self._attempt(
                other_starts[trial]
                if trial < len(other_starts)
                else self._with_half_replaced(generator)
            )

    def _with_half_replaced(self, generator: np.random.Generator) -> list[int]:
        """Return the subset with half of its images that are not forced replaced by random ones."""
        forced = set(self.problem.include)
        movable = [position for position, image in enumerate(self.subset) if image not in forced]
        free = self._allowed().tolist()
        count = min(-(-len(movable) // 2), len(free))
        places = generator.choice(movable, size=count, replace=False).tolist()
        subset = list(self.subset)
        for place, image in zip(
            places, generator.choice(free, size=count, replace=False).tolist(), strict=True
        ):
            subset[place] = image
        return subset

    def _attempt(self, start: list[int]) -> None:
        saved = (self.subset, self._f, self.value, self.history)
        self.history, self.proven = [], False
        self.place_at(start)
        self.swap()
        if self.proven and self.value < saved[2] - self.limits.tolerance:
            removed = [image for image in saved[0] if image not in self.subset]
            added = [image for image in self.subset if image not in saved[0]]
            self.history = list(saved[3])
            for old, new in zip(removed, added, strict=True):
                self._record("rebuild", new, old)
            self.counts["rebuilds"] += 1
        else:
            self.subset, self._f, self.value, self.history = saved
            self.proven = self.counts["undecided"] == 0

    def _improve(self, position: int) -> bool:
        """Put the best image in one position; say whether that changed the subset."""
        self.counts["rows_visited"] += 1
        self.tell()
        winner = self._contest(position, self.value)
        if winner is None:
            return False
        removed, self.subset[position] = self.subset[position], winner.image
        self._f = torch.cat([winner.f[:position], winner.f[-1:], winner.f[position:-1]])
        self.value = winner.value
        self.counts["swaps"] += 1
        self._record("swap", winner.image, removed)
        return True

    def _out_of_budget(self, visits: int, movable: int) -> bool:
        limits = self.limits
        if limits.max_passes is not None and visits >= limits.max_passes * movable:
            return True
        return (
            limits.max_seconds is not None and time.monotonic() - self._started > limits.max_seconds
        )

    def _record(self, stage: str, added: int, removed: int | None) -> None:
        self.history.append(
            {
                "step": len(self.history),
                "stage": stage,
                "added": added,
                "removed": removed,
                "objective": self.value,
            }
        )

    def _around(self, position: int | None) -> tuple[Int[Tensor, " r"], Float[Tensor, " r"]]:
        """Images around a position and their potentials."""
        keep = [other for other in range(len(self.subset)) if other != position]
        return self._index([self.subset[other] for other in keep]), self._f[keep]

    def _index(self, images: list[int]) -> Int[Tensor, " m"]:
        return torch.as_tensor(images, dtype=torch.int64, device=self.problem.cost_matrix.device)

    def _allowed(self) -> Int[Tensor, " m"]:
        """Images that may be chosen and are not, in ascending order."""
        free = torch.ones(
            self.problem.size, dtype=torch.bool, device=self.problem.cost_matrix.device
        )
        free[self._index([*self.subset, *self.problem.exclude])] = False
        return free.nonzero()[:, 0]


def first_minimum(values: Float[Tensor, " m"], tolerance: float) -> int:
    """Return the first position whose value is within the tolerance of the minimum: ties go to the lower index."""
    return int((values <= values.min() + tolerance).nonzero()[0, 0])
