"""Random choice, the baseline that every other selector has to beat."""

from typing import ClassVar, Literal, final

import numpy as np

from otcondense.selection.base import Selector, SelectorConfig
from otcondense.selection.candidates import Candidates


class RandomConfig(SelectorConfig):
    """Parameters of the random choice: budget and seed."""


@final
class RandomSelector(Selector):
    """Draws images without replacement.

    With weights, each draw takes an image with probability proportional to its weight.

    Args:
        budget: number of images to choose, >= 1. Default 10.
        seed: seed of the draws, >= 0. Default 0.
        small_class: "error" refuses a class with fewer images than the budget, "take_all" takes all
            of it. Default "error".

    Source: Efraimidis and Spirakis, "Weighted random sampling with a reservoir", Information
    Processing Letters 97, 2006.
    """

    Config: ClassVar[type[SelectorConfig]] = RandomConfig

    def __init__(
        self,
        budget: int = 10,
        *,
        seed: int = 0,
        small_class: Literal["error", "take_all"] = "error",
    ) -> None:
        super().__init__(budget, seed=seed, small_class=small_class)
        self._check()

    def _fit(self, candidates: Candidates, budget: int) -> None:
        waiting = np.random.default_rng(self.config.seed).exponential(size=candidates.size)
        with np.errstate(divide="ignore"):
            order = np.argsort(waiting / candidates.mass, kind="stable")
        self.indices_ = order[:budget]
        for index in self.indices_.tolist():
            self._record(index)
