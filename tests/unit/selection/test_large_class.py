"""A class whose costs are computed in rows, against the same class with a matrix of costs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from otcondense.selection import GeometryAwareSelector, large_class

RELATIVE = 1e-9
"""Largest relative difference of two objectives."""

BOUND_RELATIVE = 0.01
"""Largest difference of two lower bounds, as a share of the objective.

L-BFGS makes large differences of its path of small ones, such as rounding of the costs.
"""

QUICK_BOUND = {"max_iterations": 16}


def gaussian(size: int) -> np.ndarray:
    return np.random.default_rng(size).normal(size=(size, 12)) * np.linspace(0.2, 2, 12)


def clusters(size: int) -> np.ndarray:
    generator = np.random.default_rng(size)
    return gaussian(size) + 6 * generator.normal(size=(7, 12))[generator.integers(7, size=size)]


def with_outliers(size: int) -> np.ndarray:
    rows = clusters(size)
    rows[::20] *= 8
    return rows


def with_duplicates(size: int) -> np.ndarray:
    rows = clusters(size)
    rows[size // 2 :] = rows[: size - size // 2]
    return rows


def with_a_distant_point(size: int) -> np.ndarray:
    rows = gaussian(size)
    rows[size // 3] = 1e6
    return rows


def with_an_offset(size: int) -> np.ndarray:
    return gaussian(size) + 1e5


def binary(size: int) -> np.ndarray:
    """Few different distances: the median has many ties."""
    return np.random.default_rng(size).integers(2, size=(size, 12)).astype(float)


@dataclass(frozen=True)
class Case:
    """One class, and the settings of the selector."""

    draw: Callable[[int], np.ndarray]
    size: int = 300
    settings: dict[str, Any] = field(default_factory=dict)
    weighted: bool = False
    is_slow: bool = False

    def __str__(self) -> str:
        words = [self.draw.__name__, str(self.size), "weighted" if self.weighted else "uniform"]
        return "-".join([*words, *(f"{name}={value}" for name, value in self.settings.items())])

    def fit(self) -> GeometryAwareSelector:
        generator = np.random.default_rng(0)
        weights = generator.uniform(0.2, 3, size=self.size) if self.weighted else None
        settings = {"budget": 5, "rebuilds": 0, "lower_bound": QUICK_BOUND, **self.settings}
        selector = GeometryAwareSelector(**settings)
        entropy = generator.exponential(size=self.size)
        return selector.fit(self.draw(self.size), cross_entropy=entropy, weights=weights)


CASES = [
    Case(clusters, 1500, {"budget": 10}, is_slow=True),
    Case(with_outliers, 700, {"budget": 20}, is_slow=True),
    Case(with_outliers, 400, {"kappa": 1.0}),
    Case(gaussian, 300, {"kappa": 2.0}),
    Case(gaussian, 300, {"budget": 1}),
    Case(gaussian, 300, {"budget": 1, "kappa": 1.0}),
    Case(clusters, 300, {"alpha": 0.0, "beta": 0.0}),
    Case(clusters, 300, {"alpha": 6.0}),
    Case(clusters, 200, {"epsilon_relative": 0.004}),
    Case(clusters, 300, {"epsilon_relative": 1.0}),
    Case(clusters, 400, {"include": (7, 9), "exclude": tuple(range(20, 60))}),
    Case(clusters, 400, {"start": "k_medoids"}),
    Case(with_outliers, 400, {"start": "k_medoids", "kappa": 1.2}),
    Case(clusters, 300, {"statistics": "full"}),
    Case(clusters, 300, {"statistics": "full"}, weighted=True),
    Case(clusters, 300, {"rebuilds": 2}),
    Case(gaussian, 100, {"budget": 3, "objective": "transport", "lower_bound": None}),
    Case(with_outliers, 300, {}, weighted=True),
    Case(with_duplicates, 400),
    Case(with_an_offset),
    Case(binary, 300),
]


def parameters() -> list[Any]:
    marks = {True: [pytest.mark.slow], False: []}
    return [pytest.param(case, id=str(case), marks=marks[case.is_slow]) for case in CASES]


@pytest.mark.parametrize("case", parameters())
def test_rows_of_costs_give_the_result_of_the_matrix(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = case.fit()
    monkeypatch.setattr(large_class, "LARGEST_MATRIX", 0)
    large = case.fit()
    assert large.indices_.tolist() == dense.indices_.tolist()
    assert large.greedy_indices_.tolist() == dense.greedy_indices_.tolist()
    assert large.objective_ == pytest.approx(dense.objective_, rel=RELATIVE)
    assert large.swap_optimal_ == dense.swap_optimal_
    assert dense.swap_optimal_
    np.testing.assert_array_equal(large.assignment_, dense.assignment_)
    np.testing.assert_allclose(large.gain_, dense.gain_, atol=1e-7 * dense.objective_)
    slack = BOUND_RELATIVE * dense.objective_
    assert large.lower_bound_ == pytest.approx(dense.lower_bound_, abs=slack, nan_ok=True)
    assert not large.lower_bound_ > large.objective_


def test_a_point_1e6_away_changes_neither_subset_nor_honesty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = Case(with_a_distant_point, 300)
    dense = case.fit()
    monkeypatch.setattr(large_class, "LARGEST_MATRIX", 0)
    large = case.fit()
    assert large.indices_.tolist() == dense.indices_.tolist()
    assert large.objective_ == pytest.approx(dense.objective_, rel=RELATIVE)
    assert large.swap_optimal_ == dense.swap_optimal_


def test_the_result_does_not_depend_on_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_class, "LARGEST_MATRIX", 0)
    one = Case(with_outliers, 300, {"threads": 1}).fit()
    three = Case(with_outliers, 300, {"threads": 3}).fit()
    assert one.objective_ == three.objective_
    assert one.lower_bound_ == three.lower_bound_
    np.testing.assert_array_equal(one.indices_, three.indices_)


def test_a_search_without_time_ends_without_a_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_class, "LARGEST_MATRIX", 0)
    stopped = Case(clusters, 300, {"max_seconds": 0.0}).fit()
    assert not stopped.swap_optimal_
    assert len(stopped.indices_) == 5


def test_the_matrix_is_left_out_by_size_alone() -> None:
    largest = large_class.LARGEST_MATRIX
    assert not large_class.has_cost_rows(largest, cost_is_given=False)
    assert large_class.has_cost_rows(largest + 1, cost_is_given=False)
    assert not large_class.has_cost_rows(largest + 1, cost_is_given=True)
