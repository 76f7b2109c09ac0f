"""The bounds of candidates against the value that they bound, computed plainly in float64."""

import math

import pytest
import torch

from otcondense.selection.engine.bounds import TransportBounds

KAPPA = 1.05
SIZE = 4
"""Images in the subset."""


def dual_value(bounds: TransportBounds, others: torch.Tensor, prices: torch.Tensor) -> torch.Tensor:
    """The semi-dual value of every candidate at its own potential."""
    a = 1 / SIZE
    claims = (bounds.own[:, None] + prices - bounds.cost_matrix) / bounds.epsilon
    claims += math.log(a / KAPPA)
    claimed = torch.logaddexp(claims, torch.zeros(())) @ bounds.b
    constant = a * others.sum() + bounds.b @ prices
    return a * bounds.own - bounds.epsilon * claimed + constant


@pytest.mark.parametrize("epsilon", [1.0, 0.05, 0.004])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_bound_is_just_below_the_value_at_the_candidate_s_own_potential(
    epsilon: float, weighted: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(90, 5, generator=generator, dtype=torch.float64)
    cost = torch.cdist(x, x).square()
    cost /= cost.median()
    b = torch.full((90,), KAPPA / 90, dtype=torch.float64)
    if weighted:
        b *= torch.rand(90, generator=generator, dtype=torch.float64) + 0.5
        b *= KAPPA / b.sum()
    bounds = TransportBounds(cost, b, epsilon, KAPPA)
    others = torch.rand(SIZE - 1, generator=generator, dtype=torch.float64)
    everyone = torch.arange(90)

    for _ in range(5):
        prices = -torch.rand(90, generator=generator, dtype=torch.float64)
        bound = bounds(others, prices, SIZE, everyone)
        assert (bound <= dual_value(bounds, others, prices)).all()
    for _ in range(10):
        bound = bounds(others, prices, SIZE, everyone)
    value = dual_value(bounds, others, prices)
    assert (bound <= value).all()
    assert (bound > value - 1e-3 * epsilon).all()

    few = torch.tensor([3, 50, 89])
    bounds.drop_kernel()
    assert (bounds(others, prices, SIZE, few) <= dual_value(bounds, others, prices)[few]).all()
