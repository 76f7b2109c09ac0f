"""Swaps over all classes: the statistics of the pooled subset as a further term of every class.

The objective is the mean of the objectives of the classes, plus `weight` times the distance of the
pooled subset's mean and standard deviations from those of all images. One class after another is
searched with the others fixed, until a whole round changes nothing: then no single swap within any
class lowers the objective, which the search of every class has proven.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.selection.engine.cuts import CutSearch
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.engine.search import SearchLimits
from otcondense.selection.engine.statistics import DiagonalStatistics, PlaceStatistics, Statistics

MOST_ROUNDS = 20
"""Rounds over the classes; more would mean that the search does not settle."""


@dataclass(frozen=True)
class _SumPlace(PlaceStatistics):
    own: PlaceStatistics
    pooled: PlaceStatistics
    weight: float

    def exact(self, candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        return self.own.exact(candidates) + self.weight * self.pooled.exact(candidates)

    def lower_bound(self, reference: int, candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        pooled = self.pooled.lower_bound(reference, candidates)
        return self.own.lower_bound(reference, candidates) + self.weight * pooled


@dataclass(frozen=True)
class _Sum(Statistics):
    """A class's own term, and the term of the pooled subset with the other classes fixed."""

    own: Statistics
    pooled: DiagonalStatistics
    """Features of the class, centred at the mean of all images, and the deviations of all."""
    outside: Float[Tensor, "r d"]
    """The chosen images of the other classes, centred likewise."""
    weight: float

    def at(self, rest: Int[Tensor, " r"]) -> PlaceStatistics:
        alone: Any = self.pooled.at(rest)
        place = replace(
            alone,
            total=alone.total + self.outside.sum(dim=0),
            squares=alone.squares + self.outside.square().sum(dim=0),
            size=alone.size + len(self.outside),
        )
        return _SumPlace(self.own.at(rest), cast("PlaceStatistics", place), self.weight)


@dataclass(frozen=True)
class GivenProblem(SubsetProblem):
    """A class whose statistics term is given."""

    term: Statistics | None = None

    @property
    def statistics_term(self) -> Statistics | None:
        """The given term."""
        return self.term


def with_statistics(problem: SubsetProblem, term: Statistics) -> SubsetProblem:
    """Return the problem with another statistics term."""
    given = {each.name: getattr(problem, each.name) for each in fields(SubsetProblem)}
    return GivenProblem(**given, term=term)


@dataclass(frozen=True)
class Polished:
    """The subsets after the swaps over all classes."""

    subsets: dict[int, list[int]]
    """Chosen images by class: positions in the class."""
    swaps: int
    proven: bool
    """Whether no single swap within any class lowers the objective."""


def polish(
    problems: Mapping[int, SubsetProblem],
    features: Mapping[int, Float[Tensor, "n d"]],
    starts: Mapping[int, list[int]],
    weight: float,
    limits: Mapping[int, SearchLimits],
) -> Polished:
    """Swap until no single swap within any class improves.

    Args:
        problems: the problem of each class, all in the same units, with a statistics term.
        features: of each class, not centred.
        starts: the chosen images of each class.
        weight: of the pooled term, with that of a class's own term as 1.
        limits: of the search in each class.
    """
    everything = torch.cat(list(features.values()))
    mean = everything.mean(dim=0)
    deviation = everything.std(dim=0)
    centred = {label: rows - mean for label, rows in features.items()}
    subsets = {label: list(start) for label, start in starts.items()}
    swaps = 0
    settled = 0
    for visit in range(MOST_ROUNDS * len(subsets)):
        label = list(subsets)[visit % len(subsets)]
        others = [centred[each][subsets[each]] for each in subsets if each != label]
        problem = problems[label]
        own = problem.statistics_term
        assert own is not None
        squares = centred[label].square()
        pooled = DiagonalStatistics(centred[label], squares, squares.sum(dim=1), deviation)
        term = _Sum(own, pooled, torch.cat(others), weight * len(subsets))
        search = CutSearch(with_statistics(problem, term), limits[label])
        search.place_at(subsets[label])
        search.swap()
        settled = 0 if search.counts.swaps else settled + 1
        swaps += search.counts.swaps
        subsets[label] = list(search.subset)
        if settled == len(subsets):
            return Polished(subsets, swaps, proven=search.proven)
    return Polished(subsets, swaps, proven=False)
