"""The stages of one geometry-aware selection."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import islice
from typing import Literal

import numpy as np
from jaxtyping import Float

from otcondense.machine import peak_memory
from otcondense.selection.candidates import Candidates
from otcondense.selection.engine.cuts import CutSearch
from otcondense.selection.engine.exhaustive import ExhaustiveSearch
from otcondense.selection.engine.leave_one_out import objectives_without
from otcondense.selection.engine.lower_bound import subset_lower_bound
from otcondense.selection.engine.outcome import Outcome, describe
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.engine.search import Search, SearchLimits
from otcondense.selection.engine.start import k_medoids
from otcondense.selection.gap import gap
from otcondense.selection.geometry_aware_config import GeometryAwareConfig
from otcondense.selection.objective import Units, build_problem
from otcondense.selection.watch import Moment, Watcher
from otcondense.threads import one_thread

MOST_REBUILDS = 16
"""Largest default number of rebuilds."""

REBUILD_WORK = 16_000_000
"""Largest budget times images squared for which rebuilds are the default.

Above it, a rebuild takes seconds, and the gap is a few percent at most.
"""

LEAST_REBUILD_SOLVES = 3
"""Problems for each image of the budget that the rebuilds may solve, if the first search took less.

From k-medoids, a search solves two or three.
"""

FINER_EPSILON = 0.2
"""Epsilon of the first rebuild's start, as a share of the problem's.

From the subset that is best at a fifth of epsilon, the swaps often lead to a better one.
"""


class GeometryAwareFit:
    """One selection from one class: its inputs, its state, and its stages in the order of `run`.

    Attributes after `run`:
        search: the final subset, its history and its proof.
        greedy_indices: the subset before the first swap, in order of choice.
        outcome: results of the final subset.
        gain: increase of the objective without each of its images.
        proven: whether no single swap improves it, and its objective is certain enough to say so.
        lower_bound: lower bound over all subsets, nan if there is none.
        profile: seconds of each stage, and peak memory in bytes.
    """

    problem: SubsetProblem
    units: Units
    search: Search
    greedy_indices: list[int]
    outcome: Outcome
    gain: Float[np.ndarray, " k"]
    proven: bool
    lower_bound: float
    profile: dict[str, float]

    def __init__(
        self,
        config: GeometryAwareConfig,
        candidates: Candidates,
        *,
        warm_start: Sequence[int],
        watcher: Watcher,
    ) -> None:
        """Store the inputs.

        Args:
            config: validated parameters.
            candidates: the class.
            warm_start: a subset to swap from; if empty, `config.start` decides.
            watcher: called at every step.
        """
        self.config = config
        self.candidates = candidates
        self.warm_start = list(warm_start)
        self.watcher = watcher
        self.certified = config.objective == "regularized" and config.solver == "newton"
        self.workers = 1
        self.lower_bound = math.nan
        self.lower_bound_method: Literal["enumeration", "relaxation"] | None = None
        self.profile = {}

    def run(self) -> None:
        """Run all stages.

        Torch is kept to one thread; the threads of `config` work on fixed blocks of rows.
        """
        with one_thread() as threads:
            self.workers = self.config.threads or threads
            self._timed("cost_matrix_s", self._build_problem)
            self._timed("start_s", self._choose_start)
            self._timed("swaps_s", self._swap)
            self._timed("lower_bound_s", self._bound)
            self._timed("rebuilds_s", self._rebuild)
            self._timed("outcome_s", self._describe)
            self._timed("gain_s", self._leave_out_each)
        self.profile["peak_memory_bytes"] = peak_memory()

    def _timed(self, name: str, stage: Callable[[], None]) -> None:
        start = time.perf_counter()
        stage()
        self.profile[name] = time.perf_counter() - start

    def _build_problem(self) -> None:
        self.watcher(Moment("cost matrix"))
        self.problem, self.units = build_problem(self.config, self.candidates, self.workers)

    def _choose_start(self) -> None:
        config = self.config
        limits = SearchLimits(
            config.swap_tolerance * self.units.typical, config.max_passes, config.max_seconds
        )
        if self.certified:
            self.search = CutSearch(self.problem, limits, self.workers)
        else:
            self.search = ExhaustiveSearch(self.problem, limits)
        self.search.watcher = self.watcher

        if self.warm_start:
            self.search.place_at(self.warm_start)
        elif config.start == "k_medoids":
            self.search.place_at(k_medoids(self.problem, workers=self.workers))
        else:
            self.search.grow(list(self.problem.include))
        self.greedy_indices = list(self.search.subset)

    def _swap(self) -> None:
        self.search.stage = "swaps"
        self.search.swap()

    def _rebuild(self) -> None:
        """Search again from other starts, unless the bound says that nothing is left to gain."""
        config = self.config
        if config.rebuilds == 0 or not self.certified or self._is_close():
            return
        self.search.stage = "rebuilds"
        solves = None
        if config.rebuilds is None:
            least = LEAST_REBUILD_SOLVES * self.problem.budget
            solves = max(self.search.counts.exact_solves, least)
        self.search.explore(islice(self._other_starts(), self._most_rebuilds()), solves)
        self.search.tell()

    def _most_rebuilds(self) -> int:
        if self.config.rebuilds is not None:
            return self.config.rebuilds
        small = self.problem.budget * self.problem.size**2 <= REBUILD_WORK
        return MOST_REBUILDS if small else 0

    def _is_close(self) -> bool:
        """Return whether the objective is within the tolerance of the lower bound."""
        config = self.config.lower_bound
        return config is not None and gap(self.search.value, self.lower_bound) <= config.tolerance

    def _other_starts(self) -> Iterator[Callable[[int | None], list[int]]]:
        """Yield the starts of the rebuilds, the best first."""
        generator = np.random.default_rng(self.config.seed)
        others = self._unrelated_starts(generator)
        while True:
            yield self._start_of_smaller_epsilon
            refined = list(self.search.subset)
            while self.search.subset == refined:
                yield next(others)

    def _unrelated_starts(
        self, generator: np.random.Generator
    ) -> Iterator[Callable[[int | None], list[int]]]:
        """Yield trimmed k-medoids, unless the search began there, then random starts."""
        if self.config.start == "greedy" and not self.warm_start:
            yield lambda _: k_medoids(self.problem, workers=self.workers)
        while True:
            yield lambda _: self.search.with_half_replaced(generator)

    def _start_of_smaller_epsilon(self, solves: int | None) -> list[int]:
        """Return the subset to which the swaps lead at a smaller epsilon."""
        assert isinstance(self.search, CutSearch)
        finer = self.search.at_epsilon(self.problem.epsilon * FINER_EPSILON)
        finer.stop_after(solves)
        finer.swap()
        self.search.counts.add_work(finer.counts)
        return finer.subset

    def _describe(self) -> None:
        outcome = describe(self.search, self.problem)
        # A bound on all subsets is not above this one, whatever the rounding.
        self.lower_bound = min(self.lower_bound, outcome.objective)
        diagnostics = replace(
            outcome.diagnostics,
            median_cost=self.units.cost,
            max_cost_over_epsilon=self.units.largest / self.problem.epsilon,
            gap=_known(gap(outcome.objective, self.lower_bound)),
            lower_bound_method=self.lower_bound_method,
        )
        self.outcome = replace(outcome, diagnostics=diagnostics)
        self.proven = self.search.proven and self._is_certain()

    def _leave_out_each(self) -> None:
        potentials = self.outcome.potentials
        without = objectives_without(self.problem, self.search.subset, potentials, self.workers)
        self.gain = without.numpy() - self.outcome.objective

    def _is_certain(self) -> bool:
        """Return whether the objective is known to within the tolerance of a swap."""
        found = self.outcome.diagnostics
        assert found.certified_error is not None
        assert found.rounding_error is not None
        return found.certified_error + found.rounding_error <= self.search.limits.tolerance

    def _bound(self) -> None:
        """Compute the lower bound.

        If the transport term is the cost of the plan, the bound is that of the unregularised
        problem, which needs POT: the plan of any epsilon costs at least the optimum of the linear
        program.
        """
        self.search.stage = "lower bound"
        self.search.tell()
        transport_cost = self.problem.objective == "transport"
        if self.config.lower_bound is None or (transport_cost and find_spec("ot") is None):
            return

        if self.problem.is_large and isinstance(self.search, CutSearch):
            self.search.drop_kernel()  # the bound needs as much memory
        bound = subset_lower_bound(
            replace(self.problem, epsilon=0.0) if transport_cost else self.problem,
            upper=self.search.value,
            config=self.config.lower_bound,
            subset=self.search.subset,
            workers=self.workers,
        )
        self.lower_bound = bound.value
        self.lower_bound_method = bound.method


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
