"""Coverage-centric coreset selection: all strata of difficulty, without the hardest images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from otcondense.selection.base import Selector
from otcondense.selection.candidates import Candidates
from otcondense.selection.diagnostics import Diagnostics
from otcondense.selection.selector_config import SelectorConfig, free_images, included_first


class CcsConfig(SelectorConfig):
    """Parameters of coverage-centric selection."""

    hard: Literal["low", "high"] = "low"
    """Hard end of the score: low for AUM and other margins, high for losses and errors."""
    dropped_share: float = Field(default=0.3, ge=0, lt=1)
    """Share of the hardest images dropped before stratifying; less if the budget needs them."""
    strata: int = Field(default=50, ge=1)
    """Number of strata of equal width in the score."""


@dataclass(frozen=True)
class CcsDiagnostics(Diagnostics):
    """Diagnostics of coverage-centric selection."""

    dropped: int
    """Number of images dropped."""
    drawn_per_stratum: tuple[int, ...]


@final
class CcsSelector(Selector):
    """Coverage-centric coreset selection, per class.

    Drops the hardest images, divides the rest into strata of equal width in the score, and draws
    evenly from the strata: they share the budget from the smallest to the largest, each giving
    min(members, remaining budget / remaining strata). `fit` needs `difficulty`.

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
    hard : {"low", "high"}, default "low"
        Hard end of the score: "low" for AUM and other margins, "high" for losses and errors.
    dropped_share : float, default 0.3
        Share of the hardest images to drop, 0 <= share < 1; fewer are dropped if the budget needs
        them.
    strata : int, default 50
        Number of strata, >= 1.

    Attributes
    ----------
    indices_ : array of int, [budget]
        Chosen images, stratum by stratum.
    objective_ : float
        Nan: this method has no objective.
    diagnostics_ : CcsDiagnostics
        Images dropped, and images drawn from each stratum.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.selection import CcsSelector
    >>> difficulty = np.arange(100)  # low is hard
    >>> selector = CcsSelector(budget=10, strata=10).fit(np.zeros((100, 2)), difficulty=difficulty)
    >>> selector.diagnostics_.dropped
    30
    >>> int(selector.indices_.min())
    32

    References
    ----------
    .. [1] Zheng et al., "Coverage-centric coreset selection for high pruning rates", ICLR 2023,
       algorithm 1; here per class.
    """

    Config: ClassVar[type[SelectorConfig]] = CcsConfig
    needs = frozenset({"difficulty"})
    difficulty_kind = "aum"
    config: CcsConfig
    diagnostics_: CcsDiagnostics

    def __init__(
        self,
        budget: int = 10,
        *,
        seed: int = 0,
        small_class: Literal["error", "take_all"] = "error",
        include: Sequence[int] = (),
        exclude: Sequence[int] = (),
        hard: Literal["low", "high"] = "low",
        dropped_share: float = 0.3,
        strata: int = 50,
    ) -> None:
        super().__init__(
            budget, seed=seed, small_class=small_class, include=include, exclude=exclude
        )
        self.hard = hard
        self.dropped_share = dropped_share
        self.strata = strata
        self._check()

    def _fit(self, candidates: Candidates, budget: int) -> None:
        config = self.config
        score = candidates.require("difficulty", "ccs")
        hardness = -score if config.hard == "low" else score
        free = free_images(self.config, candidates.size)
        wanted = budget - len(config.include)
        hardest_first = free[np.argsort(-hardness[free], kind="stable")]
        dropped = min(int(config.dropped_share * len(free)), len(free) - wanted)
        kept = np.sort(hardest_first[dropped:])

        stratum = _strata(score[kept], config.strata)
        shares = allocate(wanted, np.bincount(stratum, minlength=config.strata))

        rng = np.random.default_rng(config.seed)
        drawn = [rng.permutation(kept[stratum == s])[:share] for s, share in enumerate(shares)]
        self.indices_ = included_first(self.config, np.concatenate(drawn), budget)
        self.diagnostics_ = CcsDiagnostics(dropped, tuple(shares.tolist()))
        for index in self.indices_.tolist():
            self._record(index)


def _strata(score: Float[np.ndarray, " n"], count: int) -> Int[np.ndarray, " n"]:
    """Return the stratum of each image, from the lowest score up."""
    if not len(score):
        return np.zeros(0, dtype=np.int64)
    width = (score.max() - score.min()) / count
    if width == 0:
        return np.zeros(len(score), dtype=np.int64)
    position = ((score - score.min()) / width).astype(np.int64)
    stratum: Int[np.ndarray, " n"] = np.minimum(position, count - 1)
    return stratum


def allocate(budget: int, members: Int[np.ndarray, " s"]) -> Int[np.ndarray, " s"]:
    """Share a budget evenly over strata, the smallest first; exact if they hold enough images."""
    shares = np.zeros_like(members)
    remaining = budget
    for done, stratum in enumerate(np.argsort(members, kind="stable").tolist()):
        shares[stratum] = min(int(members[stratum]), remaining // (len(members) - done))
        remaining -= int(shares[stratum])
    assert remaining == 0
    return shares
