"""The candidates for one place of a subset, and their bounds."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from otcondense.selection.engine.problem import SubsetProblem

EXACT_BATCH = 32
"""Candidates whose statistics term is computed in the first batch; the batches double.

For fewer candidates, computing the term costs less than bounding it.
"""


@dataclass(frozen=True)
class Place:
    """One place of a subset: the other images and their potentials at the current dual point."""

    rest: Int[Tensor, " r"]
    others: Float[Tensor, " r"]

    @property
    def size(self) -> int:
        """Number of images in the subset once the place is filled."""
        return len(self.rest) + 1


class Contest:
    """The candidates still open for one place, with a lower bound on the objective of each.

    Attributes:
        candidates: the images.
        transport: lower bound on the transport term of each.
        statistics: statistics term of each, or a lower bound on it.
        confidence: confidence term of each.
        exact: whether `statistics` is the term itself.
    """

    def __init__(self, candidates: Int[Tensor, " m"], problem: SubsetProblem, place: Place) -> None:
        self.candidates = candidates
        self._batch = EXACT_BATCH
        self._alpha = problem.alpha
        self._statistics = None
        if problem.statistics_term is not None:
            self._statistics = problem.statistics_term.at(place.rest)

        self.transport = problem.b.new_full((len(candidates),), -math.inf)
        self.confidence = problem.b.new_zeros(len(candidates))
        if problem.cross_entropy is not None:
            total = problem.cross_entropy[place.rest].sum() + problem.cross_entropy[candidates]
            self.confidence += problem.beta * total / place.size
        self.statistics = torch.zeros_like(self.confidence)
        self.exact = torch.full_like(candidates, self._statistics is None, dtype=torch.bool)

    @property
    def penalty(self) -> Float[Tensor, " m"]:
        """Statistics and confidence terms: exact, or a lower bound."""
        return self.statistics + self.confidence

    @property
    def bound(self) -> Float[Tensor, " m"]:
        """Lower bound on the objective with each candidate."""
        return self.transport + self.statistics + self.confidence

    def drop(self, out: Bool[Tensor, " m"]) -> None:
        """Remove candidates."""
        if bool(out.any()):
            for name in ("candidates", "transport", "statistics", "confidence", "exact"):
                setattr(self, name, getattr(self, name)[~out])

    def tighten(self, transport: Float[Tensor, " m"]) -> None:
        """Keep the larger of two bounds on the transport term."""
        self.transport = torch.maximum(self.transport, transport)

    def relinearise(self, reference: int) -> None:
        """Bound the statistics term of every candidate by its linearisation at `reference`.

        For few candidates this does nothing: `make_exact` is cheaper.
        """
        if self._statistics is not None and int((~self.exact).sum()) > EXACT_BATCH:
            bound = self._alpha * self._statistics.lower_bound(reference, self.candidates)
            tighter = torch.maximum(self.statistics, bound)
            self.statistics = torch.where(self.exact, self.statistics, tighter)

    def make_exact(self) -> None:
        """Compute the statistics term of the most promising candidates."""
        assert self._statistics is not None
        open_bounds = self.bound.masked_fill(self.exact, math.inf)
        order = torch.sort(open_bounds, stable=True).indices[: self._batch]
        order = order[~self.exact[order]]
        self.statistics[order] = self._alpha * self._statistics.exact(self.candidates[order])
        self.exact[order] = True
        self._batch *= 2
