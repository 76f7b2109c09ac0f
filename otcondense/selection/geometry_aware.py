"""The geometry-aware selector: one-sided partial transport, statistics and confidence, searched to a proven end."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from otcondense.errors import InputError
from otcondense.selection.authors import AuthorsSettings, authors_select
from otcondense.selection.base import Candidates, Selector, SelectorConfig, validate_candidates
from otcondense.selection.engine.cuts import CutSearch
from otcondense.selection.engine.exhaustive import ExhaustiveSearch
from otcondense.selection.engine.lower_bound import LowerBoundConfig, subset_lower_bound
from otcondense.selection.engine.outcome import Outcome, describe
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.engine.search import Search, SearchLimits
from otcondense.selection.engine.start import k_medoids
from otcondense.selection.forecast import check_memory, peak_memory
from otcondense.selection.objective import (
    ObjectiveConfig,
    build_problem,
    check_indices,
    check_size,
    tensor,
)
from otcondense.selection.watch import Moment
from otcondense.threads import one_thread

MOST_REBUILDS, REBUILD_WORK = 16, 16_000_000


class GeometryAwareConfig(ObjectiveConfig):
    """Settings of the geometry-aware selector."""

    start: Literal["greedy", "k_medoids"] = "greedy"
    """Where the swaps start: the exact greedy choice under the same objective, or trimmed k-medoids."""
    reference: Literal["authors"] | None = None
    """Compute what the paper's published code computes instead, quirks included; always in its absolute units (epsilon is needed)."""
    rebuilds: int | None = Field(default=None, ge=0)
    """Further searches from the swap-optimal subset, kept where they find a better one: the first from k-medoids, the others with half of its images
    replaced at random (by `seed`). None is up to 16, and as many as 16,000,000 / (budget * images^2): small problems have more to gain, and a
    search costs less."""
    swap_tolerance: float = Field(default=1e-8, gt=0, le=1e-2)
    """A swap is an improvement when it lowers the objective by more than this share of the median cost."""
    max_passes: int | None = Field(default=None, ge=0)
    """Rounds over the chosen images before the search stops without a proof; None is no limit."""
    max_seconds: float | None = Field(default=None, ge=0)
    """Seconds before the search stops without a proof (the result then depends on the machine); None is no limit."""
    memory_limit_gb: float | None = Field(default=None, gt=0)
    """Refuse a class whose forecast passes this many GB (1e9 bytes), before anything is allocated; None is the machine's memory."""
    lower_bound: LowerBoundConfig | None = LowerBoundConfig()
    """Work spent on the lower bound over all subsets (`lower_bound_`); None leaves it out."""
    threads: int | None = Field(default=None, ge=1)
    """Threads; None is torch's setting. The result does not depend on it."""
    device: str = "cpu"
    """Torch device of the computation."""


@final
class GeometryAwareSelector(Selector):
    """Subset of least transport cost to its class, whose statistics match and whose labels are sure.

    Attributes beside those of every selector:
        greedy_indices_: the start of the swap stage, in order of choice.
        swap_optimal_: whether it is proven that no single swap lowers the objective (by more than `swap_tolerance`).
        profile_: seconds of each stage and peak memory; it differs from run to run, and nothing else does.

    Source: arXiv:2606.05883 for the objective; the search and its certificates are our own (docs/method.md).
    """

    Config: ClassVar[type[SelectorConfig]] = GeometryAwareConfig
    config: GeometryAwareConfig

    greedy_indices_: np.ndarray
    swap_optimal_: bool
    profile_: dict[str, float]

    def _eligible(self, candidates: Candidates) -> int:
        check_indices(self.config, candidates.size)
        return candidates.size - len(self.config.exclude)

    def _fit(self, candidates: Candidates, budget: int) -> None:
        self._fit_from(candidates, budget, start=[], include=self.config.include)

    def _fit_from(
        self, candidates: Candidates, budget: int, *, start: Sequence[int], include: Sequence[int]
    ) -> None:
        """Select from a warm start; `include` are forced images, which come first."""
        config = self.config.model_copy(update={"include": tuple(include), "budget": budget})
        self.profile_ = {}
        self._candidates = candidates
        if config.reference == "authors":
            self._fit_authors(candidates, budget)
        elif config.small_class == "take_all" and budget == self._eligible(candidates):
            self._take_all(candidates.size)
        else:
            check_size(config, candidates.size, budget)
            check_memory(
                candidates,
                config.memory_limit_gb,
                config.device,
                budget=budget,
                full_statistics=config.statistics == "full",
            )
            with one_thread() as threads:
                self._search(config, candidates, budget, (config.threads or threads, list(start)))

    def _search(
        self,
        config: GeometryAwareConfig,
        candidates: Candidates,
        budget: int,
        how: tuple[int, list[int]],
    ) -> None:
        workers, start = how
        clock = _Clock(self.profile_)
        self._watcher(Moment("cost matrix"))
        problem, units = build_problem(config, candidates, budget, config.device, workers)
        clock.lap("cost_matrix_s")
        limits = SearchLimits(
            config.swap_tolerance * units.cost, config.max_passes, config.max_seconds
        )
        certified = config.objective == "regularized" and config.solver == "newton"
        search: Search = (
            CutSearch(problem, limits, workers) if certified else ExhaustiveSearch(problem, limits)
        )
        search.watcher = self._watcher
        self._start(search, problem, start, workers)
        self.greedy_indices_ = np.asarray(search.subset, dtype=np.int64)
        clock.lap("start_s")
        search.stage = "swaps"
        search.swap()
        clock.lap("swaps_s")
        rebuilds = (
            min(MOST_REBUILDS, REBUILD_WORK // (budget * problem.size**2))
            if config.rebuilds is None
            else config.rebuilds
        )
        if rebuilds > 0 and certified:
            search.stage = "rebuilds"
            others = (
                [k_medoids(problem, workers=workers)]
                if config.start == "greedy" and not start
                else []
            )
            search.explore(others, rebuilds - len(others), config.seed)
        clock.lap("rebuilds_s")
        outcome = describe(search, problem)
        clock.lap("outcome_s")
        self._report(outcome, search)
        self.diagnostics_ |= {
            "median_cost": units.cost,
            "max_cost_over_epsilon": units.largest / problem.epsilon,
        }
        search.stage = "lower bound"
        search.tell()
        self._bound(problem, workers)
        clock.lap("lower_bound_s")
        self.profile_["peak_memory_bytes"] = peak_memory(config.device)

    def _bound(self, problem: SubsetProblem, workers: int) -> None:
        """Set the lower bound; where the transport term is the cost of the plan, that of the unregularised problem."""
        if self.config.lower_bound is None or (
            problem.objective == "transport" and find_spec("ot") is None
        ):
            return
        # The plan of any epsilon costs no less than the optimum of the linear program.
        relaxed = replace(problem, epsilon=0.0) if problem.objective == "transport" else problem
        bound = subset_lower_bound(
            relaxed,
            upper=self.objective_,
            config=self.config.lower_bound,
            subset=self.indices_.tolist(),
            workers=workers,
        )
        self.lower_bound_ = bound.value
        self.diagnostics_ |= {
            "gap": gap(self.objective_, bound.value),
            "lower_bound_method": bound.method,
        }

    def _start(
        self, search: Search, problem: SubsetProblem, start: list[int], workers: int
    ) -> None:
        if start:
            search.place_at(start)
        elif self.config.start == "k_medoids":
            search.place_at(k_medoids(problem, workers=workers))
        else:
            search.grow(list(problem.include))

    def _report(self, outcome: Outcome, search: Search) -> None:
        self.indices_ = np.asarray(search.subset, dtype=np.int64)
        self.objective_, self.terms_ = outcome.objective, outcome.terms
        self.represented_mass_, self.assignment_ = outcome.represented_mass, outcome.assignment
        self.swap_optimal_ = search.proven
        self.history_ = search.history
        self.diagnostics_ = outcome.diagnostics

    def _take_all(self, size: int) -> None:
        """Every image that may be chosen of a class that is no larger than the budget: nothing is left to optimise."""
        self.indices_ = self.greedy_indices_ = np.setdiff1d(np.arange(size), self.config.exclude)
        self.swap_optimal_ = True
        self.diagnostics_ = {"take_all": True}

    def _fit_authors(self, candidates: Candidates, budget: int) -> None:
        config = self.config
        if config.epsilon is None:
            raise InputError(
                "epsilon must be given with reference=authors, whose units are absolute, found None; give it or a preset"
            )
        if (
            config.include
            or config.exclude
            or candidates.weights is not None
            or candidates.cost is not None
        ):
            raise InputError(
                "reference=authors knows no include, exclude, weights or cost, found at least one of them"
            )
        settings = AuthorsSettings(
            budget=budget,
            epsilon=config.epsilon,
            kappa=config.kappa,
            alpha=config.alpha or 0.0,
            beta=config.beta or 0.0,
        )
        features = tensor(
            candidates.require("features", "reference=authors"), config.device
        ).float()
        entropy = (
            None
            if candidates.cross_entropy is None
            else tensor(candidates.cross_entropy, config.device).float()
        )
        result = authors_select(features, entropy, settings)
        self.indices_ = np.asarray(result.indices, dtype=np.int64)
        self.greedy_indices_ = np.asarray(result.greedy_indices, dtype=np.int64)
        self.objective_, self.history_, self.swap_optimal_ = (
            float(result.objective),
            result.history,
            False,
        )

    def fit_path(
        self, features: ArrayLike | None, budgets: Sequence[int] = (10, 50, 100), **data: Any
    ) -> dict[int, "GeometryAwareSelector"]:
        """Choose nested subsets: each budget's subset holds the one before it, and is swap-optimal in what it adds.

        Args:
            features: as for `fit`.
            budgets: increasing numbers of images.
            data: the other arrays of `fit`.

        Returns: one fitted selector for each budget.
        """
        if not budgets or list(budgets) != sorted(set(budgets)) or budgets[0] < 1:
            raise InputError(f"budgets must be increasing numbers >= 1, found {tuple(budgets)}")
        path: dict[int, GeometryAwareSelector] = {}
        include: tuple[int, ...] = tuple(self.config.include)
        for budget in budgets:
            settings = self.config.model_dump() | {"budget": budget, "include": include}
            path[budget] = type(self)(**settings).fit(features, **data)
            include = tuple(path[budget].indices_.tolist())
        return path

    def partial_fit(self, features: ArrayLike | None, **data: Any) -> "GeometryAwareSelector":
        """Add candidates to the class of the last call and swap on from the current subset; indices go on counting.

        The first call is a `fit`. A cost matrix cannot grow: give the features.
        """
        if not hasattr(self, "_candidates"):
            return self.fit(features, **data)
        new = validate_candidates(features, **data)
        merged = _concatenate(self._candidates, new)
        start = self.indices_.tolist()
        if len(start) < min(self.config.budget, merged.size) or self.config.reference is not None:
            return self.fit(
                merged.features,
                cross_entropy=merged.cross_entropy,
                logits=merged.logits,
                difficulty=merged.difficulty,
            )
        self.history_, self.terms_, self.diagnostics_ = [], {}, {}
        self._fit_from(merged, self.config.budget, start=start, include=self.config.include)
        return self


class _Clock:
    """Seconds of each stage, into a dictionary."""

    def __init__(self, laps: dict[str, float]) -> None:
        self._laps, self._last = laps, time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._laps[name], self._last = now - self._last, now


def _concatenate(old: Candidates, new: Candidates) -> Candidates:
    """Join two sets of candidates of one class."""
    if (
        old.cost is not None
        or new.cost is not None
        or old.weights is not None
        or new.weights is not None
    ):
        raise InputError(
            "partial_fit needs features without cost or weights, found cost or weights; call fit on the whole class"
        )
    parts: dict[str, np.ndarray | None] = {}
    for name in ("features", "cross_entropy", "difficulty", "logits"):
        first, second = getattr(old, name), getattr(new, name)
        if (first is None) != (second is None) or (
            first is not None and first.shape[1:] != second.shape[1:]
        ):
            raise InputError(
                f"{name} must be given in every call of partial_fit, with the same columns"
            )
        parts[name] = None if first is None else np.concatenate([first, second])
    return Candidates(**parts)


def gap(objective: float, lower_bound: float) -> float:
    """Return how far the objective may be above the best one, as a share of the objective."""
    return (
        (objective - lower_bound) / objective
        if objective > 0 and math.isfinite(lower_bound)
        else math.nan
    )
