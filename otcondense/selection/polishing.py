r"""Swaps in groups under the statistics of the whole class, one group in memory at a time.

The objective of groups, $\sum_g w_g L_g(S_g)$, asks each group to have the statistics of its own
images, which few chosen images cannot. Here transport and confidence stay those of the groups and
the statistics term is that of the whole, $\sum_g w_g (OT(S_g) + conf(S_g)) + \alpha\,
\mathrm{stat}(S)$ (docs/method.md): one group after another swaps its images while those of all
others stay, until no swap helps in any group.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
from jaxtyping import Float

from otcondense.selection.candidates import Candidates
from otcondense.selection.engine.cuts import CutSearch
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.engine.search import SearchLimits
from otcondense.selection.engine.whole_statistics import (
    Moments,
    Others,
    WholeStatistics,
    as_tensor,
)
from otcondense.selection.geometry_aware_config import GeometryAwareConfig
from otcondense.selection.objective import DEFAULT_ALPHA, Units, build_problem
from otcondense.selection.objective_config import admissible_kappa
from otcondense.selection.watch import Moment, Watcher, nobody
from otcondense.threads import one_thread

MOST_PASSES = 10
"""Visits of each group, on average, after which the swaps end; two or three are usual."""
SWAP_TOLERANCE = 1e-6
"""A swap must lower the objective by more than this share of the median cost of its group."""


@dataclass(frozen=True)
class GroupToPolish:
    """One group of a class, and the images that are chosen from it."""

    load: Callable[[], Candidates]
    """Reads the images of the group; it is called at every visit."""
    config: GeometryAwareConfig
    """The objective, and the places in the group that must or must not be chosen."""
    chosen: tuple[int, ...]
    """Places of the chosen images in the group, at least one."""


@dataclass(frozen=True)
class Polished:
    """The result of the swaps."""

    chosen: tuple[tuple[int, ...], ...]
    """Places of the chosen images in each group; a swapped image has the place of the old one."""
    swaps: int
    before: float
    """Statistics term of the whole class, times alpha, in units of the cost, before the swaps."""
    after: float


def polish_groups(groups: Sequence[GroupToPolish], watcher: Watcher = nobody) -> Polished:
    """Swap chosen images of the groups of a class; their numbers stay.

    The result depends on the groups only.

    Args:
        groups: of the class; together all of its images, each once.
        watcher: called at every step; an exception that it raises ends the swaps.
    """
    with one_thread() as threads:
        return _Polish(groups, watcher, threads).run()


class _Polish:
    """The state of the swaps."""

    def __init__(self, groups: Sequence[GroupToPolish], watcher: Watcher, threads: int) -> None:
        self._groups = groups
        self._watcher = watcher
        self._threads = threads
        self._chosen = [list(group.chosen) for group in groups]
        self._rows: list[Float[np.ndarray, "k d"]] = []
        self._open: list[int] = []
        self._swaps = 0
        self._whole = self._measure()

    def run(self) -> Polished:
        """Visit the groups in turn until no swap helps in any of them."""
        before = self._statistics()
        settled = 0
        for visit in range(MOST_PASSES * len(self._open)):
            improved = self._visit(self._open[visit % len(self._open)])
            settled = 1 if improved else settled + 1
            if settled == len(self._open):
                break
        chosen = tuple(tuple(each) for each in self._chosen)
        return Polished(chosen, self._swaps, before, self._statistics())

    def _measure(self) -> Moments:
        """Read each group once: the moments of the whole class, and the chosen images."""
        found = []
        for number, group in enumerate(self._groups):
            candidates = group.load()
            features = candidates.require("features", "polishing")
            found.append(Moments.of(features))
            self._rows.append(features[self._chosen[number]])
            if len(group.chosen) < candidates.size - len(group.config.exclude):
                self._open.append(number)
        return reduce(add, found)

    def _statistics(self) -> float:
        """Return the statistics term of all chosen images, times alpha."""
        alpha = self._groups[0].config.alpha
        distance = Moments.of(np.concatenate(self._rows)).distance(self._whole)
        return (DEFAULT_ALPHA if alpha is None else alpha) * distance

    def _visit(self, number: int) -> bool:
        """Swap images of one group; tell whether any swap helped."""
        candidates = self._groups[number].load()
        problem, units = self._problem(number, candidates)
        limits = SearchLimits(SWAP_TOLERANCE * units.typical)
        search = CutSearch(problem, limits, self._threads)
        search.stage = "polish"
        before = self._swaps
        search.watcher = lambda moment: self._tell(moment, before)
        search.place_at(self._chosen[number])
        search.swap()
        self._swaps = before + search.counts.swaps
        self._chosen[number] = list(search.subset)
        self._rows[number] = candidates.require("features", "polishing")[search.subset]
        return search.counts.swaps > 0

    def _tell(self, moment: Moment, before: int) -> None:
        chosen = sum(map(len, self._chosen))
        self._watcher(Moment("polish", chosen, before + moment.swaps))

    def _problem(self, number: int, candidates: Candidates) -> tuple[SubsetProblem, Units]:
        """Return the problem of one group under the statistics of the whole.

        The transport of the group counts by its share; the search divides all by the share.
        """
        group, budget = self._groups[number], len(self._chosen[number])
        kappa = admissible_kappa(group.config.kappa, candidates.size, budget)
        config = group.config.model_copy(update={"budget": budget, "kappa": kappa})
        scaled = replace(
            candidates,
            features=self._scaled(candidates.require("features", "polishing")),
            cost_unit=math.ldexp(1.0, 2 * self._exponent),
        )
        problem, units = build_problem(config, scaled, self._threads)
        share = candidates.size / self._whole.count
        problem = replace(problem, alpha=problem.alpha / share)
        if problem.alpha > 0:
            problem.__dict__["statistics_term"] = self._term(number, scaled)
        return problem, units

    def _term(self, number: int, scaled: Candidates) -> WholeStatistics:
        others = np.concatenate(
            [*self._rows[:number], *self._rows[number + 1 :], self._rows[number][:0]]
        )
        return WholeStatistics.around(
            as_tensor(scaled.require("features", "polishing")),
            as_tensor(np.ldexp(self._whole.deviations, -self._exponent)),
            Others.of(as_tensor(self._scaled(others))),
            self._threads,
        )

    def _scaled(self, features: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Return features relative to the mean of the whole, in a unit in which they are near 1."""
        scaled: Float[np.ndarray, "n d"]
        scaled = np.ldexp(features - self._whole.mean, -self._exponent)
        return scaled

    @property
    def _exponent(self) -> int:
        """Exponent of the unit of length as a power of two; that of costs is its square."""
        return math.frexp(float(self._whole.deviations.max()))[1]
