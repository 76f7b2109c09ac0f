"""Means over seeds and differences beyond the noise."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_ind

from otcondense.errors import InputError
from otcondense.evaluation.comparison import compare_with, mean_interval


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


def test_differences_are_welchs_corrected_by_holm() -> None:
    reference = [1.0, 1.1, 0.9]
    others = {"far": [2.0, 2.1, 2.2], "near": [1.2, 1.0, 1.3], "same": [1.0, 1.05, 0.95]}
    raw = {
        name: float(ttest_ind(values, reference, equal_var=False).pvalue)
        for name, values in others.items()
    }
    found = compare_with(reference, others)
    assert raw["far"] < raw["near"] < raw["same"]
    assert found["far"].p_value == pytest.approx(3 * raw["far"])
    assert found["near"].p_value == pytest.approx(2 * raw["near"])
    assert found["same"].p_value == pytest.approx(max(raw["same"], 2 * raw["near"]))
    assert found["far"].mean == pytest.approx(1.1)
    assert found["far"].is_beyond_noise()
    assert not found["same"].is_beyond_noise()


def test_what_cannot_be_tested_is_not_beyond_the_noise() -> None:
    found = compare_with([1.0], {"one": [9.0], "two": [9.0, 9.1]})
    assert all(math.isnan(each.p_value) and not each.is_beyond_noise() for each in found.values())
    # Neither has any spread over seeds: k-center without a random start, for one.
    assert math.isnan(compare_with([1.0, 1.0], {"constant": [2.0, 2.0]})["constant"].p_value)


def test_equal_methods_are_rarely_told_apart() -> None:
    generator = np.random.default_rng(1)
    tables = [
        compare_with(
            list(generator.normal(size=4)),
            {str(k): list(generator.normal(size=4)) for k in range(5)},
        )
        for _ in range(400)
    ]
    false = np.mean([any(each.is_beyond_noise() for each in table.values()) for table in tables])
    assert false < 0.08  # Holm bounds it by 0.05; 400 tables leave an error of 0.011
