"""Near copies, authenticity, the copying test and standard errors, against plain loops."""

import numpy as np
import pytest
import scipy.stats
import torch

from otcondense.errors import InputError
from otcondense.evaluation import (
    authenticity,
    copying_test,
    feature_statistics,
    frechet_distance,
    frechet_error,
    near_copy_share,
    share_error,
    uncertainty,
)


def rows(n, d=5, seed=0, scale=1.0):
    return np.random.default_rng([seed, n, d]).normal(0, scale, (n, d))


def distance_table(one, two):
    return np.sqrt(((one[:, None] - two[None]) ** 2).sum(-1))


def test_near_copies_are_those_much_nearer_to_one_image_than_to_any_other():
    samples, training = rows(30), rows(12, seed=1)
    samples[:7] = training[:7] + 1e-3
    table = np.sort(distance_table(samples, training), axis=1)
    assert near_copy_share(samples, training) == np.mean(table[:, 0] < table[:, 1] / 3)
    assert near_copy_share(training, training) == 1


def test_authenticity_equals_plain_loops():
    samples, training = rows(40), rows(25, seed=1)
    samples[3] = training[5]
    table, own = (
        distance_table(samples, training),
        distance_table(training, training) + np.diag([np.inf] * 25),
    )
    expected = np.mean(
        [own[nearest].min() <= table[row, nearest] for row, nearest in enumerate(table.argmin(1))]
    )
    assert authenticity(samples, training) == expected
    assert authenticity(training, training) == 0


def test_one_cell_of_the_copying_test_is_the_mann_whitney_test():
    samples, training, held_out = rows(60, scale=0.8), rows(30, seed=1), rows(50, seed=2)
    near, far = (distance_table(each, training).min(1) for each in (samples, held_out))
    expected = scipy.stats.mannwhitneyu(
        near, far, method="asymptotic", use_continuity=False, alternative="less"
    )
    assert copying_test(samples, training, held_out) == pytest.approx(
        scipy.stats.norm.ppf(expected.pvalue), rel=1e-9
    )


@pytest.mark.parametrize("cells", [1, 3])
def test_the_copying_test_finds_copies_and_clears_independent_samples(cells):
    training, held_out = rows(200, seed=1), rows(200, seed=2)
    assert copying_test(training + 0.05 * rows(200, seed=3), training, held_out, cells) < -5
    assert abs(copying_test(rows(200, seed=4), training, held_out, cells)) < 3
    assert copying_test(rows(200, seed=4, scale=3), training, held_out, cells) > 5


def test_empty_cells_are_left_out_and_nothing_is_left_of_too_few_samples():
    assert np.isnan(copying_test(rows(5), rows(9, seed=1), rows(9, seed=2)))
    far = np.concatenate([rows(100), rows(100) + 1000])
    one_side = copying_test(rows(100, seed=5), far, rows(100, seed=6), cells=2)
    assert abs(one_side) < 4


@pytest.mark.parametrize("measure", [near_copy_share, authenticity])
def test_one_chosen_image_is_too_few(measure):
    with pytest.raises(InputError, match=r"at least 2 images.*found 1"):
        measure(rows(5), rows(1))


def test_the_error_of_the_frechet_distance_is_about_its_spread_over_fresh_samples():
    held_out = rows(400, 4, 99)
    distances = [frechet_distance(rows(300, 4, seed, 1.3), held_out) for seed in range(60)]
    errors = [
        frechet_error(rows(300, 4, seed, 1.3), feature_statistics(held_out), 20)
        for seed in range(20)
    ]
    assert np.mean(errors) == pytest.approx(np.std(distances), rel=0.35)


def test_statistics_without_some_rows_are_those_of_the_rest():
    features = torch.from_numpy(rows(50, 6)).float()
    found = uncertainty._without(feature_statistics(features), features[10:20])
    rest = feature_statistics(torch.cat([features[:10], features[20:]]))
    torch.testing.assert_close(found.mean, rest.mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(found.covariance, rest.covariance, rtol=0, atol=1e-6)
    assert found.count == 40


def test_the_error_of_a_share_is_binomial():
    assert share_error(0.5, 100) == pytest.approx(0.05)
    assert share_error(1.0, 100) == 0
