"""The bounds of candidates against the value that they bound, computed plainly in float64."""

import math

import pytest
import torch

from otcondense.ot.cost_rows import CostRows
from otcondense.selection.engine.block_bounds import BlockBounds
from otcondense.selection.engine.bounds import TransportBounds

KAPPA = 1.05
SIZE = 4
"""Images in the subset."""


def dual_value(bounds: TransportBounds, others: torch.Tensor, prices: torch.Tensor) -> torch.Tensor:
    """The semi-dual value of every candidate at its own potential."""
    a = 1 / SIZE
    claims = (bounds.own[:, None] + prices - bounds.cost_matrix[:]) / bounds.epsilon
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


def adversarial(kind: str) -> torch.Tensor:
    """Features whose costs float32 would not tell apart, or whose exponents it would not hold."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(150, 4, generator=generator, dtype=torch.float64)
    if kind == "offset":
        x += 1e6
    elif kind == "distant":
        x[7] = 1e6
    elif kind == "copies":
        x[75:] = x[:75] + 1e-7
    elif kind == "outliers":
        x[::10] *= 30
    return x


@pytest.mark.parametrize("of_large_class", [True, False])
@pytest.mark.parametrize("kind", ["plain", "offset", "distant", "copies", "outliers"])
@pytest.mark.parametrize("epsilon", [1.0, 0.05, 0.001])
def test_no_bound_is_above_the_value_however_far_prices_jump(
    kind: str, epsilon: float, of_large_class: bool
) -> None:
    costs = CostRows(adversarial(kind))
    epsilon *= costs.median()
    b = torch.full((150,), KAPPA / 150, dtype=torch.float64)
    bounds: TransportBounds = BlockBounds(costs, b, epsilon, KAPPA)
    if not of_large_class:
        bounds = TransportBounds(costs[:], b, epsilon, KAPPA)
    generator = torch.Generator().manual_seed(2)
    everyone = torch.arange(150)
    others = torch.zeros(SIZE - 1, dtype=torch.float64)

    # Prices jump by up to 400 epsilon, both ways: entries of the kernel are cut at both ends.
    for reach in (1.0, 400.0, 3.0, 90.0, 0.0, 200.0):
        prices = -reach * epsilon * torch.rand(150, generator=generator, dtype=torch.float64)
        for candidates in (everyone[::7], *[everyone] * 12):
            bound = bounds(others, prices, SIZE, candidates)
            value = dual_value(bounds, others, prices)[candidates]
            rounding = 1e-15 * bounds.own[candidates].abs()  # of the value itself
            assert (bound <= value + rounding).all()
        # The potentials have settled, those of far images not yet. Rounding and cuts cost little.
        if kind in ("plain", "offset", "copies"):
            assert (bound > value - 0.02 * epsilon - 1e-9 * value.abs()).all()
