"""Ground costs."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.ot.blocks import row_blocks


@dataclass(frozen=True)
class SquaredEuclidean:
    """Squared Euclidean distance, computed from the Gram matrix of centred rows in float64.

    Without centring, a large common shift of the features would cancel the significant digits.
    """

    workers: int = 1

    def __call__(
        self, x: Float[Tensor, "k d"], y: Float[Tensor, "n d"] | None = None
    ) -> Float[Tensor, "k n"]:
        """Return the cost from each row of `x` to each row of `y`.

        With `y=None` the costs are those between the rows of `x`, with a zero diagonal.
        """
        centre = x.double().mean(dim=0)
        left = x.double() - centre
        right = left if y is None else y.double() - centre
        norm_left = left.square().sum(dim=1)
        norm_right = right.square().sum(dim=1)
        cost = left.new_empty(len(left), len(right))

        def fill(rows: slice) -> None:
            torch.matmul(left[rows], right.T, out=cost[rows])
            cost[rows].mul_(-2).add_(norm_left[rows, None]).add_(norm_right).clamp_(min=0)

        row_blocks(fill, len(left), workers=self.workers)
        if y is None:
            cost.fill_diagonal_(0)
        return cost


def squared_euclidean(features: Float[Tensor, "n d"]) -> Float[Tensor, "n n"]:
    """Return the squared distances between all rows, float64, symmetric up to rounding."""
    return SquaredEuclidean()(features)
