"""Balanced k-means as an estimator of scikit-learn."""

import doctest

import numpy as np
import pytest
from sklearn.base import clone

from otcondense.errors import InputError
from otcondense.grouping import BalancedKMeans, estimator

ROWS = np.random.default_rng(0).normal(size=(300, 5))


def test_it_gives_groups_centres_and_sizes() -> None:
    found = BalancedKMeans(most=50).fit(ROWS)
    assert np.bincount(found.labels_).tolist() == found.sizes_.tolist()
    assert found.sizes_.max() <= 50
    assert found.n_features_in_ == 5
    for group, centre in enumerate(found.cluster_centers_):
        assert np.allclose(ROWS[found.labels_ == group].mean(axis=0), centre, atol=1e-5)
    away = np.square(ROWS - found.cluster_centers_[found.labels_]).sum()
    assert found.inertia_ == pytest.approx(away, rel=1e-4)


@pytest.mark.parametrize("kind", [list, np.float64, np.float16])
def test_any_array_of_numbers_will_do(kind: type) -> None:
    rows = ROWS.tolist() if kind is list else ROWS.astype(kind)
    assert len(BalancedKMeans(most=50).fit_predict(rows)) == len(ROWS)


def test_it_can_be_cloned() -> None:
    made = clone(BalancedKMeans(most=40, seed=3, resamplings=1))
    assert made.get_params() == {"most": 40, "seed": 3, "resamplings": 1}


@pytest.mark.parametrize(
    ("parameters", "rows", "said"),
    [
        ({"most": 1}, ROWS, "most of BalancedKMeans"),
        ({"resamplings": -1}, ROWS, "resamplings of BalancedKMeans"),
        ({}, ROWS[0], "rows and columns"),
        ({}, [["a", "b"]], "array of numbers"),
        ({}, np.full((3, 2), np.nan), "must be finite"),
        ({}, np.zeros((0, 2)), "rows and columns"),
    ],
)
def test_mistakes_are_said(parameters: dict[str, int], rows: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said):
        BalancedKMeans(**parameters).fit(rows)


def test_the_example_is_right() -> None:
    assert doctest.testmod(estimator).failed == 0
