"""Whether the metrics of two methods differ by more than seeds do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from otcondense.errors import InputError


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and its confidence interval."""

    mean: float
    low: float
    """nan for a single value, which gives no interval."""
    high: float
    count: int


@dataclass(frozen=True)
class Difference:
    """How the metrics of one method differ from those of another."""

    mean: float
    """Mean of the first minus mean of the second."""
    p_value: float
    """Of Welch's test, with Holm's correction for all comparisons made together; nan if there is no
    test."""

    def is_beyond_noise(self, level: float = 0.05) -> bool:
        """Return whether chance alone gives so large a difference with p < `level`."""
        return self.p_value < level


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the mean over seeds with Student's confidence interval.

    Args:
        values: one for each seed, at least one.
        confidence: in (0, 1).

    Raises: InputError for no values, or values that are not finite.
    """
    from scipy.stats import t

    found = np.asarray(values, dtype=np.float64)
    if found.size == 0 or not np.isfinite(found).all():
        raise InputError(f"an interval needs at least one value, all finite, found {list(values)}")
    mean = float(found.mean())
    if len(found) == 1:
        return Interval(mean, float("nan"), float("nan"), 1)
    quantile = t.ppf((1 + confidence) / 2, len(found) - 1)
    half = float(quantile * found.std(ddof=1) / np.sqrt(len(found)))
    return Interval(mean, mean - half, mean + half, len(found))


def compare_with(
    reference: Sequence[float], others: Mapping[str, Sequence[float]]
) -> dict[str, Difference]:
    """Compare several methods with one, by Welch's test with Holm's correction.

    Args:
        reference: values of the reference method, one for each seed.
        others: values of each other method.

    Returns: by method, its difference from the reference. If one of the two has no spread, the test
        uses the spread of the other.
    Source: Welch 1947; Holm 1979.
    """
    raw = {name: _welch(values, reference) for name, values in others.items()}
    adjusted = _holm({name: p for name, p in raw.items() if not np.isnan(p)})
    means = {name: float(np.mean(values) - np.mean(reference)) for name, values in others.items()}
    return {name: Difference(means[name], adjusted.get(name, float("nan"))) for name in others}


def _welch(first: Sequence[float], second: Sequence[float]) -> float:
    from scipy.stats import ttest_ind_from_stats

    if min(len(first), len(second)) < 2 or np.ptp(first) == np.ptp(second) == 0:
        return float("nan")
    # From mean and spread: scipy's test of values warns if one method has no spread.
    test = ttest_ind_from_stats(*_moments(first), *_moments(second), equal_var=False)
    return float(test.pvalue)


def _moments(values: Sequence[float]) -> tuple[float, float, int]:
    return float(np.mean(values)), float(np.std(values, ddof=1)), len(values)


def _holm(p_values: Mapping[str, float]) -> dict[str, float]:
    adjusted = {}
    largest = 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda each: each[1])):
        largest = max(largest, min(1.0, p * (len(p_values) - rank)))
        adjusted[name] = largest
    return adjusted
