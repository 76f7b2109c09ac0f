"""Gaussian density, SubZeroCore and ZCore against their definitions."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal, triang
from sklearn.covariance import LedoitWolf

from otcondense.selection.base import Selector
from otcondense.selection.baselines.gaussian_density import GaussianDensitySelector
from otcondense.selection.baselines.subzerocore import (
    SubZeroCoreSelector,
    density_weights,
    neighbourhood,
    radii,
)
from otcondense.selection.baselines.zcore import (
    ZCoreSelector,
    plane_scores,
    random_planes,
    redundancy,
    triangular_points,
)

Array = NDArray[np.float64]


def points(seed: int, n: int, d: int) -> Array:
    rng = np.random.default_rng(seed)
    return np.asarray(rng.normal(size=(n, d)) @ rng.normal(size=(d, d)))


def densest(density: Array, count: int) -> list[int]:
    return [int(index) for index in np.argsort(-density)[:count]]


@pytest.mark.parametrize(("n", "d"), [(60, 4), (20, 20), (12, 30)])
def test_the_shrunk_gaussian_is_that_of_ledoit_and_wolf(n: int, d: int) -> None:
    features = points(n, n, d) + 3
    model = LedoitWolf().fit(features)
    density = multivariate_normal(model.location_, model.covariance_).logpdf(features)
    selector = GaussianDensitySelector(8).fit(features)
    assert selector.indices_.tolist() == densest(density, 8)
    assert selector.diagnostics_.shrinkage == pytest.approx(model.shrinkage_)


def test_ppca_keeps_95_percent_of_the_variance() -> None:
    features = points(1, 50, 6)
    centred = features - features.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / 50)
    count = int((np.cumsum(values[::-1]) / values.sum() < 0.95).sum()) + 1
    assert 1 < count < 6
    own = vectors[:, ::-1][:, :count]
    other = values[: 6 - count].mean()
    covariance = own @ np.diag(values[::-1][:count] - other) @ own.T + other * np.eye(6)
    density = multivariate_normal(features.mean(axis=0), covariance).logpdf(features)
    selector = GaussianDensitySelector(9, covariance="ppca").fit(features)
    assert selector.diagnostics_.directions == count
    assert selector.indices_.tolist() == densest(density, 9)


def test_weights_move_the_gaussian_and_excluded_images_count() -> None:
    features = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])[:, None]
    weights = [1, 1, 1, 40, 40, 40]
    assert GaussianDensitySelector(1).fit(features, weights=weights).indices_.tolist() == [4]
    selector = GaussianDensitySelector(1, exclude=[4]).fit(features, weights=weights)
    assert selector.indices_.tolist() == [3]


def test_a_neighbourhood_reaches_the_wanted_coverage_and_no_smaller_one_does() -> None:
    for size, budget, coverage in ((1000, 10, 0.6), (1000, 100, 0.6), (50, 7, 0.9)):
        count = neighbourhood(size, budget, coverage)
        assert 1 - (1 - count / size) ** budget >= coverage - 1e-12
        assert 1 - (1 - (count - 1) / size) ** budget < coverage
    assert (neighbourhood(1000, 10, 0.6), neighbourhood(1, 1, 0.6)) == (88, 1)
    assert neighbourhood(4, 1, 0.99) == 3


def test_radii_and_weights_of_a_known_class() -> None:
    features = np.array([0.0, 1.0, 3.0, 10.0])
    cost = np.square(features[:, None] - features)
    assert radii(cost, 1).tolist() == [1, 1, 2, 7]
    assert radii(cost, 2).tolist() == [3, 2, 3, 9]
    radius = np.array([1.0, 2.0, 3.0])
    expected = np.exp([-0.75, 0, -0.75])
    assert density_weights(radius) == pytest.approx(expected)
    assert density_weights(np.full(3, 0.1)).tolist() == [1, 1, 1]


@pytest.mark.parametrize("seed", range(3))
def test_subzerocore_is_the_greedy_choice_of_its_objective(seed: int) -> None:
    features = points(seed, 30, 3)
    weights = np.random.default_rng(seed).random(30)
    cost = np.square(features[:, None] - features).sum(axis=2)
    density = density_weights(radii(cost, neighbourhood(30, 5, 0.5)))
    similarity = density[:, None] * (1 - cost / cost.max())
    chosen: list[int] = []
    for _ in range(5):
        free = [image for image in range(30) if image not in chosen]
        value = [similarity[[*chosen, image]].max(axis=0) @ weights for image in free]
        chosen.append(free[int(np.argmax(value))])
    selector = SubZeroCoreSelector(5, coverage=0.5).fit(features, weights=weights)
    assert selector.indices_.tolist() == chosen
    covered = similarity[chosen].max(axis=0) @ weights / weights.sum()
    assert selector.objective_ == pytest.approx(cost.max() * (1 - covered))


def test_subzerocore_does_not_choose_an_outlier() -> None:
    features = np.concatenate([points(0, 40, 2), [[60.0, 60.0]]])
    assert 40 not in SubZeroCoreSelector(8).fit(features).indices_


def test_the_points_of_zcore_have_the_triangular_law() -> None:
    features = np.array([[0.0, 5.0], [1.0, 5.0], [4.0, 5.0]])
    uniform = np.array([[0.0, 0.3], [0.2, 0.3], [0.25, 0.3], [0.7, 0.3]])
    planes = np.tile([0, 1], (4, 1))
    drawn = triangular_points(features, planes, uniform)
    assert drawn[:, 0] == pytest.approx(triang(c=0.25, scale=4).ppf(uniform[:, 0]))
    assert drawn[:, 1].tolist() == [5, 5, 5, 5]


def test_a_draw_of_zcore_rewards_the_nearest_image_and_punishes_its_neighbours() -> None:
    features = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [9.0, 9.0]])
    scores = plane_scores(features.T, np.array([[0, 1]]), np.array([[0.1, -0.1]]))
    loss = np.array([1, 2.0**-4, 18.0**-4])
    assert scores == pytest.approx([1, *(-loss / loss.sum())])
    assert redundancy(np.array([[np.inf, 0, 0, 3.0]])).tolist() == [[0, 0.5, 0.5, 0]]


def test_only_a_thousand_neighbours_are_redundant() -> None:
    distance = np.concatenate([[np.inf], np.arange(1.0, 1201.0)])[None]
    shares = redundancy(distance)[0]
    assert shares.sum() == pytest.approx(1)
    assert (shares > 0).nonzero()[0].tolist() == [*range(1, 1001)]


def test_the_planes_of_zcore_are_pairs_of_different_features() -> None:
    planes = random_planes(np.random.default_rng(0), 3, 200)
    assert {tuple(sorted(pair)) for pair in planes.tolist()} == {(0, 1), (0, 2), (1, 2)}
    assert (random_planes(np.random.default_rng(0), 1, 5) == 0).all()


def test_zcore_avoids_copies_and_follows_its_seed() -> None:
    features = np.repeat(points(0, 10, 4), 3, axis=0)
    chosen = ZCoreSelector(10).fit(features).indices_
    assert sorted(chosen.tolist()) == list(range(0, 30, 3))
    spread = points(1, 60, 4)
    seeds = [tuple(ZCoreSelector(8, seed=s).fit(spread).indices_.tolist()) for s in (0, 0, 1)]
    assert seeds[0] == seeds[1] != seeds[2]


@pytest.mark.parametrize("selector", [GaussianDensitySelector(7), SubZeroCoreSelector(7)], ids=str)
def test_neither_the_order_nor_the_origin_of_the_images_matters(selector: Selector) -> None:
    rng = np.random.default_rng(2)
    features = points(2, 40, 5)
    plain = selector.fit(features).indices_.tolist()
    order = rng.permutation(40)
    assert order[selector.fit(features[order] - 4.0).indices_].tolist() == plain
    assert selector.fit(features, weights=np.full(40, 2.0)).indices_.tolist() == plain
