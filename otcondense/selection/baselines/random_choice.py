"""Random choice, the baseline that every other selector has to beat."""

from collections.abc import Sequence
from typing import ClassVar, Literal, final

import numpy as np

from otcondense.selection.base import Selector
from otcondense.selection.candidates import Candidates
from otcondense.selection.selector_config import SelectorConfig, included_first


class RandomConfig(SelectorConfig):
    """Parameters of the random choice: budget and seed."""


@final
class RandomSelector(Selector):
    """Draws images without replacement.

    With weights, each draw takes an image with probability proportional to its weight.

    Parameters
    ----------
    budget : int, default 10
        Number of images to choose, >= 1.
    seed : int, default 0
        Seed of the draws, >= 0.
    small_class : {"error", "take_all"}, default "error"
        "error" refuses a class with fewer images than the budget, "take_all" takes all of it.
    include : sequence of int, default ()
        Indices of images that must be chosen; they come first.
    exclude : sequence of int, default ()
        Indices of images that must not be chosen; they still count as part of the class.

    Attributes
    ----------
    indices_ : array of int, [budget]
        Chosen images, in order of their draw.
    objective_ : float
        Nan: this method has no objective.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.selection import RandomSelector
    >>> features = np.zeros((100, 2))
    >>> selector = RandomSelector(budget=3, seed=1).fit(features)
    >>> len(set(selector.indices_.tolist()))
    3
    >>> bool((selector.indices_ == RandomSelector(budget=3, seed=1).fit(features).indices_).all())
    True

    References
    ----------
    .. [1] Efraimidis and Spirakis, "Weighted random sampling with a reservoir", Information
       Processing Letters 97, 2006.
    """

    Config: ClassVar[type[SelectorConfig]] = RandomConfig

    def __init__(
        self,
        budget: int = 10,
        *,
        seed: int = 0,
        small_class: Literal["error", "take_all"] = "error",
        include: Sequence[int] = (),
        exclude: Sequence[int] = (),
    ) -> None:
        super().__init__(
            budget, seed=seed, small_class=small_class, include=include, exclude=exclude
        )
        self._check()

    def _fit(self, candidates: Candidates, budget: int) -> None:
        waiting = np.random.default_rng(self.config.seed).exponential(size=candidates.size)
        with np.errstate(divide="ignore"):
            order = np.argsort(waiting / candidates.mass, kind="stable")
        self.indices_ = included_first(self.config, order, budget)
        for index in self.indices_.tolist():
            self._record(index)
