"""The geometry-aware selector: local search with an optimality certificate.

Its objective is one-sided partial transport, statistics and confidence. Importing this module is
cheap: the solver is imported by `fit`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal, final

import numpy as np
from jaxtyping import Int
from numpy.typing import ArrayLike

from otcondense.errors import InputError
from otcondense.selection.base import Selector
from otcondense.selection.candidates import Candidates, validate_candidates
from otcondense.selection.diagnostics import GeometryAwareDiagnostics
from otcondense.selection.engine.lower_bound_config import LowerBoundConfig
from otcondense.selection.forecast import check_memory
from otcondense.selection.geometry_aware_config import GeometryAwareConfig
from otcondense.selection.objective_config import admissible_kappa
from otcondense.selection.selector_config import SelectorConfig, check_size

DEFAULT_LOWER_BOUND = LowerBoundConfig()


@final
class GeometryAwareSelector(Selector):
    """Chooses the subset with the least transport cost to its class.

    Two further terms of the objective make the statistics of the subset match those of the class,
    and prefer images with confident labels. All costs are squared distances of the features. The
    search starts from a greedy choice and swaps until no swap lowers the objective; a lower bound
    then says how far from the best possible subset the result can be.

    Parameters
    ----------
    budget : int, default 10
        Number of images to choose, >= 1.
    seed : int, default 0
        Seed of the rebuilds, >= 0.
    small_class : {"error", "take_all"}, default "error"
        "error" refuses a class with fewer images than the budget, "take_all" takes all of it.
    include : sequence of int, default ()
        Indices of images that must be chosen; they come first.
    exclude : sequence of int, default ()
        Indices of images that must not be chosen; they still count as part of the class.
    kappa : float or None, default None
        Capacity of each class image, >= 1, as a multiple of its share of the class. At 1 the whole
        class must be covered; above 1 a share 1 - 1/kappa is left out. A class of at most kappa *
        budget images is chosen with 1 (see `kappa_`). None is the preset's, else 1.05.
    alpha : float or None, default None
        Weight of the statistics term, >= 0, without unit. None is 1 if features are given, else 0.
    beta : float or None, default None
        Weight of the mean cross-entropy, >= 0, in cost units per nat; with scale "relative" in
        multiples of the median cost. None is 0.05 if the cross-entropy is given, else 0.
    epsilon : float or None, default None
        Entropic regularisation, > 0, in cost units. None uses `epsilon_relative`.
    epsilon_relative : float, default 0.05
        Entropic regularisation, > 0, as a share of the median cost.
    scale : {"relative", "absolute"} or None, default None
        Units of beta: "relative" to the median cost of the class, or "absolute" as in the paper
        (epsilon is then required). None is "absolute" with a preset, else "relative".
    objective : {"regularized", "transport"}, default "regularized"
        Transport term: "regularized" is the regularised value, which bounds can certify;
        "transport" is the cost of the converged plan, as in the paper, which needs an exhaustive
        search.
    statistics : {"diagonal", "full"} or None, default None
        Statistics term: "diagonal" compares standard deviations, as in the paper, "full" full
        covariances. None is the preset's, else "diagonal".
    solver : {"newton", "sinkhorn", "pot"}, default "newton"
        Solver of the transport term: "newton" has certified bounds; "sinkhorn" and "pot" need an
        exhaustive search.
    preset : {"paper", "inception", "googlenet", "resnet34", "resnet50"} or None, default None
        The paper's scale, epsilon, kappa, alpha, beta and statistics for an encoder: "inception",
        "googlenet", "resnet34" or "resnet50". "paper" is the published selection itself: the
        parameters of Inception with `reference="authors"`. Given parameters take precedence.
    start : {"greedy", "k_medoids"}, default "greedy"
        Start of the swaps: "greedy" is the exact greedy choice under the same objective,
        "k_medoids" trimmed k-medoids.
    reference : {"authors"} or None, default None
        "authors" runs the algorithm of the paper's published code, in its absolute units (epsilon
        is required).
    rebuilds : int or None, default None
        Number of further searches for a better subset, >= 0. None is as many as solve no more
        problems than the first search (or 3 per image of the budget, if that is more), if budget *
        images^2 is at most 16,000,000, else 0. No rebuild is started once the objective is within
        the tolerance of the lower bound.
    swap_tolerance : float, default 1e-08
        A swap must lower the objective by more than this share of the median cost, 0 < tolerance <=
        0.01.
    max_passes : int or None, default None
        Passes over the chosen images, >= 0, before the search stops without a proof. None is no
        limit.
    max_seconds : float or None, default None
        Seconds, >= 0, before the search stops without a proof; the result then depends on the
        machine. None is no limit.
    memory_limit_gb : float or None, default None
        Largest forecast of memory in GB (1e9 bytes), > 0. None is 90 % of the memory of the
        machine.
    lower_bound : LowerBoundConfig, mapping or None, default LowerBoundConfig()
        Limits on the work of the lower bound; None skips it.
    threads : int or None, default None
        Number of threads, >= 1; the result does not depend on it. None is torch's setting.

    Attributes
    ----------
    indices_ : array of int, [budget]
        Chosen images, in order of choice; an image that came in by a swap has the place of the one
        that went out.
    objective_ : float
        Value of the objective, in cost units.
    lower_bound_ : float
        Proven lower bound on the objective of all subsets of that size; nan if there is none.
    kappa_ : float
        The capacity used. It is 1 for a class of at most kappa * budget images: every chosen image
        could otherwise ship all its mass to itself, and all subsets would be equal.
    greedy_indices_ : array of int, [budget]
        The start of the swap stage, in order of choice.
    swap_optimal_ : bool
        Whether it is proven that no single swap lowers the objective (by more than
        `swap_tolerance`). Nothing is claimed if rounding or the solver leave the objective less
        certain than that, as with an image 1e10 away from all others.
    diagnostics_ : GeometryAwareDiagnostics
        Work of the search, and the gap.
    profile_ : dict of str to float
        Seconds of each stage and peak memory. Only these differ from run to run.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.selection import GeometryAwareSelector
    >>> features = np.random.default_rng(0).normal(size=(40, 4))  # one class: [images, features]
    >>> selector = GeometryAwareSelector(budget=3).fit(features)
    >>> selector.swap_optimal_
    True
    >>> selector
    GeometryAwareSelector(budget=3): 3 of 40 images, objective 2.944, gap 7.8 %

    References
    ----------
    The objective is that of [1]_; the search and its certificates are our own (docs/method.md).

    .. [1] arXiv:2606.05883.
    """

    VERSION: ClassVar[int] = 2
    Config: ClassVar[type[SelectorConfig]] = GeometryAwareConfig
    config: GeometryAwareConfig
    diagnostics_: GeometryAwareDiagnostics

    kappa_: float
    greedy_indices_: Int[np.ndarray, " budget"]
    swap_optimal_: bool
    profile_: dict[str, float]

    def __init__(
        self,
        budget: int = 10,
        *,
        seed: int = 0,
        small_class: Literal["error", "take_all"] = "error",
        include: Sequence[int] = (),
        exclude: Sequence[int] = (),
        kappa: float | None = None,
        alpha: float | None = None,
        beta: float | None = None,
        epsilon: float | None = None,
        epsilon_relative: float = 0.05,
        scale: Literal["relative", "absolute"] | None = None,
        objective: Literal["regularized", "transport"] = "regularized",
        statistics: Literal["diagonal", "full"] | None = None,
        solver: Literal["newton", "sinkhorn", "pot"] = "newton",
        preset: Literal["paper", "inception", "googlenet", "resnet34", "resnet50"] | None = None,
        start: Literal["greedy", "k_medoids"] = "greedy",
        reference: Literal["authors"] | None = None,
        rebuilds: int | None = None,
        swap_tolerance: float = 1e-8,
        max_passes: int | None = None,
        max_seconds: float | None = None,
        memory_limit_gb: float | None = None,
        lower_bound: LowerBoundConfig | Mapping[str, int | float] | None = DEFAULT_LOWER_BOUND,
        threads: int | None = None,
    ) -> None:
        super().__init__(
            budget, seed=seed, small_class=small_class, include=include, exclude=exclude
        )
        self.kappa = kappa
        self.alpha = alpha
        self.beta = beta
        self.epsilon = epsilon
        self.epsilon_relative = epsilon_relative
        self.scale = scale
        self.objective = objective
        self.statistics = statistics
        self.solver = solver
        self.preset = preset
        self.start = start
        self.reference = reference
        self.rebuilds = rebuilds
        self.swap_tolerance = swap_tolerance
        self.max_passes = max_passes
        self.max_seconds = max_seconds
        self.memory_limit_gb = memory_limit_gb
        self.lower_bound = lower_bound
        self.threads = threads
        self._check()

    def _fit(self, candidates: Candidates, budget: int) -> None:
        self._select(candidates, budget, warm_start=())

    def _in_units(self, candidates: Candidates) -> Candidates:
        """Return the class in its own units; the authors' code knows only absolute ones."""
        self._candidates = candidates
        return candidates if self.config.reference == "authors" else super()._in_units(candidates)

    def _restore_units(self, cost_unit: float) -> None:
        super()._restore_units(cost_unit)
        self.diagnostics_ = self.diagnostics_.times(cost_unit)

    def _select(self, candidates: Candidates, budget: int, *, warm_start: Sequence[int]) -> None:
        """Select from a class; an empty warm start lets the parameter `start` decide."""
        config = self.config.model_copy(update={"budget": budget})
        self.profile_ = {}
        self.kappa_ = config.kappa
        if config.reference == "authors":
            self._select_as_authors(config, candidates)
        elif self._takes_all(candidates, budget):
            self._take_all(candidates.size)
        else:
            self.kappa_ = admissible_kappa(config.kappa, candidates.size, budget)
            self._search(config.model_copy(update={"kappa": self.kappa_}), candidates, warm_start)

    def _takes_all(self, candidates: Candidates, budget: int) -> bool:
        """Return whether there is nothing to choose."""
        if self.config.small_class == "take_all":
            return budget == self._eligible(candidates)
        return budget == candidates.size

    def _search(
        self, config: GeometryAwareConfig, candidates: Candidates, warm_start: Sequence[int]
    ) -> None:
        check_size(config, candidates.size, config.budget)
        check_memory(
            candidates,
            config.memory_limit_gb,
            budget=config.budget,
            full_statistics=config.statistics == "full",
        )

        from otcondense.selection.engine.fit import GeometryAwareFit

        fit = GeometryAwareFit(config, candidates, warm_start=warm_start, watcher=self._tell)
        fit.run()
        self.indices_ = np.asarray(fit.search.subset, dtype=np.int64)
        self.greedy_indices_ = np.asarray(fit.greedy_indices, dtype=np.int64)
        self.swap_optimal_ = fit.proven
        self.history_ = fit.search.history
        self.objective_ = fit.outcome.objective
        self.terms_ = fit.outcome.terms
        self.received_mass_ = fit.outcome.received_mass
        self.gain_ = fit.gain
        self.assignment_ = fit.outcome.assignment
        self.diagnostics_ = fit.outcome.diagnostics
        if self.kappa_ != self.config.kappa:
            self.diagnostics_ = replace(self.diagnostics_, lowered_kappa=self.kappa_)
        self.lower_bound_ = fit.lower_bound
        self.profile_ = fit.profile

    def _take_all(self, size: int) -> None:
        """Take every image that may be chosen: nothing is left to optimise."""
        forced = [*self.config.include, *self.config.exclude]
        rest = np.setdiff1d(np.arange(size), np.array(forced, dtype=np.int64))
        self.indices_ = np.array([*self.config.include, *rest.tolist()], dtype=np.int64)
        self.greedy_indices_ = self.indices_
        self.swap_optimal_ = True
        self.diagnostics_ = GeometryAwareDiagnostics(take_all=True)

    def _select_as_authors(self, config: GeometryAwareConfig, candidates: Candidates) -> None:
        from otcondense.selection.authors import select_as_authors

        result = select_as_authors(config, candidates)
        self.indices_ = np.asarray(result.indices, dtype=np.int64)
        self.greedy_indices_ = np.asarray(result.greedy_indices, dtype=np.int64)
        self.objective_ = float(result.objective)
        self.history_ = result.history
        self.gain_ = result.gain
        self.swap_optimal_ = False
        self.diagnostics_ = GeometryAwareDiagnostics()

    def fit_from(
        self, features: ArrayLike | None, start: Sequence[int], **data: ArrayLike | None
    ) -> "GeometryAwareSelector":
        """Swap from a given subset, in place of a greedy choice.

        Parameters
        ----------
        features : array of numbers, [n, d], or None
            As for `fit`.
        start : sequence of int, [budget]
            Different indices of images, which the swaps begin with.
        **data : array or None
            The other arguments of `fit`.

        Returns
        -------
        GeometryAwareSelector
            The selector itself.

        Raises
        ------
        InputError
            If `start` is no subset of `budget` images, or as `fit`.
        """
        self._check()
        candidates = validate_candidates(features, **data)
        budget = self._budget_for(candidates)
        images = [int(each) for each in start]
        if len(set(images)) != budget or not set(images) <= set(range(candidates.size)):
            raise InputError(
                f"start must hold budget ({budget}) different indices below {candidates.size}, "
                f"found {images}"
            )
        self._choose(candidates, lambda scaled: self._select(scaled, budget, warm_start=images))
        return self

    def partial_fit(
        self, features: ArrayLike | None, **data: ArrayLike | None
    ) -> "GeometryAwareSelector":
        """Add candidates to the class of the last call and swap from the current subset.

        The first call is a `fit`. The indices of later candidates continue those of earlier ones. A
        cost matrix cannot grow: give the features.

        Parameters
        ----------
        features : array of numbers, [m, d]
            Features of the new candidates.
        **data : array or None
            The other arguments of `fit`, for the new candidates.

        Returns
        -------
        GeometryAwareSelector
            The selector itself.
        """
        if not hasattr(self, "indices_"):
            return self.fit(features, **data)
        self._check()
        merged = _concatenate(self._candidates, validate_candidates(features, **data))
        start = self.indices_.tolist()
        too_few = len(start) < min(self.config.budget, merged.size)
        if too_few or self.config.reference is not None:
            return self.fit(
                merged.features,
                cross_entropy=merged.cross_entropy,
                logits=merged.logits,
                difficulty=merged.difficulty,
            )
        self._choose(
            merged, lambda scaled: self._select(scaled, self.config.budget, warm_start=start)
        )
        return self


def _concatenate(old: Candidates, new: Candidates) -> Candidates:
    """Join two sets of candidates of one class.

    Raises: InputError if they do not hold the same arrays, or hold a cost or weights.
    """
    for candidates in (old, new):
        if candidates.cost is not None or candidates.weights is not None:
            raise InputError(
                "partial_fit needs features without cost or weights, found cost or weights; call "
                "fit on the whole class"
            )
    return Candidates(
        features=_joined("features", old.features, new.features),
        cross_entropy=_joined("cross_entropy", old.cross_entropy, new.cross_entropy),
        difficulty=_joined("difficulty", old.difficulty, new.difficulty),
        logits=_joined("logits", old.logits, new.logits),
    )


def _joined(name: str, old: np.ndarray | None, new: np.ndarray | None) -> np.ndarray | None:
    if old is None and new is None:
        return None
    if old is None or new is None or old.shape[1:] != new.shape[1:]:
        raise InputError(
            f"{name} must be given in every call of partial_fit, with the same columns"
        )
    return np.concatenate([old, new])
