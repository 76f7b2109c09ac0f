"""The stages of one geometry-aware selection."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec

from otcondense.selection.candidates import Candidates
from otcondense.selection.engine.cuts import CutSearch
from otcondense.selection.engine.exhaustive import ExhaustiveSearch
from otcondense.selection.engine.lower_bound import subset_lower_bound
from otcondense.selection.engine.outcome import Outcome, describe
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.engine.search import Search, SearchLimits
from otcondense.selection.engine.start import k_medoids
from otcondense.selection.forecast import peak_memory
from otcondense.selection.geometry_aware_config import GeometryAwareConfig
from otcondense.selection.objective import Units, build_problem
from otcondense.selection.watch import Moment, Watcher
from otcondense.threads import one_thread

MOST_REBUILDS = 16
"""Largest default number of rebuilds."""

REBUILD_WORK = 16_000_000
"""Default number of rebuilds times budget times images squared, about: it limits their time."""


class GeometryAwareFit:
    """One selection from one class: its inputs, its state, and its stages in the order of `run`.

    Attributes after `run`:
        search: the final subset, its history and its proof.
        greedy_indices: the subset before the first swap, in order of choice.
        outcome: results of the final subset.
        proven: whether no single swap improves it, and its objective is certain enough to say so.
        lower_bound: lower bound over all subsets, nan if there is none.
        profile: seconds of each stage, and peak memory in bytes.
    """

    problem: SubsetProblem
    units: Units
    search: Search
    greedy_indices: list[int]
    outcome: Outcome
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
            self._timed("rebuilds_s", self._rebuild)
            self._timed("outcome_s", self._describe)
            self._timed("lower_bound_s", self._bound)
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
        rebuilds = self._number_of_rebuilds()
        if rebuilds == 0 or not self.certified:
            return
        other_starts = []
        if self.config.start == "greedy" and not self.warm_start:
            other_starts.append(k_medoids(self.problem, workers=self.workers))
        self.search.stage = "rebuilds"
        self.search.explore(other_starts, rebuilds - len(other_starts), self.config.seed)

    def _number_of_rebuilds(self) -> int:
        if self.config.rebuilds is not None:
            return self.config.rebuilds
        affordable = REBUILD_WORK // (self.problem.budget * self.problem.size**2)
        return min(MOST_REBUILDS, affordable)

    def _describe(self) -> None:
        outcome = describe(self.search, self.problem)
        diagnostics = replace(
            outcome.diagnostics,
            median_cost=self.units.cost,
            max_cost_over_epsilon=self.units.largest / self.problem.epsilon,
        )
        self.outcome = replace(outcome, diagnostics=diagnostics)
        self.proven = self.search.proven and self._is_certain()

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

        objective = self.outcome.objective
        bound = subset_lower_bound(
            replace(self.problem, epsilon=0.0) if transport_cost else self.problem,
            upper=objective,
            config=self.config.lower_bound,
            subset=self.search.subset,
            workers=self.workers,
        )
        self.lower_bound = bound.value
        diagnostics = replace(
            self.outcome.diagnostics,
            gap=_known(gap(objective, bound.value)),
            lower_bound_method=bound.method,
        )
        self.outcome = replace(self.outcome, diagnostics=diagnostics)


def gap(objective: float, lower_bound: float) -> float:
    """Return the share of the objective by which it may exceed the best one; nan if unknown."""
    if objective == lower_bound == 0:
        return 0.0
    if objective > 0 and math.isfinite(lower_bound):
        return (objective - lower_bound) / objective
    return math.nan


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
