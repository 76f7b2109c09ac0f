"""Costs between the images of a class that are computed when they are asked for.

A matrix of all costs takes 8 bytes a pair: 3.2 GB for a class of 20,000 images. `CostRows` holds
the centred features in its place, and computes whole rows of that matrix.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.ot.blocks import row_blocks
from otcondense.ot.cost import REFINED_BELOW, median_cost, refine_pairs
from otcondense.ot.cost_summary import CostSummary, summarise

BLOCK_VALUES = 1 << 21
"""Number of costs computed at a time (16 MB)."""

SAMPLED_PAIRS = 1 << 18
"""Random pairs from which the place of the median is guessed."""

OTHER_TERMS = 8
"""Roundings of a cost besides those of its sums."""

PAIRS_AT_ONCE = 1 << 12
"""Pairs whose costs are computed at a time."""


@dataclass(frozen=True)
class CostRows:
    """Squared Euclidean distances between the rows of a class, float64, some rows at a time.

    It can be indexed as the matrix of costs can, by a slice or a tensor of row numbers of any
    shape. The costs are those of `SquaredEuclidean` up to rounding.

    Examples
    --------
    >>> import torch
    >>> from otcondense.ot.cost_rows import CostRows
    >>> costs = CostRows(torch.tensor([[0.0], [3.0], [4.0]]).double())
    >>> costs[torch.tensor([1])].tolist(), float(costs.max()), costs.median()
    ([[9.0, 0.0, 1.0]], 16.0, 1.0)
    """

    features: Float[Tensor, "n d"]
    workers: int = 1
    centred: Float[Tensor, "n d"] = field(init=False, repr=False)
    norms: Float[Tensor, " n"] = field(init=False, repr=False)
    """Squared lengths of the centred features."""

    def __post_init__(self) -> None:
        centred = self.features - self.features.mean(dim=0)
        object.__setattr__(self, "centred", centred)
        object.__setattr__(self, "norms", centred.square().sum(dim=1))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.features)

    def __getitem__(self, index: Int[Tensor, "*shape"] | slice) -> Float[Tensor, "*shape n"]:
        """Return the costs from the images of `index` to all images."""
        if isinstance(index, slice):
            return self._rows(torch.arange(len(self))[index])
        return self._rows(index.reshape(-1)).reshape(*index.shape, len(self))

    def _rows(self, index: Int[Tensor, " m"]) -> Float[Tensor, "m n"]:
        cost = self.norms.new_empty(len(index), len(self))
        step = self.block_rows
        for start in range(0, len(index), step):
            self._fill(index[start : start + step], cost[start : start + step])
        return cost

    def _fill(self, index: Int[Tensor, " m"], cost: Float[Tensor, "m n"]) -> None:
        torch.matmul(self.centred[index], self.centred.T, out=cost)
        norms = self.norms[index, None]
        cost.mul_(-2).add_(norms).add_(self.norms).clamp_(min=0)
        # The digits of a cost that is small against the norms are lost.
        small = torch.add(cost, self.norms, alpha=-REFINED_BELOW) < REFINED_BELOW * norms
        pairs = small.nonzero()
        refine_pairs(cost, pairs, self.features[index], self.features)

    @cached_property
    def rounding(self) -> Float[Tensor, " n"]:
        """Rounding errors: that of the cost from i to j is at most error_i + error_j.

        Norms and product are sums of d terms each, and 2 x y <= x^2 + y^2. A cost that is computed
        again from the difference has a smaller error.
        """
        terms = 2 * self.features.shape[1] + OTHER_TERMS
        return terms * torch.finfo(torch.float64).eps * self.norms

    @property
    def block_rows(self) -> int:
        """Number of rows that are computed at a time."""
        return max(1, BLOCK_VALUES // len(self))

    def max(self) -> Float[Tensor, ""]:
        """Return the largest cost."""
        return self.norms.new_tensor(self._summary.largest)

    def mean(self) -> Float[Tensor, ""]:
        """Return the mean cost."""
        return self.norms.new_tensor(self._summary.mean)

    def median(self) -> float:
        """Return the lower median of all costs; the mean if it is 0.

        It is that of `median_cost`, up to rounding.
        """
        found = self._summary
        return found.median if found.median > 0 else found.mean

    def times(self, index: Int[Tensor, " m"], mass: Float[Tensor, " n"]) -> Float[Tensor, " m"]:
        """Return the total cost of each image of `index` with these masses of the class."""
        total = mass.new_empty(len(index))

        def work(rows: slice) -> None:
            total[rows] = self[index[rows]] @ mass

        row_blocks(work, len(index), workers=self.workers, rows=self.block_rows)
        return total

    @cached_property
    def _summary(self) -> CostSummary:
        return summarise(self, self._sample(), self.workers)

    def _sample(self) -> Float[Tensor, " m"]:
        """Return the costs of random pairs, the same in every call."""
        generator = np.random.default_rng(0)
        pairs = torch.from_numpy(generator.integers(len(self), size=(2, SAMPLED_PAIRS)))
        costs = self.norms.new_empty(SAMPLED_PAIRS)
        for part in torch.split(torch.arange(SAMPLED_PAIRS), PAIRS_AT_ONCE):
            difference = self.centred[pairs[0, part]] - self.centred[pairs[1, part]]
            costs[part] = difference.square_().sum(dim=1)
        return costs


def rows_at_once(cost: Float[Tensor, "n n"] | CostRows) -> int | None:
    """Return the number of rows that `row_blocks` should work on; None is its own choice."""
    return cost.block_rows if isinstance(cost, CostRows) else None


def median_of(cost: Float[Tensor, "n n"] | CostRows) -> float:
    """Return the lower median of all costs, the mean if it is 0."""
    return cost.median() if isinstance(cost, CostRows) else median_cost(cost)
