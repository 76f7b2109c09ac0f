"""The interface of all selectors."""

import copy
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Literal, TypeVar

from numpy.typing import ArrayLike
from pydantic import ValidationError

from otcondense.counts import counted
from otcondense.errors import InputError
from otcondense.selection.candidates import Candidates, validate_candidates
from otcondense.selection.labels import check_one_class
from otcondense.selection.results import Results
from otcondense.selection.selector_config import (
    SelectorConfig,
    check_indices,
    check_size,
    increasing,
)
from otcondense.selection.units import in_class_units
from otcondense.selection.watch import Watcher, nobody
from otcondense.wrong_values import described, expected_value

AnySelector = TypeVar("AnySelector", bound="Selector")


class Selector(Results, ABC):
    """Chooses `budget` images of one class.

    Works like a scikit-learn estimator: construct, call `fit`, read the results. Subclasses are
    final. Each one lists its parameters in its constructor, describes and validates them in its
    frozen `Config`, and implements `_fit`, which sets at least `indices_`. For labelled data of
    several classes, see `ClassSelector`.

    Parameters
    ----------
    budget : int, default 10
        Number of images to choose, >= 1.
    seed : int, default 0
        Seed of every random draw, >= 0.
    small_class : {"error", "take_all"}, default "error"
        "error" refuses a class with fewer images than the budget, "take_all" takes all of it.
    include : sequence of int, default ()
        Indices of images that must be chosen; they come first.
    exclude : sequence of int, default ()
        Indices of images that must not be chosen; they still count as part of the class.

    Attributes
    ----------
    config : SelectorConfig
        The parameters as validated values, after construction, `set_params` and `fit`.
    indices_ : array of int, [budget]
        Chosen images, in order of choice.
    objective_ : float
        Value of the selector's own objective, nan if it has none.
    lower_bound_ : float
        Proven lower bound on the best objective over all subsets of that size, nan if there is
        none.
    history_ : list of Step
        The steps of the selection, with the objective after each one.
    gain_ : array of float, [budget]
        Increase of the objective if the chosen image is left out of the subset, and nothing takes
        its place; nan if there is no objective, or no rest. It can be negative.
    rank_ : array of int, [budget]
        Place of the chosen image by decreasing gain, from 0; of equal or unknown gains, the image
        chosen first comes first.
    represented_mass_ : array of float, [budget]
        Share of the class's mass that the chosen image represents: what the images assigned to it
        receive. Sums to 1, or less if images are left out.
    received_mass_ : array of float, [n]
        Share of the class's mass that each image receives from the subset; sums to 1.
    assignment_ : array of int, [n]
        The chosen image that represents each image, -1 if it is left out.
    terms_ : dict of str to float
        The parts of the objective.
    diagnostics_ : Diagnostics
        Further facts about the computation.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.selection import SELECTORS
    >>> features = np.random.default_rng(0).normal(size=(20, 3))
    >>> for name in ("random", "herding", "k_center"):
    ...     selector = SELECTORS[name](budget=4).fit(features)
    ...     print(name, len(selector.indices_))
    random 4
    herding 4
    k_center 4
    """

    VERSION: ClassVar[int] = 1
    """Raised when the same settings choose other images; part of the name of stored results."""
    Config: ClassVar[type[SelectorConfig]]
    """Validated form of the parameters; its defaults equal those of the constructor."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """Arguments of `fit` that the selector requires: features or difficulty.

    A selector without any works on the features or on the cost alone.
    """
    difficulty_kind: ClassVar[Literal["aum", "denoising"] | None] = None
    """Difficulty score of the paper; None for a selector that uses no difficulty."""

    config: SelectorConfig

    def __init__(
        self,
        budget: int = 10,
        *,
        seed: int = 0,
        small_class: Literal["error", "take_all"] = "error",
        include: Sequence[int] = (),
        exclude: Sequence[int] = (),
    ) -> None:
        """Store the common parameters; subclasses store theirs and then call `_check`."""
        self._watcher: Watcher = nobody
        self.budget = budget
        self.seed = seed
        self.small_class = small_class
        self.include = include
        self.exclude = exclude

    def _check(self, params: dict[str, object] | None = None) -> None:
        """Validate parameters into `config`; None validates the current ones.

        Raises: InputError with each invalid parameter and its value.
        """
        # A preset fills in the parameters that are not passed: defaults must not be.
        given = self._changed(params or self.get_params())
        try:
            self.config = self.Config.model_validate(given)
        except ValidationError as error:
            problems = "; ".join(_describe(detail) for detail in error.errors())
            raise InputError(
                f"{type(self).__name__} was given a setting it cannot use: {problems}"
            ) from error

    def watch(self: AnySelector, watcher: Watcher) -> AnySelector:
        """Call a function at every step of later fits. Watching does not change any result.

        Parameters
        ----------
        watcher : callable
            Called with a `Moment`. An exception that it raises ends the fit.

        Returns
        -------
        Selector
            The selector itself.
        """
        self._watcher = watcher
        return self

    def __getstate__(self) -> dict[str, object]:
        """Return the state for pickling, without the watcher, which belongs to this process."""
        return {**self.__dict__, "_watcher": nobody}

    def fit(
        self: AnySelector,
        features: ArrayLike | None,
        y: ArrayLike | None = None,
        *,
        cross_entropy: ArrayLike | None = None,
        difficulty: ArrayLike | None = None,
        logits: ArrayLike | None = None,
        cost: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> AnySelector:
        """Choose the subset of one class.

        Parameters
        ----------
        features : array of numbers, [n, d], or None
            Features of the class; None only with `cost`, if the selector needs no features.
        y : array, [n], or None
            Labels, all equal: several classes are refused, since a selector sees one
            (`ClassSelector` takes them).
        cross_entropy : array of float, [n], or None
            Cross-entropy of the true class in nats, >= 0.
        difficulty : array of float, [n], or None
            Difficulty score.
        logits : array of float, [n, c], or None
            Logits of a classifier.
        cost : array of float, [n, n], "cosine" or None
            Cost matrix, row = chosen image, column = class image; "cosine" takes the features at
            unit length, whose squared distances are twice the cosine distances.
        weights : array of float, [n], or None
            Weight of each image in the class, >= 0.

        Returns
        -------
        Selector
            The selector itself.

        Raises
        ------
        InputError
            A ValueError with the name of the parameter or argument, the expected and the found
            value.
        """
        self._clear_results()
        self._check()
        candidates = validate_candidates(
            features,
            cross_entropy=cross_entropy,
            difficulty=difficulty,
            logits=logits,
            cost=cost,
            weights=weights,
        )
        check_one_class(y, candidates.size)
        budget = self._budget_for(candidates)
        self._choose(candidates, lambda scaled: self._fit(scaled, budget))
        assert len(set(self.indices_.tolist())) == len(self.indices_) == budget
        return self

    def fit_path(
        self: AnySelector,
        features: ArrayLike | None,
        budgets: Iterable[int] = (10, 50, 100),
        **data: ArrayLike | None,
    ) -> dict[int, AnySelector]:
        """Choose nested subsets: each holds the one before it, in the same order.

        Parameters
        ----------
        features : array of numbers, [n, d], or None
            As for `fit`.
        budgets : iterable of int, default (10, 50, 100)
            Increasing numbers of images, >= 1.
        **data : array or None
            The other arguments of `fit`.

        Returns
        -------
        dict of int to Selector
            One fitted selector for each budget.

        Raises
        ------
        InputError
            Unless the budgets are increasing whole numbers, or as `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from otcondense.selection import HerdingSelector
        >>> features = np.random.default_rng(0).normal(size=(20, 3))
        >>> path = HerdingSelector().fit_path(features, budgets=(2, 5))
        >>> bool((path[5].indices_[:2] == path[2].indices_).all())
        True
        """
        path: dict[int, AnySelector] = {}
        include = tuple(self.include)
        for budget in increasing(budgets):
            nested = copy.copy(self).set_params(budget=budget, include=include)
            path[budget] = nested.fit(features, **data)
            include = tuple(nested.indices_.tolist())
        return path

    def _choose(self, candidates: Candidates, choose: Callable[[Candidates], None]) -> None:
        """Choose in units of the class, then return to the units of the caller.

        No result therefore depends on the scale of the features.
        """
        scaled = self._in_units(candidates)
        self._cost_unit = scaled.cost_unit
        self._reset()
        try:
            choose(scaled)
        except BaseException:
            self._clear_results()
            raise
        self._represent(scaled)
        self._rank()
        self._restore_units(scaled.cost_unit)

    def _in_units(self, candidates: Candidates) -> Candidates:
        """Return the class in the units in which it is computed."""
        return in_class_units(candidates)

    def _budget_for(self, candidates: Candidates) -> int:
        """Return the number of images to choose; a small class may have fewer than the budget.

        Raises: InputError for a class with too few images.
        """
        budget = self.config.budget
        check_indices(self.config, candidates.size)
        if self.config.small_class == "take_all":
            return min(budget, self._eligible(candidates))
        if budget > candidates.size:
            raise InputError(
                f"budget must be at most the number of images, found budget {budget} for "
                f"{counted(candidates.size, 'image')}; lower it or set small_class=take_all"
            )
        check_size(self.config, candidates.size, budget)
        return budget

    def _eligible(self, candidates: Candidates) -> int:
        """Return the number of images that may be chosen."""
        return candidates.size - len(self.config.exclude)

    @abstractmethod
    def _fit(self, candidates: Candidates, budget: int) -> None:
        """Set `indices_` and the other results that the selector computes.

        The class and all results that are costs are in units of the class.
        """


def _describe(detail: Any) -> str:
    """Return the name of a wrong parameter, what it must be, and the found value, as in Python."""
    name = ".".join(str(part) for part in detail["loc"])
    if detail["type"] in ("value_error", "missing", "extra_forbidden"):
        return f"{name} {described(detail)}".strip()
    return f"{name} must be {expected_value(detail)}, found {reprlib.repr(detail['input'])}"
