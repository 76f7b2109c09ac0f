"""Interval sampling along difficulty, the Select stage of D2C."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from jaxtyping import Int
from pydantic import Field

from otcondense.errors import InputError
from otcondense.selection.base import Selector
from otcondense.selection.candidates import Candidates
from otcondense.selection.diagnostics import Diagnostics
from otcondense.selection.selector_config import SelectorConfig, free_images, included_first

PAPER_INTERVALS = {10: 96, 50: 16, 100: 10}
"""Interval by budget. Source: the experiments of arXiv:2507.05914."""


class D2cConfig(SelectorConfig):
    """Parameters of interval sampling."""

    interval: int | None = Field(default=None, ge=1)
    """Step between ranks. None takes the paper's for budgets of 10, 50 and 100 (96, 16 and 10), and
    the widest that fits for other budgets."""
    variant: Literal["interval", "min", "max", "medium"] = "interval"
    """interval takes ranks 0, k, 2k, ... from the easiest; min, max and medium take the easiest,
    the hardest and those around the median."""
    hard: Literal["low", "high"] = "high"
    """Hard end of the score: high for denoising errors and losses, low for margins."""


@dataclass(frozen=True)
class D2cDiagnostics(Diagnostics):
    """Diagnostics of interval sampling; all None for the other variants."""

    interval: int | None = None
    """The interval used."""
    interval_wanted: int | None = None
    """The interval that was set."""
    clamped: bool | None = None
    """Whether the class was too small for that interval."""


@final
class D2cSelector(Selector):
    """Sorts the class from easy to hard and takes every k-th image.

    If a class is too small for the interval, the widest one that fits is used,
    (n − 1) // (budget − 1), and `diagnostics_` says so. `fit` needs `difficulty`.

    Parameters
    ----------
    budget : int, default 10
        Number of images to choose, >= 1.
    seed : int, default 0
        Ignored: the choice is deterministic.
    small_class : {"error", "take_all"}, default "error"
        "error" refuses a class with fewer images than the budget, "take_all" takes all of it.
    include : sequence of int, default ()
        Indices of images that must be chosen; they come first.
    exclude : sequence of int, default ()
        Indices of images that must not be chosen; they still count as part of the class.
    interval : int or None, default None
        Step between ranks, >= 1; only for variant "interval". None takes the paper's for budgets of
        10, 50 and 100 (96, 16 and 10), and the widest that fits for other budgets.
    variant : {"interval", "min", "max", "medium"}, default "interval"
        "interval" takes ranks 0, k, 2k, ... from the easiest; "min", "max" and "medium" take the
        easiest, the hardest and those around the median.
    hard : {"low", "high"}, default "high"
        Hard end of the score: "high" for denoising errors and losses, "low" for margins.

    Attributes
    ----------
    indices_ : array of int, [budget]
        Chosen images, from easy to hard.
    objective_ : float
        Nan: this method has no objective.
    diagnostics_ : D2cDiagnostics
        The interval used and wanted.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.selection import D2cSelector
    >>> error = np.arange(100)  # high is hard
    >>> selector = D2cSelector(budget=4, interval=20).fit(np.zeros((100, 2)), difficulty=error)
    >>> selector.indices_
    array([ 0, 20, 40, 60])

    References
    ----------
    .. [1] "Diffusion dataset condensation", arXiv:2507.05914, algorithm 2 and the intervals of its
       experiments.
    """

    Config: ClassVar[type[SelectorConfig]] = D2cConfig
    needs = frozenset({"difficulty"})
    difficulty_kind = "denoising"
    config: D2cConfig
    diagnostics_: D2cDiagnostics

    def __init__(
        self,
        budget: int = 10,
        *,
        seed: int = 0,
        small_class: Literal["error", "take_all"] = "error",
        include: Sequence[int] = (),
        exclude: Sequence[int] = (),
        interval: int | None = None,
        variant: Literal["interval", "min", "max", "medium"] = "interval",
        hard: Literal["low", "high"] = "high",
    ) -> None:
        super().__init__(
            budget, seed=seed, small_class=small_class, include=include, exclude=exclude
        )
        self.interval = interval
        self.variant = variant
        self.hard = hard
        self._check()

    def _fit(self, candidates: Candidates, budget: int) -> None:
        score = candidates.require("difficulty", "d2c")
        hardness = score if self.config.hard == "high" else -score
        free = free_images(self.config, candidates.size)
        easiest_first = free[np.argsort(hardness[free], kind="stable")]
        self.diagnostics_ = D2cDiagnostics()
        ranks = self._ranks(len(free), budget - len(self.config.include))
        self.indices_ = included_first(self.config, easiest_first[ranks], budget)
        for index in self.indices_.tolist():
            self._record(index)

    def _ranks(self, size: int, budget: int) -> Int[np.ndarray, " budget"]:
        config = self.config
        if config.variant == "interval":
            return np.arange(budget) * self._interval(size, budget)
        if config.interval is not None:
            raise InputError(
                "interval goes with variant=interval only, found interval "
                f"{config.interval} with {config.variant}"
            )
        first_rank = {"min": 0, "max": size - budget, "medium": (size - budget) // 2}
        first = first_rank[config.variant]
        return np.arange(first, first + budget)

    def _interval(self, size: int, budget: int) -> int:
        widest = (size - 1) // (budget - 1) if budget > 1 else size
        wanted = self.config.interval or PAPER_INTERVALS.get(self.config.budget, widest)
        used = min(wanted, widest)
        self.diagnostics_ = D2cDiagnostics(used, wanted, clamped=used < wanted)
        return used
