"""The candidates for one place of a subset, and what is known about each."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from otcondense.selection.engine.problem import SubsetProblem

EXACT_BATCH = 32


@dataclass(frozen=True)
class Place:
    """One place of a subset: the images around it and their potentials at the best dual point known."""

    rest: Int[Tensor, " r"]
    others: Float[Tensor, " r"]

    @property
    def size(self) -> int:
        """Images in the subset once the place is taken."""
        return len(self.rest) + 1


class Contest:
    """The candidates still open for one place, with a lower bound on the objective of each."""

    def __init__(self, candidates: Int[Tensor, " m"], problem: SubsetProblem, place: Place) -> None:
        self.candidates = candidates
        self._batch = EXACT_BATCH
        self._alpha = problem.alpha
        self._statistics = (
            None if problem.statistics_term is None else problem.statistics_term.at(place.rest)
        )
        self.transport = problem.b.new_full((len(candidates),), -math.inf)
        self.confidence = problem.b.new_zeros(len(candidates))
        if problem.cross_entropy is not None:
            self.confidence += (
                problem.beta
                * (problem.cross_entropy[place.rest].sum() + problem.cross_entropy[candidates])
                / place.size
            )
        self.statistics = torch.zeros_like(self.confidence)
        self.exact = torch.full_like(candidates, self._statistics is None, dtype=torch.bool)

    @property
    def penalty(self) -> Float[Tensor, " m"]:
        """Statistics and confidence terms: exact, or a lower bound."""
        return self.statistics + self.confidence

    @property
    def bound(self) -> Float[Tensor, " m"]:
        return self.transport + self.statistics + self.confidence

    def drop(self, out: Bool[Tensor, " m"]) -> None:
        """Take candidates out of the contest."""
        if bool(out.any()):
            for name in ("candidates", "transport", "statistics", "confidence", "exact"):
                setattr(self, name, getattr(self, name)[~out])

    def tighten(self, transport: Float[Tensor, " m"]) -> None:
        """Keep the larger of two bounds on the transport term."""
        self.transport = torch.maximum(self.transport, transport)

    def relinearise(self, reference: int) -> None:
        """Bound the statistics term of every candidate by its linearisation at one of them; of no use for few candidates."""
        if self._statistics is not None and int((~self.exact).sum()) > EXACT_BATCH:
            bound = self._alpha * self._statistics.lower_bound(reference)[self.candidates]
            self.statistics = torch.where(
                self.exact, self.statistics, torch.maximum(self.statistics, bound)
            )

    def make_exact(self) -> None:
        """Compute the statistics term of the most promising candidates."""
        assert self._statistics is not None
        order = torch.sort(self.bound.masked_fill(self.exact, math.inf), stable=True).indices[
            : self._batch
        ]
        order = order[~self.exact[order]]
        self.statistics[order] = self._alpha * self._statistics.exact(self.candidates[order])
        self.exact[order] = True
        self._batch *= 2
