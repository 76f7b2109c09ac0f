"""The best partial transport plan from chosen images to a class, kept while images are added."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from otcondense.selection.baselines.plan_problem import Cut, PlanProblem

PATHS_PER_CUT = 4
"""Paths between two dual bounds of a gain: a bound takes as long as a path or two."""


@dataclass(frozen=True)
class Extension:
    """A plan with one more image, or the attempt at one that was given up."""

    gain: float
    """Gain in total similarity; an upper bound of it if given up."""
    cut: Cut
    """Bounds for adding another image in place of this one."""
    plan: "GrowingPlan | None"
    """None if given up."""


class GrowingPlan:
    """The plan of largest total similarity for the images added so far.

    An image is added by successive shortest paths: its mass goes where it is worth most, either to
    a class image with room left, or to one that another chosen image gives up, which moves on in
    the same way. Each path is the best one, so the plan stays optimal. `worth[i]` is what a further
    unit of chosen image i would be worth: its dual value.
    """

    def __init__(self, problem: PlanProblem) -> None:
        self.problem = problem
        self.rows: list[int] = []
        self.total = 0.0
        self.room = problem.capacity.copy()
        self.plan = np.zeros((0, len(self.room)))
        self.worth = np.zeros(0)
        self._move = np.zeros((0, 0))
        """_move[i, b]: the most that a unit gains if i takes over a class image from b."""
        self._open = np.zeros(0)
        """Largest similarity of i to a class image with room; -inf if none has any."""
        self._next = np.zeros(0, dtype=np.int64)
        """The chosen image that i takes over from on its best path; -1 for room."""

    def prices(self) -> Float[np.ndarray, " n"]:
        """Return the dual value >= 0 of a unit of each class image's capacity."""
        if not self.rows:
            return np.zeros(len(self.room))
        paid = self.problem.similarity[self.rows] - self.worth[:, None]
        prices: Float[np.ndarray, " n"] = np.maximum(paid.max(axis=0), 0)
        return prices

    def cut(self) -> Cut:
        """Return the bounds of adding an image to this plan."""
        return Cut(self.problem, self.prices(), 0.0)

    def extended(self, image: int, enough: float) -> Extension:
        """Add an image.

        Args:
            image: the image to add.
            enough: gain below which the plan is of no interest, and may be given up.
        """
        grown = self._with_row(image)
        left = self.problem.supply
        gain = 0.0
        paths = 0
        while left > self.problem.mass_tolerance:
            grown._value_paths()
            if not np.isfinite(grown.worth[-1]):
                break
            if enough > -np.inf and paths % PATHS_PER_CUT == PATHS_PER_CUT - 1:
                cut = grown._cut_so_far(gain, left)
                bound = cut.bound(image)
                if bound < enough:
                    return Extension(bound, cut, None)
            mass, more = grown._ship_open(left)
            if mass == 0:
                mass, more = grown._ship(left)
            left -= mass
            gain += more
            paths += 1
        # Without any room the last values stay: they still solve the dual problem.
        if grown.room.any():
            grown._value_paths()
        grown.total = self.total + gain
        return Extension(gain, grown._cut_so_far(gain, left), grown)

    def _cut_so_far(self, gain: float, left: float) -> Cut:
        """Return the bounds for another image in place of the last, which has `left` to ship."""
        shipped = self.problem.supply - left
        return Cut(self.problem, self.prices(), gain - shipped * float(self.worth[-1]))

    def _ship_open(self, most: float) -> tuple[float, float]:
        """Ship from the last image to those with room, while no path through others is better.

        Returns: the mass and the gain; 0 if a path through others is better at once.
        """
        similarity = self.problem.similarity[self.rows[-1]]
        through = (self._move[-1] + self.worth).max()
        columns = np.flatnonzero((self.room > 0) & (similarity >= through))
        columns = columns[np.argsort(-similarity[columns], kind="stable")]
        before = np.concatenate([[0.0], np.cumsum(self.room[columns])[:-1]])
        mass = np.clip(most - before, 0, self.room[columns])
        columns, mass = columns[mass > 0], mass[mass > 0]
        if not len(columns):
            return 0.0, 0.0
        self.plan[-1, columns] += mass
        self.room[columns] -= mass
        self.room[self.room <= self.problem.mass_tolerance] = 0
        self._close(columns)
        self._update_moves(len(self.rows) - 1)
        return float(mass.sum()), float(mass @ similarity[columns])

    def _with_row(self, image: int) -> "GrowingPlan":
        """Return a copy with one more chosen image, which ships nothing yet."""
        grown = GrowingPlan(self.problem)
        grown.rows = [*self.rows, image]
        grown.room = self.room.copy()
        grown.plan = np.concatenate([self.plan, np.zeros((1, len(self.room)))])
        size = len(grown.rows)
        grown._move = np.full((size, size), -np.inf)
        grown._move[:-1, :-1] = self._move
        for holder in range(size - 1):
            held = np.flatnonzero(grown.plan[holder])
            grown._move[-1, holder] = grown._gains(size - 1, holder, held).max(initial=-np.inf)
        similarity = self.problem.similarity[image]
        best = similarity[self.room > 0].max(initial=-np.inf)
        grown._open = np.append(self._open, best)
        return grown

    def _gains(
        self, taker: int, holder: int, held: Int[np.ndarray, " h"]
    ) -> Float[np.ndarray, " h"]:
        """Return what a unit gains if one chosen image takes over class images of another."""
        similarity = self.problem.similarity
        taken, given = similarity[self.rows[taker], held], similarity[self.rows[holder], held]
        gains: Float[np.ndarray, " h"] = taken - given
        return gains

    def _value_paths(self) -> None:
        """Set `worth` and the best paths: longest paths, by rounds of relaxation."""
        self.worth = self._open.copy()
        self._next = np.full(len(self.rows), -1)
        tolerance = self.problem.unit_tolerance
        for _ in range(len(self.rows)):
            through = self._move + self.worth
            step = through.argmax(axis=1)
            worth = through[np.arange(len(step)), step]
            better = worth > self.worth + tolerance
            if not better.any():
                return
            self.worth = np.where(better, worth, self.worth)
            self._next = np.where(better, step, self._next)

    def _path(self) -> list[tuple[int, int]]:
        """Return the best path of the last image: chosen ones with the class image each takes."""
        path = []
        row = len(self.rows) - 1
        while self._next[row] >= 0:
            holder = int(self._next[row])
            held = np.flatnonzero(self.plan[holder])
            path.append((row, int(held[self._gains(row, holder, held).argmax()])))
            row = holder
        similarity = np.where(self.room > 0, self.problem.similarity[self.rows[row]], -np.inf)
        path.append((row, int(similarity.argmax())))
        return path

    def _ship(self, most: float) -> tuple[float, float]:
        """Ship from the last image along its best path what fits; return the mass and the gain."""
        path = self._path()
        holders = [row for row, _ in path[1:]]
        end = path[-1][1]
        given = [self.plan[row, column] for row, (_, column) in zip(holders, path, strict=False)]
        mass = float(min(most, self.room[end], *given))
        gain = 0.0
        for row, column in path:
            self.plan[row, column] += mass
            gain += self.problem.similarity[self.rows[row], column]
        for row, (_, column) in zip(holders, path, strict=False):
            self._reduce(self.plan[row], column, mass)
            gain -= self.problem.similarity[self.rows[row], column]
        self._reduce(self.room, end, mass)
        if self.room[end] == 0:
            self._close(np.array([end]))
        for row, _ in path:
            self._update_moves(row)
        return mass, mass * float(gain)

    def _reduce(self, masses: Float[np.ndarray, " n"], column: int, mass: float) -> None:
        masses[column] -= mass
        if masses[column] <= self.problem.mass_tolerance:
            masses[column] = 0

    def _close(self, columns: Int[np.ndarray, " c"]) -> None:
        """Find the best room again for those whose best may be in columns that are full now."""
        closed = self.problem.similarity[np.ix_(np.array(self.rows), columns)].max(axis=1)
        stale = np.flatnonzero(self._open <= closed)
        left = np.flatnonzero(self.room)
        rows = np.array(self.rows)[stale]
        open_similarity = self.problem.similarity[np.ix_(rows, left)]
        self._open[stale] = open_similarity.max(axis=1, initial=-np.inf)

    def _update_moves(self, holder: int) -> None:
        """Find again what the others gain from a chosen image whose class images have changed."""
        held = np.flatnonzero(self.plan[holder])
        similarity = self.problem.similarity
        taken = similarity[np.ix_(np.array(self.rows), held)] - similarity[self.rows[holder], held]
        self._move[:, holder] = taken.max(axis=1, initial=-np.inf)
        self._move[holder, holder] = -np.inf
