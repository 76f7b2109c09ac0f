"""The selector against brute force, and changes of the input that must not change the result."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from otcondense.selection.engine.lower_bound_config import LowerBoundConfig
from otcondense.selection.geometry_aware import GeometryAwareSelector
from tests.generators.classes import (
    SmallClass,
    all_values,
    distances,
    objective,
    objectives,
    small_class,
    small_classes,
)

QUICK_BOUND = LowerBoundConfig(max_iterations=9, enumerate_up_to=0)


def fit(data: SmallClass, **options) -> GeometryAwareSelector:
    return GeometryAwareSelector(**{"lower_bound": None, "rebuilds": 2, **options}).fit(
        data.features, cross_entropy=data.cross_entropy, weights=data.weights
    )


@settings(max_examples=8, deadline=None)
@given(
    small_classes(11),
    st.integers(1, 3),
    st.sampled_from((1.0, 1.05, 1.5)),
    st.sampled_from(("diagonal", "full")),
    st.sampled_from((0.005, 0.05)),
)
def test_the_result_against_every_subset(data, budget, kappa, statistics, epsilon_relative):
    selector = fit(
        data,
        budget=budget,
        kappa=kappa,
        statistics=statistics,
        epsilon_relative=epsilon_relative,
        lower_bound=LowerBoundConfig(),
    )
    values = all_values(data, selector)
    best = min(values.values())
    slack = 1e-6 * selector.diagnostics_.median_cost
    own = tuple(sorted(selector.indices_.tolist()))
    assert selector.objective_ == pytest.approx(values[own], abs=slack)
    assert selector.lower_bound_ <= best + slack
    assert best <= selector.objective_ + slack
    assert selector.swap_optimal_
    neighbours = [
        value for subset, value in values.items() if len(set(subset) & set(own)) == budget - 1
    ]
    assert all(value >= selector.objective_ - slack for value in neighbours)
    assert selector.objective_ - selector.lower_bound_ <= 0.15 * selector.objective_


@settings(max_examples=5, deadline=None)
@given(small_classes(12), st.integers(2, 4))
def test_greedy_is_the_exact_greedy_choice(data, budget):
    selector = fit(data, budget=budget)
    chosen: list[int] = []
    for image in selector.greedy_indices_.tolist():
        others = [other for other in range(data.size) if other not in chosen]
        subsets = [(*chosen, other) for other in others]
        values = dict(zip(others, objectives(data, subsets, selector), strict=True))
        slack = 1e-6 * selector.diagnostics_.median_cost
        assert values[image] <= min(values.values()) + slack
        chosen.append(image)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"statistics": "full"},
        {"kappa": 1.0},
        {"alpha": 0.0},
        {"start": "k_medoids"},
        {"epsilon_relative": 5e-3},
    ],
)
def test_every_accepted_swap_decreases_the_objective(options):
    data = small_class(3, 50, width=6, outliers=3)
    selector = (
        fit(data, budget=5, start="k_medoids", **options)
        if "start" not in options
        else fit(data, budget=5, **options)
    )
    swaps = [step.objective for step in selector.history_ if step.stage == "swap"]
    assert len(swaps) >= 1
    assert all(after < before for before, after in itertools.pairwise(swaps))
    assert selector.swap_optimal_
    assert selector.objective_ == pytest.approx(
        objective(data, tuple(selector.indices_), selector), rel=1e-6
    )
    assert selector.objective_ == pytest.approx(sum(selector.terms_.values()))


@pytest.mark.parametrize("weighted", [False, True])
def test_no_single_swap_improves_a_larger_class(weighted):
    data = small_class(11, 40, width=5, outliers=2, weighted=weighted)
    selector = fit(data, budget=4)
    own = selector.indices_.tolist()
    for position in range(4):
        rest = own[:position] + own[position + 1 :]
        others = objectives(
            data, [(*rest, image) for image in range(40) if image not in own], selector
        )
        assert min(others) >= selector.objective_ * (1 - 1e-7)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000))
def test_permuting_or_shifting_the_features_changes_nothing(seed):
    data = small_class(seed, 30, width=5, outliers=2)
    plain = fit(data, budget=4)
    order = np.random.default_rng(seed).permutation(30)
    moved = SmallClass(data.features[order], data.cross_entropy[order])
    assert sorted(order[fit(moved, budget=4).indices_].tolist()) == sorted(plain.indices_.tolist())
    shifted = SmallClass(data.features + 1e3, data.cross_entropy)
    assert fit(shifted, budget=4).indices_.tolist() == plain.indices_.tolist()


def test_a_change_of_feature_units_changes_nothing():
    data = small_class(5, 40, width=4, outliers=2)
    plain = fit(data, budget=5)
    scaled = fit(SmallClass(data.features * 37.0, data.cross_entropy), budget=5)
    assert scaled.indices_.tolist() == plain.indices_.tolist()
    assert scaled.objective_ == pytest.approx(plain.objective_ * 37.0**2, rel=1e-9)


def test_masses_respect_the_capacity_and_outliers_are_left_out():
    data = small_class(7, 60, width=4, outliers=6)
    selector = fit(data, budget=5, kappa=1.25)
    assert selector.received_mass_.sum() == pytest.approx(1.0, abs=1e-9)
    assert (selector.received_mass_ <= 1.25 / 60 + 1e-12).all()
    assert set(selector.assignment_.tolist()) == {*selector.indices_.tolist(), -1}
    assert ((selector.received_mass_ < 0.5 * 1.25 / 60) == (selector.assignment_ == -1)).all()
    assert np.mean(selector.assignment_[:6] == -1) > 0.5


def test_values_and_bounds_in_the_diagnostics_are_ordered():
    selector = fit(small_class(7, 60, width=4, outliers=6), budget=5, lower_bound=QUICK_BOUND)
    found = selector.diagnostics_
    assert found.lp_value <= found.transport_cost <= selector.terms_["transport"]
    assert found.marginal_error <= 1e-9
    assert 0 < found.pruned_share <= 1
    assert 0 <= found.gap < 1
    assert found.gap == pytest.approx(1 - selector.lower_bound_ / selector.objective_)


@pytest.mark.parametrize("options", [{}, {"statistics": "full"}, {"epsilon_relative": 1e-2}])
def test_results_are_the_same_bytes_for_any_number_of_threads(options):
    data = small_class(2, 300, width=20, outliers=15)
    results = [
        fit(data, budget=5, lower_bound=QUICK_BOUND, rebuilds=1, threads=threads, **options)
        for threads in (1, 2, 3)
    ]
    before = torch.get_num_threads()
    for other in results[1:]:
        assert other.indices_.tolist() == results[0].indices_.tolist()
        assert other.objective_ == results[0].objective_
        assert other.lower_bound_ == results[0].lower_bound_
        assert other.received_mass_.tobytes() == results[0].received_mass_.tobytes()
        assert other.history_ == results[0].history_
        assert other.diagnostics_ == results[0].diagnostics_
    assert torch.get_num_threads() == before


def test_exhaustive_search_of_other_solvers_agrees():
    data = small_class(4, 14, width=3, outliers=1)
    certified = fit(data, budget=2)
    for solver in ("sinkhorn", "pot"):
        other = fit(data, budget=2, solver=solver, epsilon_relative=0.05)
        assert other.indices_.tolist() == certified.indices_.tolist()
        assert other.objective_ == pytest.approx(certified.objective_, rel=1e-6)
        assert other.swap_optimal_


@pytest.mark.parametrize("solver", ["newton", "pot"])
def test_transport_objective_is_the_cost_of_the_plan(solver):
    data = small_class(4, 24, width=3, outliers=1)
    selector = fit(data, budget=2, objective="transport", solver=solver, lower_bound=QUICK_BOUND)
    used = selector.diagnostics_
    expected = used.lp_value if solver == "pot" else used.transport_cost
    assert selector.terms_["transport"] == pytest.approx(expected, rel=1e-9)
    assert selector.lower_bound_ <= selector.objective_
    assert selector.swap_optimal_
    assert selector.diagnostics_.exact_solves > 24


def test_a_limit_ends_the_search_without_a_proof():
    data = small_class(3, 50, width=6, outliers=3)
    for limit in ({"max_passes": 0}, {"max_seconds": 0.0}):
        selector = fit(data, budget=5, start="k_medoids", **limit)
        assert not selector.swap_optimal_
        assert selector.indices_.tolist() == selector.greedy_indices_.tolist()


def test_rebuilds_never_worsen_the_objective_and_keep_the_proof():
    data = small_class(9, 60, width=6, outliers=3)
    values = [fit(data, budget=6, rebuilds=rebuilds).objective_ for rebuilds in (0, 2, 8)]
    assert values[2] <= values[1] <= values[0]
    best = fit(data, budget=6, rebuilds=8)
    assert best.swap_optimal_
    assert best.objective_ == pytest.approx(objective(data, tuple(best.indices_), best), rel=1e-6)
    rebuilt = [step for step in best.history_ if step.stage == "rebuild"]
    assert bool(rebuilt) == (values[2] < values[0])
    assert len(best.indices_) == 6


def test_a_cost_matrix_replaces_the_features():
    data = small_class(6, 40, width=4)
    from_cost = GeometryAwareSelector(budget=5, lower_bound=None).fit(
        None, cost=distances(data.features), cross_entropy=data.cross_entropy
    )
    from_features = fit(data, budget=5, alpha=0.0)
    assert from_cost.indices_.tolist() == from_features.indices_.tolist()
    assert from_cost.terms_["statistics"] == 0
    both = GeometryAwareSelector(budget=5, lower_bound=None).fit(
        data.features, cost=distances(data.features), cross_entropy=data.cross_entropy
    )
    assert both.indices_.tolist() == fit(data, budget=5).indices_.tolist()


def test_a_weight_equals_that_many_copies():
    data = small_class(8, 20, width=3)
    copies = np.repeat(np.arange(20), np.random.default_rng(0).integers(1, 4, size=20))
    repeated = distances(data.features)[np.ix_(copies, copies)]
    weights = np.bincount(copies, minlength=20).astype(float)
    options = {"budget": 3, "alpha": 0.0, "epsilon": 0.4, "lower_bound": None}
    weighted = GeometryAwareSelector(**options).fit(data.features, weights=weights)
    plain = GeometryAwareSelector(**options).fit(None, cost=repeated)
    assert weighted.objective_ == pytest.approx(plain.objective_, rel=1e-8)
    assert set(weighted.indices_.tolist()) == set(copies[plain.indices_].tolist())


def rebuilt(seed: int, **options) -> GeometryAwareSelector:
    return fit(small_class(seed, 40, width=6, outliers=3), budget=5, **options)


@pytest.mark.parametrize("seed", range(2))
def test_rebuilds_solve_no_more_problems_than_the_first_search(seed):
    first = rebuilt(seed, rebuilds=0)
    both = rebuilt(seed, rebuilds=None)
    unlimited = rebuilt(seed, rebuilds=5)
    solves = first.diagnostics_.exact_solves
    extra = both.diagnostics_.rebuild_solves
    assert both.diagnostics_.exact_solves == solves + extra
    # A contest is finished at the limit, and so is a trial that is better already.
    assert 0 < extra < 2 * solves < unlimited.diagnostics_.rebuild_solves
    assert unlimited.objective_ <= both.objective_ <= first.objective_
    assert both.swap_optimal_


def test_nothing_is_rebuilt_if_the_bound_says_that_nothing_is_left():
    loose = {"max_iterations": 0, "enumerate_up_to": 0}
    for tolerance, is_rebuilt in ((0.0, True), (1.0, False)):
        bound = LowerBoundConfig(tolerance=tolerance, **loose)
        selector = rebuilt(0, rebuilds=4, lower_bound=bound)
        assert (selector.diagnostics_.rebuild_solves > 0) == is_rebuilt
    best = fit(small_class(0, 12, width=3), budget=2, rebuilds=4, lower_bound=LowerBoundConfig())
    assert best.diagnostics_.lower_bound_method == "enumeration"
    assert (best.diagnostics_.rebuild_solves == 0) == (best.diagnostics_.gap < 1e-3)


def test_the_start_of_a_smaller_epsilon_finds_a_better_subset():
    data = small_class(6, 60, width=6, outliers=3)
    usual = fit(data, budget=6, rebuilds=0)
    rebuilt_once = fit(data, budget=6, rebuilds=1)
    assert rebuilt_once.objective_ < 0.99 * usual.objective_
    assert rebuilt_once.swap_optimal_
