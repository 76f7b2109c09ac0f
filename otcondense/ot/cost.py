"""Ground costs."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.ot.blocks import row_blocks

REFINED_BELOW = 1e-6
"""A squared distance below this share of the squared norms has lost half of its digits.

It is computed again from the difference of the rows.
"""

REFINED_VALUES = 1 << 19
"""Number of values in the intermediate results of a block of such distances (4 MB)."""


@dataclass(frozen=True)
class SquaredEuclidean:
    """Squared Euclidean distance, computed from the Gram matrix of centred rows in float64.

    Without centring, a large common shift of the features would cancel the significant digits.
    Distances that are small against the norms, as those between all images but a distant one, are
    computed again from the difference of the rows.

    Examples
    --------
    >>> import torch
    >>> from otcondense.ot import SquaredEuclidean
    >>> SquaredEuclidean()(torch.tensor([[0.0], [3.0]])).tolist()
    [[0.0, 9.0], [9.0, 0.0]]
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
        others = x if y is None else y

        def fill(rows: slice) -> None:
            torch.matmul(left[rows], right.T, out=cost[rows])
            cost[rows].mul_(-2).add_(norm_left[rows, None]).add_(norm_right).clamp_(min=0)
            norms = norm_left[rows, None] + norm_right
            _refine(cost[rows], norms, x[rows].double(), others.double())

        row_blocks(fill, len(left), workers=self.workers)
        if y is None:
            cost.fill_diagonal_(0)
        return cost


def _refine(
    cost: Float[Tensor, "m n"],
    norms: Float[Tensor, "m n"],
    x: Float[Tensor, "m d"],
    y: Float[Tensor, "n d"],
) -> None:
    """Replace the costs that have lost their digits, in place."""
    refine_pairs(cost, (cost < REFINED_BELOW * norms).nonzero(), x, y)


def refine_pairs(
    cost: Float[Tensor, "m n"],
    pairs: Int[Tensor, "p 2"],
    x: Float[Tensor, "m d"],
    y: Float[Tensor, "n d"],
) -> None:
    """Compute the costs of these pairs again from the difference of the rows, in place."""
    for part in torch.split(pairs, max(1, REFINED_VALUES // x.shape[1])):
        row = part[:, 0]
        column = part[:, 1]
        cost[row, column] = (x[row] - y[column]).square_().sum(dim=1)


def squared_euclidean(features: Float[Tensor, "n d"]) -> Float[Tensor, "n n"]:
    """Return the squared distances between all rows, float64, symmetric up to rounding."""
    return SquaredEuclidean()(features)


def median_cost(cost: Float[Tensor, "n n"]) -> float:
    """Return the lower median of all entries.

    If it is 0, more than half of the entries are between equal images: return the mean, which is 0
    if all of them are.
    """
    middle = float(cost.flatten().kthvalue((cost.numel() + 1) // 2).values)
    return middle if middle > 0 else float(cost.mean())
