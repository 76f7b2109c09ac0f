"""Figures of single classes, and of one more network."""

import numpy as np
import pytest
import torch

from otcondense.errors import InputError
from otcondense.evaluation import (
    class_frechet_distances,
    frechet_distance,
    frechet_distance_of_few,
    further_metrics,
    gaussian_distance,
    near_duplicates,
    subset_quality,
)


def draws(count: int, width: int, seed: int) -> torch.Tensor:
    return torch.randn(
        count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


@pytest.mark.parametrize(
    ("first", "second", "width"), [(5, 7, 3), (6, 4, 40), (2, 2, 9), (30, 30, 30)]
)
def test_the_distance_of_few_is_the_distance(first: int, second: int, width: int) -> None:
    one, two = draws(first, width, 1), 0.5 * draws(second, width, 2) + 1
    assert frechet_distance_of_few(one, two) == pytest.approx(frechet_distance(one, two), rel=1e-9)
    assert frechet_distance_of_few(one, one) == pytest.approx(0, abs=1e-9)


def test_one_image_has_no_covariance() -> None:
    with pytest.raises(InputError, match="at least 2"):
        frechet_distance_of_few(draws(1, 3, 0), draws(5, 3, 1))


def test_classes_are_measured_by_themselves() -> None:
    samples, held_out = draws(8, 3, 1), draws(9, 3, 2)
    classes, real = np.array([0, 0, 0, 1, 1, 1, 2, 3]), np.array([0, 0, 0, 0, 1, 1, 1, 2, -1])
    found = class_frechet_distances(samples, classes, held_out, real)
    # Class 2 has one image on both sides, class 3 is not held out, -1 is no class of the source.
    assert set(found) == {0, 1}
    assert found[1] == pytest.approx(frechet_distance(samples[3:6], held_out[4:7]))


def test_one_more_network_gives_its_own_figures() -> None:
    samples, held_out = draws(40, 5, 1), draws(30, 5, 2)
    found = further_metrics(samples, held_out)
    assert set(found) == {
        *("frechet_distance", "kid", "mind", "precision", "recall", "density", "coverage", "cmmd")
    }
    assert found["cmmd"] == gaussian_distance(samples, held_out)
    assert found["frechet_distance"] == frechet_distance(samples, held_out)


def test_near_duplicates_and_leaked_images_are_counted() -> None:
    held_out = draws(50, 6, 1)
    subset = draws(10, 6, 2)
    assert near_duplicates(subset, held_out) == (0.0, 0.0)
    subset[1] = subset[0] + 1e-6
    subset[2] = held_out[3]
    assert near_duplicates(subset, held_out) == (0.2, 0.1)
    found = subset_quality(subset, held_out)
    assert (found["duplicate_share"], found["leakage_share"]) == (0.2, 0.1)
