"""Selections of groups as one: what the sum of their objectives and bounds proves, and sharing."""

import itertools
import math

import numpy as np
import pytest
import torch

from otcondense.ot import PartialProblem, PotSolver, SemiDualNewton
from otcondense.selection import GeometryAwareSelector
from otcondense.selection.composed import Composed, GroupValue, by_gains, compose

SHARES = (0.25, 0.75)
SIZES = (6, 18)
NUMBERS = (2, 6)
"""In proportion to the sizes, as the relation to the whole class needs it."""


def objective(features: np.ndarray, chosen: tuple[int, ...], epsilon: float) -> float:
    """Return the objective of one subset: the only one that include leaves."""
    selector = GeometryAwareSelector(
        budget=len(chosen), include=chosen, epsilon=epsilon, lower_bound=None, rebuilds=0
    )
    return selector.fit(features).objective_


def costs(rows: np.ndarray, columns: np.ndarray) -> torch.Tensor:
    return torch.cdist(torch.as_tensor(rows), torch.as_tensor(columns)).square()


def draw(seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the features of two groups and of a subset of each."""
    generator = np.random.default_rng(seed)
    groups = [generator.normal(size=(size, 3)) + 2 * number for number, size in enumerate(SIZES)]
    subsets = [
        each[generator.permutation(len(each))[:number]]
        for each, number in zip(groups, NUMBERS, strict=True)
    ]
    return groups, subsets


def test_no_subset_with_the_same_numbers_is_below_the_bound_of_all_groups() -> None:
    generator = np.random.default_rng(0)
    groups = [generator.normal(size=(7, 2)), generator.normal(size=(9, 2)) + 1]
    total = sum(len(each) for each in groups)
    fitted = [GeometryAwareSelector(budget=2, epsilon=0.1).fit(each) for each in groups]
    found = compose(
        GroupValue(len(group), each.objective_, each.lower_bound_)
        for group, each in zip(groups, fitted, strict=True)
    )
    assert found is not None
    best = 0.0
    for group in groups:
        pairs = itertools.combinations(range(len(group)), 2)
        best += len(group) / total * min(objective(group, pair, 0.1) for pair in pairs)
    assert found.lower_bound <= best + 1e-9 <= found.objective + 2e-9


@pytest.mark.parametrize("kappa", [1.0, 1.05, 1.5])
@pytest.mark.parametrize("epsilon", [0.01, 0.5, 5.0])
@pytest.mark.parametrize("seed", range(4))
def test_transport_of_the_whole_is_at_most_that_of_the_groups_and_their_entropy(
    seed: int, epsilon: float, kappa: float
) -> None:
    groups, subsets = draw(seed)
    whole = PartialProblem(costs(np.vstack(subsets), np.vstack(groups)), epsilon, kappa)
    of_groups = [
        float(SemiDualNewton()(PartialProblem(costs(one, all_), epsilon, kappa)).regularized_value)
        for one, all_ in zip(subsets, groups, strict=True)
    ]
    together = float(np.dot(SHARES, of_groups))
    entropy = -sum(share * math.log(share) for share in SHARES)
    value = float(SemiDualNewton()(whole).regularized_value)
    assert value <= together + epsilon * entropy + 1e-9


@pytest.mark.parametrize("kappa", [1.0, 1.5])
@pytest.mark.parametrize("seed", range(4))
def test_without_regularisation_it_is_at_most_that_of_the_groups(seed: int, kappa: float) -> None:
    pytest.importorskip("ot")
    groups, subsets = draw(seed)

    def value(rows: np.ndarray, columns: np.ndarray) -> float:
        return float(
            PotSolver("emd")(PartialProblem(costs(rows, columns), 0.0, kappa)).transport_cost
        )

    of_groups = [value(one, all_) for one, all_ in zip(subsets, groups, strict=True)]
    whole = value(np.vstack(subsets), np.vstack(groups))
    assert whole <= float(np.dot(SHARES, of_groups)) + 1e-9


@pytest.mark.parametrize("seed", range(8))
def test_population_statistics_of_the_whole_are_at_most_those_of_the_groups(seed: int) -> None:
    groups, subsets = draw(seed)

    def gap(chosen: np.ndarray, features: np.ndarray) -> float:
        mean = np.square(chosen.mean(axis=0) - features.mean(axis=0)).sum()
        return float(mean + np.square(chosen.std(axis=0) - features.std(axis=0)).sum())

    of_groups = [gap(one, all_) for one, all_ in zip(subsets, groups, strict=True)]
    assert gap(np.vstack(subsets), np.vstack(groups)) <= np.dot(SHARES, of_groups) + 1e-12


def test_groups_count_by_their_images_and_whole_ones_as_nothing() -> None:
    found = compose([GroupValue(30, 2.0, 1.0), GroupValue(10, None, None, is_whole=True)])
    assert found == Composed(num_groups=2, num_whole=1, objective=1.5, lower_bound=0.75)
    assert found.gap == pytest.approx(0.5)
    assert Composed.from_json(found.to_json()) == found


def test_a_group_without_objective_leaves_nothing_to_say() -> None:
    assert compose([GroupValue(3, 1.0, 1.0), GroupValue(3, None, None)]) is None
    assert compose([GroupValue(3, None, None, is_whole=True)]) is None


def test_a_group_without_bound_leaves_the_gap_unknown() -> None:
    found = compose([GroupValue(3, 1.0, None), GroupValue(3, 1.0, 0.5)])
    assert found is not None
    assert math.isnan(found.gap)
    assert "gap" not in found.words()
    assert math.isnan(Composed.from_json(found.to_json()).lower_bound)


def test_gains_give_the_least_sum_on_convex_paths() -> None:
    paths = {"a": {1: 9.0, 2: 5.0, 3: 3.0, 4: 2.5}, "b": {1: 4.0, 2: 2.0, 3: 1.5, 4: 1.2}}
    shares = {"a": 0.4, "b": 0.6}
    least, most = dict.fromkeys(paths, 1), dict.fromkeys(paths, 4)
    for total in range(2, 9):
        found = by_gains(total, shares, least, most, paths)

        def value(numbers: dict[str, int]) -> float:
            return sum(shares[name] * paths[name][number] for name, number in numbers.items())

        others = [
            value({"a": first, "b": total - first})
            for first in range(1, 5)
            if 1 <= total - first <= 4
        ]
        assert sum(found.values()) == total
        assert value(found) == pytest.approx(min(others))


def test_equal_gains_go_by_name_and_ended_paths_stop() -> None:
    paths = {"b": {1: 2.0, 2: 1.0}, "a": {1: 2.0, 2: 1.0}}
    shares, least = dict.fromkeys(paths, 0.5), dict.fromkeys(paths, 1)
    assert by_gains(3, shares, least, dict.fromkeys(paths, 9), paths) == {"b": 1, "a": 2}
    assert sum(by_gains(9, shares, least, dict.fromkeys(paths, 9), paths).values()) == 4
