"""Interval sampling along difficulty, the Select stage of D2C."""

from typing import ClassVar, Literal, final

import numpy as np
from pydantic import Field

from otcondense.errors import InputError
from otcondense.selection.base import Candidates, Selector, SelectorConfig

PAPER_INTERVALS = {10: 96, 50: 16, 100: 10}


class D2cConfig(SelectorConfig):
    """Settings of interval sampling."""

    interval: int | None = Field(default=None, ge=1)
    """Step between ranks; None is the paper's for budgets of 10, 50 and 100 (96, 16, 10) and the widest that fits for others."""
    variant: Literal["interval", "min", "max", "medium"] = "interval"
    """interval: ranks 0, k, 2k, ... from the easiest; min, max, medium: the easiest, the hardest, those around the median."""
    hard: Literal["low", "high"] = "high"
    """Which end of the score is hard: high for denoising errors and losses, low for margins."""


@final
class D2cSelector(Selector):
    """Sorts the class from easy to hard and takes every k-th image.

    A class too small for the interval has it clamped to the widest that fits, (n − 1) // (budget − 1); `diagnostics_` says so.

    Source: "Diffusion dataset condensation", arXiv:2507.05914, algorithm 2 and the intervals of its experiments.
    """

    Config: ClassVar[type[SelectorConfig]] = D2cConfig
    config: D2cConfig

    def _fit(self, candidates: Candidates, budget: int) -> None:
        score = candidates.require("difficulty", "d2c")
        order = np.argsort(score if self.config.hard == "high" else -score, kind="stable")
        self.indices_ = order[self._ranks(candidates.size, budget)]
        for index in self.indices_.tolist():
            self._record(index)

    def _ranks(self, size: int, budget: int) -> np.ndarray:
        if self.config.variant == "interval":
            return np.arange(budget) * self._interval(size, budget)
        if self.config.interval is not None:
            raise InputError(
                f"interval goes with variant=interval only, found interval {self.config.interval} with {self.config.variant}"
            )
        first = {"min": 0, "max": size - budget, "medium": (size - budget) // 2}[
            self.config.variant
        ]
        return np.arange(first, first + budget)

    def _interval(self, size: int, budget: int) -> int:
        widest = (size - 1) // (budget - 1) if budget > 1 else size
        wanted = self.config.interval or PAPER_INTERVALS.get(self.config.budget, widest)
        used = min(wanted, widest)
        self.diagnostics_ = {"interval": used, "interval_wanted": wanted, "clamped": used < wanted}
        return used
