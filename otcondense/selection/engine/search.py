"""Greedy choice, then swaps until none improves: the part common to all searches."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.history import Step
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.watch import Moment, Watcher, nobody


@dataclass
class Counts:
    """Work done by a search."""

    exact_solves: int = 0
    """Transport problems solved."""
    newton_steps: int = 0
    dual_points: int = 0
    """Dual points at which all candidates were bounded."""
    rows_visited: int = 0
    """Places of the subset for which the candidates were examined."""
    swaps: int = 0
    screened: int = 0
    """Candidates examined."""
    passes: int = 0
    """Passes of the swap stage over the subset."""
    undecided: int = 0
    """Candidates that were neither better nor ruled out."""
    rebuilds: int = 0
    """Rebuilds that found a better subset."""
    rebuild_solves: int = 0
    """Transport problems solved in rebuilds, which `exact_solves` includes."""

    def add_work(self, other: "Counts") -> None:
        """Add the work of a search whose result is only a start of this one."""
        for name in ("exact_solves", "newton_steps", "dual_points", "rows_visited", "screened"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True)
class SearchLimits:
    """Limits before the proof, and the definition of an improvement."""

    tolerance: float
    """A swap is an improvement if it lowers the objective by more than this (absolute)."""
    max_passes: int | None = None
    max_seconds: float | None = None


@dataclass(frozen=True)
class Winner:
    """The best candidate for a place, solved to convergence."""

    image: int
    value: float
    f: Float[Tensor, " k"]
    """Potentials of the subset, the winner's last."""


@dataclass(frozen=True)
class _Subset:
    """A subset with its value and potentials."""

    images: list[int]
    value: float
    f: Float[Tensor, " k"]


class Search(ABC):
    """State of a search: the current subset, its potentials and value, and the work done.

    Attributes:
        value: upper bound on the objective of the current subset, within its certified error.
        proven: whether every single swap has been ruled out for the current subset.
        stage: current stage, as reported to `watcher`.
    """

    def __init__(self, problem: SubsetProblem, limits: SearchLimits) -> None:
        self.problem = problem
        self.limits = limits
        self.subset: list[int] = []
        self.value = math.inf
        self.history: list[Step] = []
        self.counts = Counts()
        self.proven = False
        self.stage = "greedy"
        self.watcher: Watcher = nobody
        self._f = problem.b.new_zeros(0)
        self.started = time.monotonic()
        self._most_solves: int | None = None
        self._to_beat = -math.inf

    def tell(self) -> None:
        """Report the state to the watcher."""
        objective = self.value if math.isfinite(self.value) else None
        self.watcher(Moment(self.stage, len(self.subset), self.counts.swaps, objective))

    @abstractmethod
    def _contest(self, position: int | None, incumbent: float) -> Winner | None:
        """Return the best image for a position, None if none improves on the incumbent.

        Args:
            position: position in the subset to refill; None adds one.
            incumbent: objective to improve on by more than the tolerance.
        """

    @abstractmethod
    def place_at(self, subset: list[int]) -> None:
        """Make `subset` the current one and solve it."""

    def grow(self, subset: list[int]) -> None:
        """Extend `subset` to the budget by the exact greedy choice.

        Each step adds the image with the lowest objective; all images have mass 1/k.
        """
        self.place_at(subset)
        while len(self.subset) < self.problem.budget:
            self.tell()
            winner = self._contest(None, math.inf)
            assert winner is not None, "no candidate has a finite objective"
            self.subset.append(winner.image)
            self._f = winner.f
            self.value = winner.value
            self._record("greedy", winner.image, None)

    def swap(self) -> None:
        """Swap until no swap improves, or a limit is reached."""
        movable = self._movable()
        settled = 0
        visits = 0
        while settled < len(movable):
            if self._limit_reached(visits, len(movable)):
                return
            improved = self._improve(movable[visits % len(movable)])
            settled = 1 if improved else settled + 1
            visits += 1
            self.counts.passes = -(-visits // len(movable))

        # A candidate that did not converge is not ruled out.
        self.proven = self.counts.undecided == 0

    def explore(
        self, starts: Iterable[Callable[[int | None], list[int]]], solves: int | None
    ) -> None:
        """Search for better subsets than the current swap-optimal one, from other starts.

        Each trial must end with its own proof; an unproven or worse one is discarded.

        Args:
            starts: each returns a start, given the number of problems that it may solve.
            solves: problems that all trials together may solve, None is no limit. A trial begins
                only if more are left than the last one took. One that runs out is discarded, unless
                it is better already: then it is finished.
        """
        first = self.counts.exact_solves
        last = 0
        for start in starts:
            before = self.counts.exact_solves
            left = None if solves is None else first + solves - before
            is_dear = left is not None and left <= last
            if not self.proven or is_dear or self._limit_reached(0, 1):
                break
            subset = start(left)
            self._most_solves = None if solves is None else first + solves
            if set(subset) != set(self.subset):
                self._attempt(subset)
            self._most_solves = None
            last = self.counts.exact_solves - before
        self.counts.rebuild_solves = self.counts.exact_solves - first

    def stop_after(self, solves: int | None) -> None:
        """Stop the swaps, without a proof, once this many more problems are solved."""
        self._most_solves = None if solves is None else self.counts.exact_solves + solves

    def _movable(self) -> list[int]:
        """Return the positions whose image is not forced."""
        forced = set(self.problem.include)
        return [position for position, image in enumerate(self.subset) if image not in forced]

    def with_half_replaced(self, generator: np.random.Generator) -> list[int]:
        """Return the subset with half of its movable images replaced by random ones."""
        movable = self._movable()
        free = self._allowed().tolist()
        count = min(-(-len(movable) // 2), len(free))

        places = generator.choice(movable, size=count, replace=False).tolist()
        newcomers = generator.choice(free, size=count, replace=False).tolist()
        subset = list(self.subset)
        for place, image in zip(places, newcomers, strict=True):
            subset[place] = image
        return subset

    def _attempt(self, start: list[int]) -> None:
        """Swap from `start`; keep the result if it is proven and better."""
        before = _Subset(self.subset, self.value, self._f)
        history = self.history
        self.history = []
        self.proven = False

        self.place_at(start)
        self._to_beat = before.value
        self.swap()
        better = self.proven and self.value < before.value - self.limits.tolerance
        self.history = history
        if better:
            self._record_rebuild(before.images)
            self.counts.rebuilds += 1
        else:
            self.subset = before.images
            self.value = before.value
            self._f = before.f
            self.proven = self.counts.undecided == 0

    def _record_rebuild(self, images_before: list[int]) -> None:
        removed = [image for image in images_before if image not in self.subset]
        added = [image for image in self.subset if image not in images_before]
        for old, new in zip(removed, added, strict=True):
            self._record("rebuild", new, old)

    def _improve(self, position: int) -> bool:
        """Put the best image in one position; return whether that changed the subset."""
        self.counts.rows_visited += 1
        self.tell()
        winner = self._contest(position, self.value)
        if winner is None:
            return False

        removed = self.subset[position]
        self.subset[position] = winner.image
        self._f = torch.cat([winner.f[:position], winner.f[-1:], winner.f[position:-1]])
        self.value = winner.value
        self.counts.swaps += 1
        self._record("swap", winner.image, removed)
        return True

    def _limit_reached(self, visits: int, movable: int) -> bool:
        passes = self.limits.max_passes
        seconds = self.limits.max_seconds
        if passes is not None and visits >= passes * movable:
            return True
        if self._has_no_solves_left() and self.value >= self._to_beat - self.limits.tolerance:
            return True
        return seconds is not None and time.monotonic() - self.started > seconds

    def _has_no_solves_left(self) -> bool:
        return self._most_solves is not None and self.counts.exact_solves >= self._most_solves

    def _record(self, stage: str, added: int, removed: int | None) -> None:
        self.history.append(Step(len(self.history), stage, added, removed, self.value))

    def _around(self, position: int | None) -> tuple[Int[Tensor, " r"], Float[Tensor, " r"]]:
        """Return the images around a position, and their potentials."""
        keep = [other for other in range(len(self.subset)) if other != position]
        return self._index([self.subset[other] for other in keep]), self._f[keep]

    def _index(self, images: list[int]) -> Int[Tensor, " m"]:
        return torch.as_tensor(images, dtype=torch.int64)

    def _allowed(self) -> Int[Tensor, " m"]:
        """Return the images that may be chosen and are not, in ascending order."""
        free = torch.ones(self.problem.size, dtype=torch.bool)
        free[self._index([*self.subset, *self.problem.exclude])] = False
        return free.nonzero()[:, 0]


def first_minimum(values: Float[Tensor, " m"], tolerance: float) -> int:
    """Return the first position within the tolerance of the minimum: ties go to the lower index."""
    ties = values <= values.min() + tolerance
    return int(ties.nonzero()[0, 0])
