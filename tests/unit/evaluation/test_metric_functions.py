"""Metrics of features against closed forms and plain loops."""

import warnings

import numpy as np
import pytest
import scipy.linalg
import torch

from otcondense.errors import InputError
from otcondense.evaluation import (
    ball_figures,
    copying,
    count_copies,
    density_coverage,
    distances,
    feature_statistics,
    frechet_distance,
    frechet_distance_of_statistics,
    kernel_distance,
    nearest_neighbours,
    precision_recall,
)


def rows(n, d=5, seed=0, shift=0.0):
    return np.random.default_rng([seed, n, d]).normal(shift, 1, (n, d))


@pytest.fixture(params=[2**24, 50], ids=["one block", "many blocks"])
def block_size(request, monkeypatch):
    monkeypatch.setattr(distances, "CHUNK_ELEMENTS", request.param)


@pytest.mark.parametrize("shift", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_frechet_distance_of_scaled_and_shifted_copy_has_a_closed_form(shift, scale):
    features = rows(40)
    expected = features.shape[1] * shift**2 + (scale - 1) ** 2 * np.trace(
        np.cov(features, rowvar=False)
    )
    moved = (features - features.mean(0)) * scale + features.mean(0) + shift
    assert frechet_distance(moved, features) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("n", "m", "d"), [(60, 50, 6), (30, 200, 20)])
def test_frechet_distance_equals_scipy_square_root(n, m, d):
    one, two = rows(n, d), rows(m, d, 1, 0.3) * np.linspace(0.5, 2, d)
    first, second = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    root = scipy.linalg.sqrtm(first @ second).real
    expected = ((one.mean(0) - two.mean(0)) ** 2).sum() + np.trace(first + second - 2 * root)
    assert frechet_distance(one, two) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_singular_covariances():
    few, many = rows(5, 30), rows(200, 30, 1)
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(few, many) == pytest.approx(frechet_distance(many, few), rel=1e-9)
    # Diagonal covariances of disjoint support: nothing of the cross term remains.
    one, two = np.zeros((4, 2)), np.zeros((4, 2))
    one[:, 0], two[:, 1] = [-1, 1, -1, 1], [-3, 3, -3, 3]
    assert frechet_distance(one, two) == pytest.approx(4 / 3 + 36 / 3, abs=1e-12)


def test_frechet_distance_of_cached_statistics_and_their_mismatch():
    one, two = rows(30), rows(40, seed=1)
    assert frechet_distance_of_statistics(
        feature_statistics(one), feature_statistics(two)
    ) == frechet_distance(one, two)
    with pytest.raises(InputError, match=r"5 and 6 dimensions"):
        frechet_distance_of_statistics(feature_statistics(one), feature_statistics(rows(30, 6)))


def brute_force_manifold(samples, held_out, k):
    def distance(x, y):
        return np.sqrt(((x - y) ** 2).sum())

    def radius(points, i):
        return sorted(distance(points[i], points[j]) for j in range(len(points)) if j != i)[k - 1]

    real = [radius(held_out, i) for i in range(len(held_out))]
    fake = [radius(samples, i) for i in range(len(samples))]
    inside = np.array(
        [[distance(x, y) <= r for y, r in zip(held_out, real, strict=True)] for x in samples]
    )
    inside_fake = np.array(
        [[distance(x, y) <= r for y, r in zip(samples, fake, strict=True)] for x in held_out]
    )
    return (
        inside.any(1).mean(),
        inside_fake.any(1).mean(),
        inside.sum(1).mean() / k,
        inside.any(0).mean(),
    )


@pytest.mark.usefixtures("block_size")
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_manifold_metrics_equal_plain_loops(k, shift):
    samples, held_out = rows(31, 3, shift=shift), rows(23, 3, 1)
    samples[4] = samples[5] = held_out[7]  # exact copies sit on the balls' borders
    expected = brute_force_manifold(samples, held_out, k)
    assert (
        *precision_recall(samples, held_out, k),
        *density_coverage(samples, held_out, k),
    ) == pytest.approx(expected, abs=1e-12)


def test_manifold_metrics_tell_missing_modes_from_bad_samples():
    held_out = np.concatenate([rows(50, 4), rows(50, 4, 1, 100.0)])
    one_mode = rows(60, 4, 2)
    precision, recall = precision_recall(one_mode, held_out)
    assert precision > 0.5
    assert recall <= 0.5
    assert density_coverage(one_mode, held_out).coverage <= 0.5
    assert precision_recall(rows(60, 4, 3, 50.0), held_out) == (0, 0)
    assert precision_recall(held_out, held_out) == (1, 1)


@pytest.mark.usefixtures("block_size")
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_nearest_neighbours_equal_sorted_plain_distances(offset):
    queries, reference = rows(17) + offset, rows(29, seed=1) + offset
    found = nearest_neighbours(queries, reference, 3)
    table = np.sqrt(((queries[:, None] - reference[None]) ** 2).sum(-1))
    assert found.indices.tolist() == np.argsort(table, axis=1)[:, :3].tolist()
    np.testing.assert_allclose(found.distances.numpy(), np.sort(table, axis=1)[:, :3], rtol=1e-12)


def test_nearest_neighbour_of_a_copy_is_at_zero_and_of_twins_the_first():
    reference = rows(9)
    reference[6] = reference[2]
    found = nearest_neighbours(torch.from_numpy(reference), torch.from_numpy(reference), 2)
    assert found.distances[:, 0].eq(0).all()
    assert found.indices[2].tolist() == [2, 6]
    assert found.indices[6].tolist() == [2, 6]


def test_one_pass_gives_all_figures_of_balls():
    samples, held_out = rows(40, 4, 1), rows(30, 4, 2, 0.5)
    found = ball_figures(samples, held_out, 5)
    assert found.precision_recall == precision_recall(samples, held_out, 5)
    assert found.density_coverage == density_coverage(samples, held_out, 5)


def test_kernel_distance_equals_plain_double_sum():
    one, two = rows(9, 4), rows(7, 4, 1, 0.5)

    def kernel(x, y):
        return (x @ y / 4 + 1) ** 3

    within = [
        np.mean([kernel(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j])
        for x in (one, two)
    ]
    across = np.mean([[kernel(x, y) for y in two] for x in one])
    assert kernel_distance(one, two) == pytest.approx(sum(within) - 2 * across, rel=1e-9)


@pytest.mark.usefixtures("block_size")
@pytest.mark.parametrize(
    ("source", "expected"), [("training", 1.0), ("held_out", 0.0), ("both", 0.5)]
)
def test_copy_share_of_copies(source, expected):
    training, held_out = rows(20), rows(20, seed=1)
    samples = {
        "training": training,
        "held_out": held_out,
        "both": np.concatenate([training, held_out]),
    }[source]
    found = copying(samples, training, held_out, draws=3)
    assert (found.copy_share, found.copy_share_std, found.set_size) == (expected, 0, 20)


def test_copy_share_of_sets_of_one_size_has_exactly_no_spread():
    found = copying(
        rows(100, 64), np.concatenate([rows(100, 64)[:49], rows(1, 64, 1)]), rows(50, 64, 2)
    )
    assert 0.49 <= found.copy_share < 1
    assert found.copy_share_std == 0


def test_copy_share_counts_ties_as_half():
    images = rows(15)
    assert copying(rows(8, seed=2), images, images).copy_share == 0.5
    assert copying(rows(8, seed=2), images, images).distance_ratio == pytest.approx(1)


@pytest.mark.parametrize(("num_training", "num_held_out"), [(400, 40), (40, 400)])
def test_copy_share_is_fair_for_sets_of_different_size(num_training, num_held_out):
    samples, training, held_out = (
        rows(600, 3, 7),
        rows(num_training, 3, 8),
        rows(num_held_out, 3, 9),
    )
    found = copying(samples, training, held_out, draws=20, seed=1)
    assert found.copy_share == pytest.approx(0.5, abs=0.12)
    assert found.copy_share_std > 0
    assert found == copying(samples, training, held_out, draws=20, seed=1)
    assert found != copying(samples, training, held_out, draws=20, seed=2)


def test_results_do_not_depend_on_the_input_type():
    samples, held_out = rows(20).astype(np.float32), rows(30, seed=1).astype(np.float32)
    tensors = torch.from_numpy(samples), torch.from_numpy(held_out)
    assert frechet_distance(samples, held_out) == frechet_distance(*tensors)
    assert precision_recall(samples, held_out) == precision_recall(*tensors)


@pytest.mark.parametrize(
    "metric", [frechet_distance, precision_recall, density_coverage, kernel_distance]
)
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda x: np.where(np.arange(len(x))[:, None] == 3, np.nan, x),
            "samples must be finite.*row 3",
        ),
        (lambda x: x[:1], r"samples must hold at least \d images.*found 1"),
        (lambda x: x[0], "shape"),
        (lambda x: x[:, :2], "one encoder|dimensions"),
        (lambda x: x + 1j, "real numbers"),
    ],
)
def test_unfit_features_are_named(metric, spoil, message):
    with pytest.raises(InputError, match=message):
        metric(spoil(rows(12)), rows(12, seed=1))


def test_more_neighbours_than_images_are_refused():
    with pytest.raises(InputError, match=r"at least 6 images.*found 5"):
        precision_recall(rows(5), rows(9), 5)
    with pytest.raises(InputError, match=r"at least 3 images.*found 2"):
        nearest_neighbours(rows(5), rows(2), 3)


@pytest.mark.usefixtures("block_size")
@pytest.mark.filterwarnings("ignore:35 of 140 held-out images are there")
@pytest.mark.parametrize("metric", [precision_recall, density_coverage])
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_single_precision_decides_as_double_precision_does(metric, offset):
    one, two = (
        rows(n, 40, seed).astype(np.float32) + np.float32(offset)
        for n, seed in ((120, 3), (140, 4))
    )
    one[10:30], two[5:40] = one[0], one[3]  # many ties: copies within and between the sets
    two[100] = two[101] * np.float32(1 + 1e-6)
    assert metric(one, two) == metric(one.astype(np.float64), two.astype(np.float64))


@pytest.mark.parametrize("metric", [precision_recall, density_coverage])
@pytest.mark.parametrize(("times", "warned"), [(1, False), (2, False), (3, False), (4, True)])
def test_held_out_images_that_are_there_several_times_are_reported(metric, times, warned):
    """With four copies of each, the three nearest images are copies: every ball is empty."""
    samples, held_out = rows(40), np.repeat(rows(20, seed=1), times, axis=0)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        metric(samples, held_out, 3)
    messages = [str(each.message) for each in found]
    assert any("80 of 80 held-out images are there at least 4" in each for each in messages) == (
        warned
    )
    assert count_copies(torch.from_numpy(held_out)) == 20 * (times - 1)


def test_identical_samples_do_not_slow_the_radii_down(monkeypatch):
    monkeypatch.setattr(
        distances, "_exact_radius", lambda *_: pytest.fail("a radius of 0 needs no second look")
    )
    assert distances.knn_squared_radii(torch.ones(200, 8), 3).tolist() == [0.0] * 200
