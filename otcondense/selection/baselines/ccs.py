"""Coverage-centric coreset selection: all strata of difficulty, without the hardest images."""

from typing import ClassVar, Literal, final

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from otcondense.selection.base import Candidates, Selector, SelectorConfig


class CcsConfig(SelectorConfig):
    """Settings of coverage-centric selection."""

    hard: Literal["low", "high"] = "low"
    """Which end of the score is hard: low for AUM and other margins, high for losses and errors."""
    dropped_share: float = Field(default=0.3, ge=0, lt=1)
    """Share of the hardest images that is dropped before the strata are made; as much as the budget allows."""
    strata: int = Field(default=50, ge=1)
    """Number of strata of equal width in the score."""


@final
class CcsSelector(Selector):
    """Drops the hardest images, cuts the rest into strata of equal width in the score, and draws evenly from the strata.

    The budget goes through the strata from the fewest to the most members, each giving min(members, rest / strata left).
    `diagnostics_` holds how many images were dropped and how many each stratum gave.

    Source: Zheng et al., "Coverage-centric coreset selection for high pruning rates", ICLR 2023, algorithm 1; here per class.
    """

    Config: ClassVar[type[SelectorConfig]] = CcsConfig
    config: CcsConfig

    def _fit(self, candidates: Candidates, budget: int) -> None:
        score = candidates.require("difficulty", "ccs")
        order = np.argsort(score if self.config.hard == "low" else -score, kind="stable")
        dropped = min(int(self.config.dropped_share * candidates.size), candidates.size - budget)
        kept = np.sort(order[dropped:])
        stratum = _strata(score[kept], self.config.strata)
        shares = allocate(budget, np.bincount(stratum, minlength=self.config.strata))
        rng = np.random.default_rng(self.config.seed)
        drawn = [rng.permutation(kept[stratum == s])[:share] for s, share in enumerate(shares)]
        self.indices_ = np.concatenate(drawn)
        self.diagnostics_ = {"dropped": dropped, "drawn_per_stratum": shares.tolist()}
        for index in self.indices_.tolist():
            self._record(index)


def _strata(score: Float[np.ndarray, " n"], count: int) -> Int[np.ndarray, " n"]:
    width = (score.max() - score.min()) / count
    if width == 0:
        return np.zeros(len(score), dtype=np.int64)
    stratum: Int[np.ndarray, " n"] = np.minimum(
        ((score - score.min()) / width).astype(np.int64), count - 1
    )
    return stratum


def allocate(budget: int, members: Int[np.ndarray, " s"]) -> Int[np.ndarray, " s"]:
    """Share a budget evenly over strata, the smallest first; exact whenever the strata hold enough."""
    shares, rest = np.zeros_like(members), budget
    for done, stratum in enumerate(np.argsort(members, kind="stable").tolist()):
        shares[stratum] = min(int(members[stratum]), rest // (len(members) - done))
        rest -= int(shares[stratum])
    assert rest == 0
    return shares
