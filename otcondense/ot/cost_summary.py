"""Median, mean and largest of costs that no memory holds at once."""

import math
from collections.abc import Sized
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.ot.blocks import row_blocks

BRACKET = 0.005
"""Share of the costs on each side of the sample's median: five standard errors of a sample of
260,000 pairs."""

MOST_COLLECTED = 1 << 24
"""Largest number of costs that are collected to find the median (134 MB)."""

BINS = 1 << 12
"""Parts of a bracket that holds more costs than that."""

EXACT_WIDTH = 1e-14
"""A bracket of this relative width is one value up to rounding."""


@runtime_checkable
class Rows(Sized, Protocol):
    """Rows of a square matrix of costs."""

    @property
    def block_rows(self) -> int:
        """Number of rows that are computed at a time."""
        ...

    def __getitem__(self, index: slice) -> Float[Tensor, "m n"]:
        """Return some rows."""
        ...


@dataclass(frozen=True)
class CostSummary:
    """Lower median, largest and mean of all entries of a matrix of costs."""

    median: float
    largest: float
    mean: float


@dataclass(frozen=True)
class _Bracket:
    """The costs from `low` to `high`, both included."""

    low: float
    high: float

    @property
    def is_one_value(self) -> bool:
        return self.high - self.low <= EXACT_WIDTH * self.high

    @property
    def edges(self) -> Float[Tensor, " e"]:
        """Upper edges of the parts but the last."""
        return torch.linspace(self.low, self.high, BINS + 1, dtype=torch.float64)[1:-1]

    def part(self, number: int) -> "_Bracket":
        """Return a part: above the edge before it, up to its own."""
        edges = [self.low, *self.edges.tolist(), self.high]
        low = edges[number] if number == 0 else math.nextafter(edges[number], math.inf)
        return _Bracket(low, edges[number + 1])


@dataclass(frozen=True)
class _Tally:
    """What one pass over all costs finds."""

    below: int
    """Costs below the bracket."""
    parts: Int[Tensor, " p"]
    """Costs in each part of the bracket."""
    inside: list[Tensor]
    """The costs in the bracket; not all of them if there are too many."""
    largest: float
    total: float


def summarise(cost: Rows, sample: Float[Tensor, " m"], workers: int = 1) -> CostSummary:
    """Return the median, the largest and the mean of all costs.

    A bracket around the median is guessed from a sample. One pass counts the costs below it, and
    collects those in it. If the bracket misses the median, or holds too many costs, another pass
    follows. The guess decides on the time, not on the result.

    Args:
        cost: the matrix, [n, n].
        sample: costs of some pairs.
        workers: threads; the result does not depend on their number.
    """
    rank = (len(cost) ** 2 - 1) // 2
    bracket = _guess(sample)
    while True:
        tally = _count(cost, bracket, workers)
        found = int(tally.parts.sum())
        place = rank - tally.below
        if place < 0:
            bracket = _Bracket(0.0, math.nextafter(bracket.low, -math.inf))
        elif place >= found:
            bracket = _Bracket(math.nextafter(bracket.high, math.inf), tally.largest)
        elif found <= MOST_COLLECTED:
            median = float(torch.cat(tally.inside).kthvalue(place + 1).values)
            break
        elif bracket.is_one_value:
            median = bracket.low
            break
        else:
            bracket = bracket.part(int((tally.parts.cumsum(0) <= place).sum()))
    return CostSummary(median, tally.largest, tally.total / len(cost) ** 2)


def _guess(sample: Float[Tensor, " m"]) -> _Bracket:
    """Return a bracket that holds the median with near certainty."""
    ordered = sample.sort().values
    middle = len(ordered) // 2
    width = int(BRACKET * len(ordered))
    return _Bracket(float(ordered[middle - width]), float(ordered[middle + width]))


def _count(cost: Rows, bracket: _Bracket, workers: int) -> _Tally:
    """Go once over all costs."""
    step = cost.block_rows
    blocks = -(-len(cost) // step)
    below = torch.zeros(blocks, dtype=torch.int64)
    parts = torch.zeros(blocks, BINS, dtype=torch.int64)
    largest = torch.zeros(blocks, dtype=torch.float64)
    total = torch.zeros(blocks, dtype=torch.float64)
    edges = bracket.edges
    inside: list[Tensor] = []

    def work(rows: slice) -> None:
        block = rows.start // step
        values = cost[rows]
        largest[block] = values.max()
        total[block] = values.sum()
        below[block] = (values < bracket.low).sum()
        found = values[(values >= bracket.low) & (values <= bracket.high)]
        parts[block] = torch.bincount(torch.bucketize(found, edges), minlength=BINS)
        if int(parts.sum()) <= MOST_COLLECTED:
            inside.append(found)

    row_blocks(work, len(cost), workers=workers, rows=step)
    return _Tally(
        int(below.sum()), parts.sum(dim=0), inside, float(largest.max()), float(total.sum())
    )
