"""Swaps of k-medoids: a local optimum, never worse than greedy."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from otcondense.selection.baselines.facility_location import FacilityLocation
from otcondense.selection.baselines.k_medoids import KMedoidsSelector
from otcondense.selection.baselines.medoid_swaps import Medoids
from otcondense.selection.watch import Moment

Array = NDArray[np.float64]


def costs(seed: int, n: int = 30) -> tuple[Array, Array]:
    """Return costs that are not symmetric, and weights, one of them 0."""
    rng = np.random.default_rng(seed)
    cost = rng.random((n, n))
    np.fill_diagonal(cost, 0)
    weights = rng.random(n)
    weights[3] = 0
    return cost, weights / weights.sum()


def value(cost: Array, weights: Array, subset: list[int]) -> float:
    return float(cost[subset].min(axis=0) @ weights)


@pytest.mark.parametrize("chosen", [[4], [7, 2], [0, 9, 3, 5, 11]])
def test_the_caches_give_the_objective_of_every_swap(chosen: list[int]) -> None:
    cost, weights = costs(0, n=12)
    medoids = Medoids(FacilityLocation(cost, weights), chosen)
    for candidate in sorted(set(range(12)) - set(chosen)):
        swapped = [
            [candidate if place == out else image for place, image in enumerate(chosen)]
            for out in range(len(chosen))
        ]
        expected = [value(cost, weights, subset) for subset in swapped]
        assert medoids.objectives_with(candidate) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("forced", [0, 2])
def test_no_single_swap_improves_the_result(seed: int, forced: int) -> None:
    cost, weights = costs(seed)
    include, exclude = [8, 1][:forced], [5, 6, 7][: 2 * forced]
    selector = KMedoidsSelector(6, include=include, exclude=exclude, swaps=False)
    greedy = selector.fit(None, cost=cost, weights=weights).objective_
    selector.set_params(swaps=True).fit(None, cost=cost, weights=weights)
    chosen = selector.indices_.tolist()
    assert chosen[:forced] == include
    assert selector.objective_ == pytest.approx(value(cost, weights, chosen), rel=1e-10)
    assert selector.objective_ <= greedy
    outside = set(range(30)) - set(chosen) - set(exclude)
    for place in range(forced, 6):
        rest = chosen[:place] + chosen[place + 1 :]
        best = min(value(cost, weights, [*rest, candidate]) for candidate in outside)
        assert best >= selector.objective_ - 1e-11


def test_swaps_help_where_greedy_starts_in_the_middle() -> None:
    features = np.array([-1.3, -1.0, -0.9, 0.0, 0.9, 1.0, 1.3])[:, None]
    greedy = KMedoidsSelector(budget=2, swaps=False).fit(features)
    assert greedy.indices_[0] == 3
    selector = KMedoidsSelector(budget=2).fit(features)
    assert sorted(selector.indices_.tolist()) == [1, 4]
    assert selector.objective_ == pytest.approx((0.09 + 0.01 + 0.81 + 0.01 + 0.16) / 7)
    assert selector.diagnostics_.swaps == 1
    gain = 1 - selector.objective_ / greedy.objective_
    assert selector.diagnostics_.swap_gain == pytest.approx(gain)
    assert [step.stage for step in selector.history_] == ["greedy", "greedy", "swap"]
    assert selector.history_[2].removed == 3


def test_most_results_are_the_best_subset() -> None:
    found = 0
    weights = np.full(11, 1 / 11)
    subsets = [list(subset) for subset in combinations(range(11), 3)]
    for seed in range(12):
        features = np.random.default_rng(seed).normal(size=(11, 2))
        cost = np.square(features[:, None] - features).sum(axis=2)
        objective = KMedoidsSelector(budget=3).fit(features).objective_
        best = min(value(cost, weights, subset) for subset in subsets)
        assert objective >= best * (1 - 1e-9)
        found += objective <= best * (1 + 1e-9)
    assert found >= 8


@pytest.mark.parametrize("seed", [0, 1])
def test_neither_the_order_nor_the_origin_of_the_images_matters(seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(60, 4))
    plain = KMedoidsSelector(budget=7).fit(features)
    assert plain.diagnostics_.swaps > 0
    order = rng.permutation(60)
    shuffled = KMedoidsSelector(budget=7).fit(features[order] + 5.0)
    assert order[shuffled.indices_].tolist() == plain.indices_.tolist()


def test_the_watcher_sees_the_swaps_with_a_falling_objective() -> None:
    moments: list[Moment] = []
    features = np.random.default_rng(0).normal(size=(60, 4))
    selector = KMedoidsSelector(budget=7).watch(moments.append).fit(features)
    swaps = [moment for moment in moments if moment.stage == "swaps"]
    assert [moment.swaps for moment in swaps] == [*range(1, selector.diagnostics_.swaps + 1)]
    assert {moment.chosen for moment in swaps} == {7}
    values = [moment.objective or 0.0 for moment in swaps]
    assert values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(selector.objective_)
