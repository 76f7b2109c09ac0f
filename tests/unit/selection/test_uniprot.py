"""UniPROT: the greedy choice on exact partial transport, against a linear program."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog

from otcondense.selection.baselines.growing_plan import GrowingPlan
from otcondense.selection.baselines.plan_problem import PlanProblem
from otcondense.selection.baselines.uniprot import UniProtSelector

Array = NDArray[np.float64]


def small(seed: int, n: int = 14) -> tuple[Array, Array, Array]:
    """Return features, costs and weights; every second class is weighted, with one weight of 0."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 2))
    weights = rng.random(n) if seed % 2 else np.ones(n)
    weights[2] *= 1 - seed % 2
    cost = np.square(features[:, None] - features).sum(axis=2)
    return features, cost, weights / weights.sum()


def partial_cost(cost: Array, weights: Array, subset: list[int], budget: int) -> float:
    """Return the least cost of shipping 1/budget from each image, within the class's weights."""
    size, chosen = len(cost), len(subset)
    found = linprog(
        cost[subset].ravel(),
        A_ub=np.kron(np.ones((1, chosen)), np.eye(size)),
        b_ub=weights,
        A_eq=np.kron(np.eye(chosen), np.ones((1, size))),
        b_eq=np.full(chosen, 1 / budget),
    )
    assert found.status == 0
    return float(found.fun)


@pytest.mark.parametrize("seed", range(4))
def test_every_step_takes_the_largest_exact_gain(seed: int) -> None:
    features, cost, weights = small(seed)
    budget, exclude = 4, [5]
    chosen: list[int] = []
    for _ in range(budget):
        free = [image for image in range(14) if image not in [*chosen, *exclude]]
        chosen.append(
            min(free, key=lambda image: partial_cost(cost, weights, [*chosen, image], budget))
        )
    selector = UniProtSelector(budget, exclude=exclude).fit(features, weights=weights)
    assert selector.indices_.tolist() == chosen
    assert selector.objective_ == pytest.approx(partial_cost(cost, weights, chosen, budget))
    first = cost.max() * 3 / 4 + partial_cost(cost, weights, chosen[:1], budget)
    assert selector.history_[0].objective == pytest.approx(first)
    assert selector.diagnostics_.solves < 14 + 13 + 12 + 11
    rests = [[*chosen[:place], *chosen[place + 1 :]] for place in range(budget)]
    without = [cost.max() / 4 + partial_cost(cost, weights, rest, budget) for rest in rests]
    assert selector.gain_ == pytest.approx(np.array(without) - selector.objective_)


@pytest.mark.parametrize("seed", range(4))
def test_the_plan_ships_all_and_the_cuts_bound_every_gain(seed: int) -> None:
    _, cost, weights = small(seed)
    budget = 4
    problem = PlanProblem(cost.max() - cost, weights * 14 * budget, 14.0)
    plan = GrowingPlan(problem)
    for image in (3, 0, 9, 4):
        attempts = {other: plan.extended(other, -np.inf) for other in range(14)}
        for other, attempt in attempts.items():
            assert attempt.cut.bound(other) == pytest.approx(attempt.gain, rel=1e-9)
            assert plan.cut().bound(other) >= attempt.gain * (1 - 1e-9)
            assert attempts[image].cut.bound(other) >= attempt.gain * (1 - 1e-9)
            given_up = plan.extended(other, attempt.gain * 1.01)
            assert given_up.gain >= attempt.gain * (1 - 1e-9)
        extended = attempts[image].plan
        assert extended is not None
        plan = extended
        assert plan.plan.sum(axis=1) == pytest.approx(np.full(len(plan.rows), 14.0))
        assert (plan.plan.sum(axis=0) <= problem.capacity + 1e-9).all()
    assert plan.plan.sum(axis=0) == pytest.approx(problem.capacity)
    exact = partial_cost(cost, weights, plan.rows, budget)
    assert cost.max() - plan.total / (14 * budget) == pytest.approx(exact)


def test_equal_masses_make_groups_share_the_chosen_images_by_their_size() -> None:
    """Three quarters of the class in one place: three of four images, as far as equal mass goes."""
    features = np.concatenate([np.linspace(0, 1, 12), np.linspace(50, 51, 4)])[:, None]
    selector = UniProtSelector(4).fit(features)
    assert (selector.indices_ < 12).sum() == 3


def test_included_images_ship_first_and_ties_go_to_the_lower_index() -> None:
    features = np.repeat(np.random.default_rng(3).normal(size=(6, 2)), 3, axis=0)
    selector = UniProtSelector(6, include=[7]).fit(features)
    assert selector.indices_[0] == 7
    assert set(selector.indices_.tolist()) == {0, 3, 7, 9, 12, 15}
    assert selector.objective_ == pytest.approx(0, abs=1e-9)


def test_neither_the_order_nor_the_origin_of_the_images_matters() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(24, 3))
    plain = UniProtSelector(5).fit(features)
    order = rng.permutation(24)
    shuffled = UniProtSelector(5).fit(features[order] - 3.0)
    assert order[shuffled.indices_].tolist() == plain.indices_.tolist()
    weighted = UniProtSelector(5).fit(features, weights=np.full(24, 0.3))
    assert weighted.indices_.tolist() == plain.indices_.tolist()
