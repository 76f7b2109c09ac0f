"""A proof is claimed only if the objective is certain to within the tolerance of a swap."""

from typing import Any

import numpy as np
import pytest
import torch

from otcondense.ot import PartialProblem, SemiDualNewton, Sinkhorn, squared_euclidean
from otcondense.selection.engine import problem as engine_problem
from otcondense.selection.geometry_aware import GeometryAwareSelector
from otcondense.selection.nearest import Distances

FAR: list[Any] = [1e3, 1e10]
FAR += [pytest.param(far, marks=pytest.mark.slow) for far in (1e5, 1e8, 1e12, 1e15)]


def with_distant_row(far: float, size: int = 60) -> np.ndarray:
    features = np.random.default_rng(0).normal(size=(size, 4))
    features[17] = far
    return features


@pytest.mark.parametrize("far", FAR)
@pytest.mark.parametrize("settings", [{}, {"alpha": 0.0}, {"statistics": "full"}], ids=str)
def test_a_proof_needs_a_certain_objective(far: float, settings: dict[str, Any]) -> None:
    selector = GeometryAwareSelector(4, rebuilds=0, **settings).fit(with_distant_row(far))
    found = selector.diagnostics_
    certain = found.certified_error + found.rounding_error <= 1e-8 * found.median_cost
    assert certain or not selector.swap_optimal_
    if far >= 1e8 and settings != {"alpha": 0.0}:
        assert not selector.swap_optimal_
    assert selector.lower_bound_ <= selector.objective_


@pytest.mark.parametrize("kappa", [1.0, pytest.param(1.05, marks=pytest.mark.slow)])
def test_a_distant_row_that_must_be_served_leaves_nothing_proven(kappa: float) -> None:
    # 1 / 12 of the class is more than the share 1 - 1 / 1.05 that may be left out.
    features = with_distant_row(1e10)[10:22]
    settings: dict[str, Any] = {"rebuilds": 0, "lower_bound": None}
    selector = GeometryAwareSelector(2, kappa=kappa, **settings).fit(features)
    assert not selector.swap_optimal_
    assert len(set(selector.indices_.tolist())) == 2


@pytest.mark.parametrize("far", FAR)
def test_a_distant_row_does_not_change_a_subset_chosen_by_transport(far: float) -> None:
    near = GeometryAwareSelector(5, alpha=0.0, rebuilds=0).fit(with_distant_row(300.0))
    selector = GeometryAwareSelector(5, alpha=0.0, rebuilds=0).fit(with_distant_row(far))
    assert sorted(selector.indices_.tolist()) == sorted(near.indices_.tolist())
    assert selector.objective_ == pytest.approx(near.objective_, rel=1e-6)
    assert selector.swap_optimal_ == (far <= 1e12)


@pytest.mark.parametrize("far", FAR)
def test_distances_keep_their_digits_beside_a_distant_row(far: float) -> None:
    rows = with_distant_row(far)
    expected = np.square(rows[:, None] - rows).sum(axis=2)
    assert squared_euclidean(torch.from_numpy(rows)).numpy() == pytest.approx(expected, rel=1e-8)
    assert Distances(rows).to(np.arange(60)) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("kappa", [1.0, 1.001, 1.05, 2.0])
@pytest.mark.parametrize("epsilon", [1e-3, 0.05, 1.0])
def test_the_certified_error_covers_the_distance_to_the_optimum(
    kappa: float, epsilon: float
) -> None:
    cost = squared_euclidean(torch.from_numpy(with_distant_row(50.0)))[:6]
    problem = PartialProblem(cost, epsilon * float(cost.median()), kappa)
    optimum = SemiDualNewton()(problem)
    for iterations in (1, 3, 10, 40):
        early = Sinkhorn(max_iterations=iterations)(problem)
        assert float(early.value_upper_bound) >= float(optimum.value_lower_bound)
        assert float(early.value_lower_bound) <= float(optimum.value_upper_bound)


@pytest.mark.parametrize("kappa", [1.0, 1.05, 2.0])
@pytest.mark.parametrize("iterations", [1, 5, 50])
def test_the_plan_of_an_unfinished_solver_is_rounded_to_the_prescribed_masses(
    kappa: float, iterations: int
) -> None:
    cost = squared_euclidean(torch.from_numpy(with_distant_row(3.0, 40)))[:5]
    output = Sinkhorn(max_iterations=iterations)(PartialProblem(cost, 1e-3, kappa))
    plan = output.feasible_plan
    _, a, b = output.problem.balanced()
    assert bool((plan >= 0).all())
    assert plan.sum(dim=1).numpy() == pytest.approx(a.numpy(), abs=1e-12)
    assert plan.sum(dim=0).numpy() == pytest.approx(b.numpy(), abs=1e-12)


@pytest.mark.parametrize("solver", ["newton", "sinkhorn"])
def test_the_received_mass_sums_to_one_at_a_small_epsilon(
    solver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_problem, "SINKHORN_ITERATIONS", 200)
    features = np.random.default_rng(1).normal(size=(12, 3))
    settings: dict[str, Any] = {"solver": solver, "lower_bound": None, "rebuilds": 0}
    selector = GeometryAwareSelector(3, epsilon_relative=1e-4, **settings).fit(features)
    assert selector.received_mass_.sum() == pytest.approx(1, abs=1e-8)
    found = selector.diagnostics_
    if found.marginal_error > 1e-6:
        assert not selector.swap_optimal_
        assert found.certified_error > 1e-8 * found.median_cost
