r"""Swaps in groups under the statistics of the whole class.

The objective of groups, $\sum_g w_g L_g(S_g)$, asks each group to have the statistics of its own
images, which few chosen images cannot. Here the transport term stays that of the groups and the
statistics term is that of the whole, $\sum_g w_g OT(S_g) + \alpha\, \mathrm{stat}(S)$: one
group after another swaps its images while those of all others stay, until no swap helps in any
group.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.ot import SquaredEuclidean
from otcondense.ot.cost import median_cost
from otcondense.selection.engine.cuts import CutSearch
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.engine.search import SearchLimits
from otcondense.selection.engine.statistics import (
    DiagonalPlace,
    DiagonalStatistics,
    PlaceStatistics,
    Statistics,
)
from otcondense.selection.objective_config import admissible_kappa
from otcondense.threads import one_thread

MOST_PASSES = 10
"""Passes over all groups, after which the swaps end without a proof; two or three are usual."""
SWAP_TOLERANCE = 1e-6
"""A swap must lower the objective by more than this share of the median cost of its group."""


@dataclass(frozen=True)
class PolishConfig:
    """The objective of the swaps, in the terms of `GeometryAwareSelector`."""

    kappa: float = 1.05
    alpha: float = 1.0
    epsilon_relative: float = 0.05


@dataclass(frozen=True)
class _Others:
    """The chosen images of all other groups."""

    count: int
    total: Float[Tensor, " d"]
    """Sum of their features, relative to the mean of the whole class."""
    squares: Float[Tensor, " d"]


@dataclass(frozen=True)
class _InWhole(Statistics):
    """The statistics of the whole class, for the chosen images of one group."""

    own: DiagonalStatistics
    """Features of the group relative to the mean of the whole, and the deviations of the whole."""
    others: _Others

    def at(self, rest: Int[Tensor, " r"]) -> PlaceStatistics:
        total = self.own.features[rest].sum(dim=0) + self.others.total
        squares = self.own.squares[rest].sum(dim=0) + self.others.squares
        return DiagonalPlace(self.own, total, squares, len(rest) + 1 + self.others.count)


def polish(
    features: Float[np.ndarray, "n d"],
    groups: Sequence[Int[np.ndarray, " _"]],
    chosen: Sequence[Int[np.ndarray, " _"]],
    config: PolishConfig | None = None,
) -> list[Int[np.ndarray, " _"]]:
    """Return the chosen images of each group after swaps; their numbers stay.

    The result depends on the arguments only. Groups that are chosen whole have nothing to swap.

    Args:
        features: of the whole class [n, d].
        groups: rows of each group; together all rows, each once.
        chosen: rows of the chosen images of each group, at least one each.
        config: the objective; None is the selector's default.

    Returns: rows of the chosen images of each group.
    """
    config = config or PolishConfig()
    whole = torch.as_tensor(features, dtype=torch.float64)
    whole = whole - whole.mean(dim=0)
    deviations = whole.var(dim=0, correction=1).sqrt()
    found = [np.asarray(each) for each in chosen]
    with one_thread():
        for _ in range(MOST_PASSES):
            before = found
            for number, rows in enumerate(groups):
                if len(found[number]) < len(rows):
                    better = _swapped(whole, deviations, rows, found, number, config)
                    found = [*found[:number], better, *found[number + 1 :]]
            if all(np.array_equal(*pair) for pair in zip(before, found, strict=True)):
                break
    return found


def _swapped(
    whole: Float[Tensor, "n d"],
    deviations: Float[Tensor, " d"],
    rows: Int[np.ndarray, " g"],
    chosen: Sequence[Int[np.ndarray, " _"]],
    number: int,
    config: PolishConfig,
) -> Int[np.ndarray, " k"]:
    """Return the chosen images of one group after its swaps."""
    mine = chosen[number]
    others = whole[np.concatenate([*chosen[:number], *chosen[number + 1 :], mine[:0]])]
    own = whole[rows]
    squares = own.square()
    cost = SquaredEuclidean(1)(own)
    typical = median_cost(cost) or 1.0
    problem = SubsetProblem(
        cost_matrix=cost,
        budget=len(mine),
        kappa=admissible_kappa(config.kappa, len(rows), len(mine)),
        epsilon=config.epsilon_relative * typical,
        # The transport of the group counts by its share; the search divides all by the share.
        alpha=config.alpha * len(whole) / len(rows),
        features=own,
    )
    problem.__dict__["statistics_term"] = _InWhole(
        DiagonalStatistics(own, squares, squares.sum(dim=1), deviations),
        _Others(len(others), others.sum(dim=0), others.square().sum(dim=0)),
    )
    search = CutSearch(problem, SearchLimits(SWAP_TOLERANCE * typical))
    places = {row: place for place, row in enumerate(rows.tolist())}
    search.place_at([places[row] for row in mine.tolist()])
    search.swap()
    return rows[np.array(search.subset, dtype=np.int64)]
