"""Random choice, the baseline that every other one has to beat."""

from typing import ClassVar, final

import numpy as np

from otcondense.selection.base import Candidates, Selector, SelectorConfig


class RandomConfig(SelectorConfig):
    """Settings of the random choice: budget and seed."""


@final
class RandomSelector(Selector):
    """Draws without replacement; with weights, each draw takes an image with probability proportional to its weight.

    Source: Efraimidis and Spirakis, "Weighted random sampling with a reservoir", Information Processing Letters 97, 2006.
    """

    Config: ClassVar[type[SelectorConfig]] = RandomConfig

    def _fit(self, candidates: Candidates, budget: int) -> None:
        waiting = np.random.default_rng(self.config.seed).exponential(size=candidates.size)
        with np.errstate(divide="ignore"):
            self.indices_ = np.argsort(waiting / candidates.mass, kind="stable")[:budget]
        for index in self.indices_.tolist():
            self._record(index)
