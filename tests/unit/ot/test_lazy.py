"""POT's lazy solver, from features, against the linear program on the costs of the subset."""

import pytest
import torch

from otcondense.ot import PartialProblem, SemiDualNewton, SquaredEuclidean
from otcondense.ot.exact import linear_value
from otcondense.ot.lazy import lazy_linear_value


@pytest.mark.parametrize("kappa", [1.0, 1.05, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_the_lazy_value_is_that_of_the_linear_program(
    kappa: float, weighted: bool, warm: bool, offset: float
) -> None:
    pytest.importorskip("ot")
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(150, 4, generator=generator, dtype=torch.float64) + offset
    subset = torch.tensor([3, 50, 99, 120])
    weights = None
    if weighted:
        weights = torch.rand(150, generator=generator, dtype=torch.float64) + 0.1
        weights /= weights.sum()
    cost = SquaredEuclidean()(features[subset], features)
    mass = None if weights is None else kappa * weights
    problem = PartialProblem(cost, 0.2, kappa, b=mass)
    f = SemiDualNewton()(problem).f if warm else None
    found = lazy_linear_value(features, subset, kappa, weights=weights, f=f)
    assert found == pytest.approx(linear_value(problem), rel=1e-8)
