"""The converged solver against a general optimiser, POT, the linear program and closed forms."""

import itertools

import numpy as np
import ot
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from otcondense.errors import InputError
from otcondense.ot import PartialProblem, SemiDualNewton
from tests.generators.partial_ot import (
    diracs,
    distances,
    linear_value,
    permuted,
    points,
    problems,
    regularized_value,
)

solve = SemiDualNewton()


@settings(max_examples=25, deadline=None)
@given(problems())
def test_value_and_marginals_agree_with_a_general_optimiser(problem):
    output = solve(problem)
    assert bool(output.converged)
    assert output.plan.sum(dim=1).numpy() == pytest.approx(problem.row_mass.numpy(), abs=1e-9)
    assert bool((output.plan.sum(dim=0) <= problem.column_mass + 1e-12).all())
    assert bool((output.plan >= 0).all())
    reference = regularized_value(problem)
    scale = float(problem.cost_matrix.max())
    # A general optimiser may stop early, but never exceeds the optimum.
    assert reference <= float(output.regularized_value + output.certified_error) + 1e-9 * scale
    if scale / problem.epsilon <= 100:
        assert float(output.regularized_value) == pytest.approx(reference, abs=1e-6 * scale)


@settings(max_examples=25, deadline=None)
@given(problems())
def test_linear_value_transport_cost_and_regularized_value_are_ordered(problem):
    output = solve(problem)
    slack = 1e-8 * float(problem.cost_matrix.max())
    assert linear_value(problem) <= float(output.transport_cost) + slack
    assert float(output.transport_cost) <= float(output.regularized_value) + slack
    assert float(output.value_lower_bound) <= float(output.regularized_value)


@settings(max_examples=25, deadline=None)
@given(problems(), st.floats(-50, 50))
def test_a_constant_on_the_dummy_row_changes_nothing(problem, delta):
    assume(problem.has_dummy and float(problem.cost_matrix.max()) / problem.epsilon <= 50)
    cost, a, b = (part.numpy().copy() for part in problem.balanced())
    cost[-1] += delta
    options = {"numItermax": 5_000, "stopThr": 1e-11, "warn": False, "log": True}
    with_delta, record = ot.bregman.sinkhorn_log(
        a, b * a.sum() / b.sum(), cost, problem.epsilon, **options
    )
    assume(record["err"][-1] < 1e-9)  # the reference must have converged
    assert solve(problem).plan.numpy() == pytest.approx(with_delta[:-1], abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(problems(), st.floats(1e-3, 1e3))
def test_scaling_cost_and_epsilon_does_not_change_the_plan(problem, factor):
    scaled = PartialProblem(
        problem.cost_matrix * factor, problem.epsilon * factor, problem.kappa, b=problem.b
    )
    assert solve(scaled).plan.numpy() == pytest.approx(solve(problem).plan.numpy(), abs=1e-7)
    assert float(solve(scaled).regularized_value) == pytest.approx(
        factor * float(solve(problem).regularized_value), rel=1e-7, abs=1e-12
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 4), st.lists(st.floats(1, 4), min_size=2, max_size=4))
def test_cost_does_not_grow_with_capacity(seed, k, kappas):
    rows = points(seed, 12)
    cost = distances(rows[:k], rows)
    epsilon = float(cost.max()) / 1e4
    values = [
        float(solve(PartialProblem(cost, epsilon, kappa)).transport_cost)
        for kappa in sorted(kappas)
    ]
    assert all(
        after <= before + 2e-3 * float(cost.max()) for before, after in itertools.pairwise(values)
    )
    linear = [linear_value(PartialProblem(cost, 1.0, kappa)) for kappa in sorted(kappas)]
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(linear))


@pytest.mark.parametrize("kappa", [1.0, 1.05, 1.5, 2.0, 4.0])
def test_one_image_takes_its_nearest_share(kappa):
    experiment = diracs(20, kappa)
    assert float(solve(experiment.problem).transport_cost) == pytest.approx(
        experiment.linear_value, abs=0.05
    )
    assert linear_value(experiment.problem) == pytest.approx(experiment.linear_value)


def test_serving_the_class_by_itself_costs_nothing():
    experiment = permuted(0, 8)
    assert float(solve(experiment.problem).transport_cost) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("ratio", [1, 10, 100, 1000, 10_000])
@pytest.mark.parametrize("kappa", [1.0, 1.05, 2.0])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_converges_for_every_ratio_of_cost_to_epsilon(ratio, kappa, k):
    rows = points(3, 120, 8, outliers=6)
    cost = distances(rows[-k:], rows)
    output = solve(PartialProblem(cost, float(cost.max()) / ratio, kappa))
    assert bool(output.converged)
    assert float(output.certified_error) <= 1e-7 * float(cost.max())
    linear = ot.emd2(*(part.numpy() for part in _emd_form(cost, kappa)))
    assert linear - 1e-9 <= float(output.transport_cost) <= float(output.regularized_value) + 1e-9


def _emd_form(cost, kappa):
    full, a, b = PartialProblem(cost, 1.0, kappa).balanced()
    return a, b * (a.sum() / b.sum()), full


def test_warm_start_reaches_the_same_solution_in_fewer_steps():
    rows = points(5, 60, 4)
    cost = distances(rows[:6], rows)
    problem = PartialProblem(cost, float(cost.max()) / 100, 1.05)
    cold = solve(problem)
    moved = PartialProblem(distances(rows[[0, 1, 2, 3, 4, 7]], rows), problem.epsilon, 1.05)
    warm = solve(moved, cold.f)
    fresh = solve(moved)
    assert warm.iterations < fresh.iterations
    assert warm.f.numpy() == pytest.approx(fresh.f.numpy(), abs=1e-6)


def test_a_useless_start_does_not_change_the_solution():
    rows = points(5, 40, 4)
    cost = distances(rows[:5], rows)
    problem = PartialProblem(cost, float(cost.max()) / 5000, 1.05)
    far = solve(problem, torch.tensor([1e4, -1e4, 0.0, 1e3, -50.0], dtype=torch.float64))
    assert bool(far.converged)
    assert float(far.regularized_value) == pytest.approx(
        float(solve(problem).regularized_value), rel=1e-9
    )


def test_a_batch_gives_the_same_as_its_problems_one_by_one():
    rows = points(1, 30)
    cost = torch.stack([distances(rows[start : start + 4], rows) for start in range(0, 20, 4)])
    batch = solve(PartialProblem(cost, 0.2, 1.05))
    single = [float(solve(PartialProblem(part, 0.2, 1.05)).regularized_value) for part in cost]
    assert batch.regularized_value.numpy() == pytest.approx(single, rel=1e-10)
    assert batch.plan.shape == cost.shape


def test_stopping_early_still_gives_a_lower_bound():
    rows = points(2, 50)
    cost = distances(rows[:5], rows)
    problem = PartialProblem(cost, float(cost.max()) / 300, 1.05)
    full = solve(problem)
    start = full.f + 1.0 + torch.arange(5)
    early = solve(problem, start, stop_above=float(full.regularized_value) - 1.0)
    assert early.iterations < solve(problem, start).iterations
    assert float(early.value_lower_bound) <= float(full.regularized_value)
    assert float(early.regularized_value + early.certified_error) >= float(full.regularized_value)


def test_dual_value_of_any_potentials_is_a_lower_bound():
    rows = points(9, 40)
    cost = distances(rows[:5], rows)
    problem = PartialProblem(cost, float(cost.max()) / 50, 1.3)
    best = solve(problem)
    for seed in range(20):
        f = best.f + torch.from_numpy(np.random.default_rng(seed).normal(size=5))
        other = type(best)(problem, f, 1e-9, 0)
        assert float(other.value_lower_bound) <= float(best.regularized_value)
        assert float(other.regularized_value + other.certified_error) >= float(
            best.regularized_value
        )
        assert not bool(other.converged)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"epsilon": -1.0}, "epsilon must be >= 0"),
        ({"epsilon": float("nan")}, "epsilon must be >= 0"),
        ({"epsilon": 1.0, "kappa": 0.5}, "kappa must be at least 1"),
        ({"epsilon": 1.0, "a": torch.tensor([0.5, 0.4])}, "a must hold 2 values"),
        ({"epsilon": 1.0, "b": torch.tensor([0.5, -0.5, 1.0])}, "b must hold 3 values"),
    ],
)
def test_invalid_problems_are_refused(settings_, message):
    with pytest.raises(InputError, match=message):
        PartialProblem(torch.ones(2, 3), **settings_)


def test_newton_needs_regularisation():
    with pytest.raises(InputError, match="epsilon > 0"):
        solve(PartialProblem(torch.ones(2, 3), 0.0))
