"""Means over seeds and differences in pairs beyond the noise."""

import itertools
import math
from collections.abc import Iterable

import numpy as np
import pytest
from scipy.stats import permutation_test

from otcondense.errors import InputError
from otcondense.evaluation.comparison import (
    Correction,
    compare_in_pairs,
    mean_interval,
    seeds_to_pass,
)
from otcondense.evaluation.sign_flips import EXACT_PAIRS, flipped_sums

ZERO = dict.fromkeys(range(32), 0.0)
"""A reference: what is compared with it is its own difference."""


def by_seed(values: Iterable[float]) -> dict[int, float]:
    return dict(enumerate(map(float, values)))


def test_the_interval_is_students() -> None:
    found = mean_interval([1.0, 2.0, 3.0])
    # t(0.975, 2 degrees of freedom) = 4.30265, standard error 1/sqrt(3)
    assert (found.mean, found.count) == (2.0, 3)
    assert found.high - 2.0 == pytest.approx(4.30265 / math.sqrt(3), rel=1e-5)
    assert 2.0 - found.low == pytest.approx(found.high - 2.0)


def test_nineteen_of_twenty_intervals_hold_the_mean() -> None:
    generator = np.random.default_rng(0)
    draws = (mean_interval(list(generator.normal(size=3))) for _ in range(2000))
    assert np.mean([each.low <= 0 <= each.high for each in draws]) == pytest.approx(0.95, abs=0.015)


def test_one_seed_has_no_interval() -> None:
    found = mean_interval([1.5])
    assert (found.mean, found.count) == (1.5, 1)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_figures_that_are_none(values: list[float]) -> None:
    with pytest.raises(InputError, match="at least one value, all finite"):
        mean_interval(values)


@pytest.mark.parametrize("count", [6, 7, 8])
def test_the_p_value_counts_every_pattern_of_signs(count: int) -> None:
    values = np.random.default_rng(count).normal(0.5, size=count)
    patterns = np.asarray(list(itertools.product([-1, 1], repeat=count)))
    expected = np.mean(np.abs(patterns @ values) >= abs(values.sum()) - 1e-12)
    found = compare_in_pairs(ZERO, {"other": by_seed(values)})["other"]
    assert found.p_value == pytest.approx(expected)

    theirs = permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert found.p_value == pytest.approx(theirs.pvalue)


def test_pairs_find_a_difference_that_the_spread_over_seeds_hides() -> None:
    seeds = by_seed([600.0, 500.0, 700.0, 550.0, 650.0, 620.0])
    better = {seed: value - 5 - 0.1 * seed for seed, value in seeds.items()}
    found = compare_in_pairs(seeds, {"better": better})["better"]
    assert found.p_value == pytest.approx(2 / 2**6)
    assert found.is_beyond_noise()
    assert (found.num_lower, found.num_higher, found.num_pairs) == (6, 0, 6)
    differences = [-5 - 0.1 * seed for seed in range(6)]
    interval = mean_interval(differences)
    assert (found.mean, found.low, found.high) == pytest.approx(
        (interval.mean, interval.low, interval.high)
    )
    assert found.effect == pytest.approx(np.mean(differences) / np.std(differences, ddof=1))


def test_holm_corrects_for_the_variants_of_a_table() -> None:
    others = {
        "far": [1.0, 1.1, 1.2, 0.9, 1.3, 1.1, 1.0, 1.2],
        "near": [1.0, 1.1, 1.2, 0.9, 1.3, 1.1, 1.0, -0.1],
        "same": [1.0, -1.1, 1.2, -0.9, 1.3, -1.1, -1.0, 1.2],
    }
    raw = {
        name: compare_in_pairs(ZERO, {name: by_seed(each)})[name].p_value
        for name, each in others.items()
    }
    found = compare_in_pairs(ZERO, {name: by_seed(each) for name, each in others.items()})
    assert raw["far"] < raw["near"] < raw["same"]
    assert found["far"].p_value == pytest.approx(3 * raw["far"])
    assert found["near"].p_value == pytest.approx(2 * raw["near"])
    assert found["same"].p_value == pytest.approx(raw["same"])


@pytest.mark.parametrize(
    ("num_seeds", "num_others", "correction", "can_pass"),
    [
        (5, 1, "holm", False),
        (6, 1, "holm", True),
        (6, 2, "holm", False),
        (8, 6, "holm", True),
        (8, 7, "holm", False),
        (10, 12, "holm", True),
        (5, 12, "joint", False),
        (6, 12, "joint", True),
    ],
)
def test_too_few_seeds_are_told_from_no_difference(
    num_seeds: int, num_others: int, correction: Correction, *, can_pass: bool
) -> None:
    """Every seed of every variant is better: no data can give a smaller p-value."""
    others = {str(number): by_seed([1.0] * num_seeds) for number in range(num_others)}
    for found in compare_in_pairs(ZERO, others, correction).values():
        assert found.is_beyond_noise() == found.can_pass == can_pass
        assert found.num_higher == found.num_pairs == num_seeds
    assert (seeds_to_pass(num_others, correction) <= num_seeds) == can_pass


def test_variants_that_cannot_be_tested_are_not_counted_by_holm() -> None:
    others = {f"few {number}": by_seed([1.0] * 4) for number in range(20)}
    found = compare_in_pairs(ZERO, {**others, "enough": by_seed([1.0] * 6)})
    assert found["enough"].p_value == pytest.approx(2 / 2**6)
    assert math.isnan(found["few 0"].p_value)


def test_common_seeds_are_compared() -> None:
    reference = by_seed([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    other = {seed: value + 1 for seed, value in reference.items() if seed != 3} | {99: -100.0}
    found = compare_in_pairs(reference, {"other": other, "apart": {50: 1.0}})
    assert (found["other"].num_pairs, found["other"].mean) == (6, 1.0)
    assert found["other"].is_beyond_noise()
    assert found["apart"].num_pairs == 0
    assert math.isnan(found["apart"].mean)
    assert not found["apart"].can_pass


def test_no_difference_at_all_is_no_finding() -> None:
    found = compare_in_pairs(ZERO, {"equal": ZERO, "tiny": by_seed([1e-9] * 32)})
    assert found["equal"].p_value == 1.0
    assert math.isnan(found["equal"].effect)
    assert (found["equal"].num_higher, found["equal"].num_lower) == (0, 0)
    assert found["tiny"].is_beyond_noise()  # the test knows no scale
    assert math.isnan(found["tiny"].effect)


def test_many_pairs_are_drawn_near_the_exact_value() -> None:
    differences = np.random.default_rng(3).normal(0.5, size=(EXACT_PAIRS + 1, 1))
    sums = np.abs(flipped_sums(differences))
    observed = abs(differences.sum())
    drawn = np.mean(sums >= observed * (1 - 1e-9))
    half = flipped_sums(differences[:-1])
    exact = np.mean([np.abs(half + sign * differences[-1]) >= observed - 1e-9 for sign in (-1, 1)])
    assert 0.01 < exact < 0.3
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact / len(sums)))
    assert (flipped_sums(differences) == flipped_sums(differences)).all()


@pytest.mark.parametrize("correction", ["holm", "joint"])
def test_equal_methods_are_rarely_told_apart(correction: Correction) -> None:
    generator = np.random.default_rng(1)
    tables = []
    for _ in range(200):
        values = generator.exponential(size=(6, 8))
        others = {str(k): by_seed(values[k]) for k in range(1, 6)}
        tables.append(compare_in_pairs(by_seed(values[0]), others, correction))
    false = np.mean([any(each.is_beyond_noise() for each in table.values()) for table in tables])
    assert false < 0.1  # at most 0.05; 200 tables leave an error of 0.0154


def test_joint_flips_are_never_below_the_single_test() -> None:
    generator = np.random.default_rng(5)
    others = {str(k): by_seed(generator.normal(k / 2, size=8)) for k in range(6)}
    del others["5"][2]
    joint = compare_in_pairs(ZERO, others, "joint")
    for name, values in others.items():
        single = compare_in_pairs(ZERO, {name: values})[name].p_value
        assert joint[name].p_value >= single - 1e-12
    assert max(each.p_value for each in joint.values()) > 0.05 > joint["4"].p_value
