"""What the standard errors of two values allow to say: which one is better, or neither."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from otcondense.evaluation.registry import Metric

Mark = Literal["", "best", "ahead"]
"""best: better than every other value beyond the noise. ahead: the best value, but the noise does
not allow to say more, or is unknown. Equal values have no mark."""
ERRORS = 2.0
"""Standard errors of a difference that noise alone seldom exceeds: about 1 in 20 times."""
Values = Mapping[str, float]
"""Metrics by name, with their standard errors as NAME_std."""


def marks_of(rows: Sequence[Values], metric: Metric) -> list[Mark]:
    """Return the mark of each row for one metric; rows without a value have none."""
    ranks = [rank(row, metric) for row in rows]
    least = min(ranks, default=math.inf)
    marks: list[Mark] = [""] * len(rows)
    measured = sum(math.isfinite(each) for each in ranks)
    if measured < 2 or ranks.count(least) > 1:
        return marks
    first = ranks.index(least)
    rest = [row for number, row in enumerate(rows) if number != first and metric.name in row]
    is_best = all(is_beyond_noise(rows[first], row, metric) for row in rest)
    marks[first] = "best" if is_best else "ahead"
    return marks


def rank(row: Values, metric: Metric) -> float:
    """Return a key to sort rows by, best first; a row without a value comes last."""
    return metric.rank(row[metric.name]) if metric.name in row else math.inf


def is_beyond_noise(first: Values, second: Values, metric: Metric) -> bool:
    """Return whether two values differ by more than two standard errors of their difference.

    The errors are those of measuring: over the images. Another training on the same subset can
    change a value by more. Without errors, nothing can be said: False.
    """
    errors = [row[metric.error_name] for row in (first, second) if metric.error_name in row]
    if len(errors) < 2:
        return False
    difference = abs(rank(first, metric) - rank(second, metric))
    return difference > ERRORS * math.hypot(*errors)
