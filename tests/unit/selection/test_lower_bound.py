"""The lower bound against all subsets, and the relaxation against the inequalities it rests on."""

from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any, Literal

import pytest
import torch

from otcondense.ot import PartialProblem, SemiDualNewton
from otcondense.selection.engine.lower_bound import subset_lower_bound
from otcondense.selection.engine.lower_bound_config import LowerBoundConfig
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.engine.relaxation import DualPoint, Relaxation, level_rows
from otcondense.selection.engine.smoothed_dual import SmoothedDual, soft_choice
from otcondense.selection.engine.start import k_medoids
from otcondense.selection.engine.statistics import make_statistics

RELAXATION = LowerBoundConfig(enumerate_up_to=0, max_iterations=90)


def problem(seed: int, n: int = 9, **settings: Any) -> SubsetProblem:
    generator = torch.Generator().manual_seed(seed)
    weights = None
    if settings.pop("weighted", False):
        weights = torch.rand(n, generator=generator, dtype=torch.float64) + 0.2
        weights /= weights.sum()
    x = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    x -= x.mean(dim=0) if weights is None else weights @ x
    cost = (x[:, None] - x[None]).square().sum(dim=-1)
    entropy = torch.rand(n, generator=generator, dtype=torch.float64)
    defaults = {
        "budget": 3,
        "kappa": 1.05,
        "epsilon": 0.05 * float(cost.median()),
        "alpha": 0.5,
        "beta": 0.2,
    }
    return SubsetProblem(
        cost, **(defaults | settings), features=x, cross_entropy=entropy, weights=weights
    )


def brute_force(p: SubsetProblem) -> tuple[float, list[int]]:
    """Best objective over all allowed subsets, and its subset."""
    free = [i for i in range(p.size) if i not in {*p.include, *p.exclude}]
    subsets = [[*p.include, *rest] for rest in combinations(free, p.budget - len(p.include))]
    output = SemiDualNewton()(
        PartialProblem(p.cost_matrix[torch.tensor(subsets)], p.epsilon, p.kappa, b=p.b)
    )
    assert output.converged.all()
    values = [
        float(value) + p.penalty(subset)
        for value, subset in zip(output.regularized_value, subsets, strict=True)
    ]
    return min(zip(values, subsets, strict=True))


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "balanced": {"kappa": 1.0},
    "roomy": {"kappa": 2.0},
    "transport-only": {"alpha": 0.0, "beta": 0.0},
    "full": {"statistics": "full", "alpha": 2.0},
    "statistics-heavy": {"alpha": 20.0},
    "weighted": {"weighted": True},
    "include-exclude": {"include": (1,), "exclude": (0, 4)},
    "pair": {"budget": 2},
    "one": {"budget": 1},
    "one-balanced": {"budget": 1, "kappa": 1.0},
    "one-full": {"budget": 1, "statistics": "full"},
    "small-epsilon": {"epsilon": 1e-3},
    "large-epsilon": {"epsilon": 50.0},
}
variants = pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)


@variants
@pytest.mark.parametrize("seed", range(2))
def test_no_subset_is_below_the_bound(settings: dict[str, Any], seed: int) -> None:
    p = problem(seed, **settings)
    best, subset = brute_force(p)
    exact = subset_lower_bound(p, upper=2 * best, config=LowerBoundConfig())
    relaxed = subset_lower_bound(p, upper=2 * best, config=RELAXATION, subset=subset)
    assert (exact.method, relaxed.method) == ("enumeration", "relaxation")
    assert best * (1 - 1e-6) <= exact.value <= best
    # The bound falls below this share if the ascent, or the link between rows and choices, breaks.
    # With more images per feature, the statistics would allow a larger share.
    least = 0.1 if p.alpha > 1 or p.epsilon < 0.01 else 0.3
    assert least * best <= relaxed.value <= best


def test_the_relaxation_is_mostly_within_15_percent_on_tiny_classes_and_never_far_off() -> None:
    ratios = []
    for seed in range(9):
        p = problem(seed, n=10 + seed % 3, budget=2 + seed % 3)
        best, _ = brute_force(p)
        ratios.append(subset_lower_bound(p, upper=best, config=RELAXATION).value / best)
    assert sum(ratio > 0.85 for ratio in ratios) >= 6
    assert min(ratios) > 0.7


def test_the_bound_is_tight_if_the_clusters_leave_no_choice() -> None:
    centres = 10 * torch.eye(4, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    noise = 0.3 * torch.randn(4, 12, 4, generator=generator, dtype=torch.float64)
    x = (centres[:, None] + noise).reshape(48, 4)
    x -= x.mean(dim=0)
    cost = (x[:, None] - x[None]).square().sum(dim=-1)
    p = SubsetProblem(cost, budget=4, kappa=1.0, epsilon=0.05, features=None)
    medoids = []
    for first in range(0, 48, 12):
        cluster = slice(first, first + 12)
        medoids.append(first + int(cost[cluster, cluster].sum(dim=1).argmin()))
    upper = p.exact_objective(medoids)
    bound = subset_lower_bound(p, upper=upper, config=RELAXATION, subset=medoids)
    assert bound.value == pytest.approx(upper, rel=1e-6)


def test_on_a_larger_class_the_ascent_closes_most_of_the_gap() -> None:
    p = problem(0, n=200, budget=8)
    upper = p.exact_objective(k_medoids(p))
    values = [
        subset_lower_bound(
            p, upper=upper, config=LowerBoundConfig(enumerate_up_to=0, max_iterations=count)
        ).value
        for count in (0, 120)
    ]
    assert values[0] < 0.6 * upper
    assert values[1] > 0.8 * upper


@pytest.mark.parametrize("epsilon", [0.0, 0.3])
def test_every_row_price_is_below_that_of_its_own_capped_problem(epsilon: float) -> None:
    """Feasible plans of the capped row problem cost at least the price."""
    p = problem(2, epsilon=epsilon, alpha=0.0, beta=0.0)
    g = torch.randn(9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    empty = g[:0]
    price = Relaxation(p).prices(DualPoint(g, empty, empty), steps=20)
    generator = torch.Generator().manual_seed(5)
    lowest = torch.full((9,), torch.inf, dtype=torch.float64)
    for _ in range(4000):
        shares = torch.rand(9, generator=generator, dtype=torch.float64)
        plan = p.b * shares ** torch.randint(0, 12, (1,), generator=generator)
        plan *= (1 / 3) / plan.sum()
        if (plan <= p.b).all():
            divergence = torch.special.xlogy(plan, plan * 3 * p.kappa / p.b).sum()
            lowest = torch.minimum(lowest, (p.cost_matrix - g) @ plan + epsilon * divergence)
    assert (price <= lowest + 1e-12).all()


def test_levels_reach_the_share_from_any_start() -> None:
    generator = torch.Generator().manual_seed(0)
    x = 30 * torch.randn(50, 40, generator=generator, dtype=torch.float64)
    b = torch.full((40,), 1.05 / 40, dtype=torch.float64)
    shift, t, spent = level_rows(x.clone(), b, 0.1, 60)
    assert (t @ b).sub(0.1).abs().max() < 1e-9
    again = x + shift[:, None]
    assert torch.allclose(spent, (again.clamp(max=0).exp() + again.clamp(min=0)) @ b)


@pytest.mark.parametrize("statistics", ["diagonal", "full"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_statistics_are_never_below_their_linear_bound(
    statistics: Literal["diagonal", "full"], size: int
) -> None:
    p = problem(4, n=12, budget=size, statistics=statistics, alpha=1.0, beta=0.0, weighted=True)
    relaxation = Relaxation(p)
    term = make_statistics(statistics, p.features, p.weights)
    generator = torch.Generator().manual_seed(size)
    d = relaxation.features.shape[1]
    for _ in range(60):
        scale = 10 ** float(-2 * torch.rand(1, generator=generator))
        p_vector = scale * torch.randn(d, generator=generator, dtype=torch.float64)
        q = scale * torch.randn(d, generator=generator, dtype=torch.float64)
        q = q.clamp(max=(1 - 1 / size) * 0.99)
        point = DualPoint(torch.zeros(12, dtype=torch.float64), p_vector, q)
        subset = torch.randperm(12, generator=generator)[:size]
        linear = relaxation.statistics_constant(point) + float(
            relaxation.row_terms(point, subset).sum()
        )
        assert linear <= float(term.value(subset)) + 1e-12


@pytest.mark.parametrize("forced", [0, 2])
def test_soft_choice_stays_below_the_cheapest_and_tends_to_them(forced: int) -> None:
    price = torch.randn(30, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    exact = float(price[:forced].sum() + price[forced:].sort().values[: 7 - forced].sum())
    values = [soft_choice(price, forced, 7, tau) for tau in (1.0, 0.1, 1e-3, 1e-9)]
    assert all(second[0] > first[0] - 1e-9 for first, second in pairwise(values))
    assert values[-1][0] == pytest.approx(exact, rel=1e-6)
    for value, y in values:
        assert value <= exact + 1e-12
        assert float(y.sum()) == pytest.approx(7, abs=1e-6)


@pytest.mark.parametrize(
    "settings",
    [{}, {"statistics": "full"}, {"kappa": 1.0, "alpha": 0.0}, {"include": (2,)}],
    ids=str,
)
def test_the_gradient_of_the_smoothed_dual_equals_its_differences(settings: dict[str, Any]) -> None:
    p = problem(1, n=12, **settings)
    relaxation = Relaxation(p)
    d = len(relaxation.std)
    start = DualPoint(
        0.3 * p.cost_matrix.mean(dim=0),
        torch.full((d,), 0.1).double(),
        torch.full((d,), -0.2).double(),
    )
    rows = torch.cat([torch.tensor(p.include, dtype=torch.int64), relaxation.candidates()])
    function = SmoothedDual(relaxation, rows, p.epsilon, 0.05)
    z = torch.from_numpy(function._pack(start))
    for _ in range(10):
        _, gradient = function.value_and_gradient(z)
    direction = torch.randn(len(z), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sides = []
    for sign in (1, -1):
        for _ in range(10):
            value, _ = function.value_and_gradient(z + sign * 1e-2 * direction)
        sides.append(value)
    assert (sides[0] - sides[1]) / 2e-2 == pytest.approx(
        float(gradient @ direction), rel=2e-2, abs=1e-3
    )


def test_the_bound_is_the_same_for_any_number_of_threads() -> None:
    p = problem(0, n=300, budget=6)
    bounds = [
        subset_lower_bound(
            p,
            upper=1.0,
            config=LowerBoundConfig(enumerate_up_to=0, max_iterations=24),
            workers=count,
        )
        for count in (1, 2)
    ]
    assert bounds[0] == bounds[1]


def test_a_round_on_few_rows_still_bounds_every_subset() -> None:
    """The rows left out of the round have prices too.

    Without them, the value would exceed the bound on all rows.
    """
    p = problem(0, n=120, budget=4)
    upper = p.exact_objective(k_medoids(p))
    few = subset_lower_bound(p, upper=upper, config=LowerBoundConfig(max_rows=60)).value
    all_rows = subset_lower_bound(p, upper=upper, config=LowerBoundConfig(max_rows=120)).value
    assert few <= all_rows * 1.01
    assert all_rows > 0.8 * upper


def test_the_unregularised_bound_holds_for_the_plain_transport_cost() -> None:
    p = problem(3, alpha=0.0, beta=0.0, epsilon=0.5)
    plain = replace(p, epsilon=0.0)
    best = min(float(p.transport(subset).transport_cost) for subset in combinations(range(9), 3))
    bound = subset_lower_bound(plain, upper=best, config=RELAXATION, subset=[0, 1, 2])
    assert 0.3 * best <= bound.value <= best


@pytest.mark.parametrize("budget", [2, 7, 27, 29])
def test_the_bound_is_trivial_at_the_end_of_the_duals_domain(budget: int) -> None:
    """At q = (K - 1) / K the part of the statistics is minus infinity, also with rounding."""
    p = problem(0, n=budget + 3, budget=budget)
    relaxation = Relaxation(p)
    dual = SmoothedDual(relaxation, torch.arange(p.size), p.epsilon, 1e-3)
    d = len(relaxation.std)
    z = torch.cat([torch.zeros(p.size), torch.ones(d), torch.full((d,), -1e6)]).double()
    point = dual._unpack(z)
    assert relaxation.statistics_constant(point) <= 0
    outside = DualPoint(point.g, point.p, torch.ones(d, dtype=torch.float64))
    assert relaxation.statistics_constant(outside) == -float("inf")


def test_features_that_are_mostly_zero_have_a_bound() -> None:
    """Few chosen images vary in them; the bound still exceeds that of the transport alone."""
    generator = torch.Generator().manual_seed(0)
    x = (torch.randn(80, 60, generator=generator, dtype=torch.float64) - 1.5).clamp(min=0)
    cost = (x[:, None] - x[None]).square().sum(dim=-1)
    settings = {
        "budget": 4,
        "kappa": 1.05,
        "epsilon": 0.05 * float(cost.median()),
        "alpha": 1.0,
        "features": x - x.mean(dim=0),
    }
    p = SubsetProblem(cost, **settings)
    subset = k_medoids(p)
    upper = float(p.transport(subset).regularized_value) + p.penalty(subset)
    config = LowerBoundConfig()
    bound = subset_lower_bound(p, upper=upper, config=config, subset=subset)
    without = replace(p, alpha=0.0)
    transport = subset_lower_bound(without, upper=upper, config=config, subset=subset)
    assert transport.value < bound.value < upper
