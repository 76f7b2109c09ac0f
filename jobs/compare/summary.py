"""Tables over seeds: means, ranks, and differences in pairs, for each metric and place."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from jobs.compare.config import CompareConfig, direction_of, find_metric
from jobs.compare.results import Row
from jobs.trials.config import VARIANT
from otcondense.evaluation.comparison import (
    Correction,
    Difference,
    Interval,
    compare_in_pairs,
    mean_interval,
)
from otcondense.evaluation.registry import bounds_of, sign

SHOWN_DIGITS = 4
"""Significant digits of the values in tables; means that look equal have equal ranks."""


@dataclass(frozen=True)
class Figure:
    """One metric of one variant over the seeds."""

    variant: str
    interval: Interval
    values: tuple[float, ...]
    """By seed."""
    rank: float
    """1 is the best mean of its cell; equal means share the mean of their ranks."""
    difference: Difference | None
    """From the variant that all are compared with; None for that variant."""
    among_best: bool | None
    """Whether no test tells it apart from the best of its cell; None if the seeds are too few."""

    @property
    def is_beyond_noise(self) -> bool:
        """Whether it differs from the reference by more than the seeds do."""
        return self.difference is not None and self.difference.is_beyond_noise()

    def is_better(self, metric: str) -> bool:
        """Return whether its mean is better than the reference's, over the common seeds."""
        return self.difference is not None and sign(direction_of(metric)) * self.difference.mean < 0

    def seeds_better(self, metric: str) -> int:
        """Return in how many pairs it is better than the reference."""
        if self.difference is None:
            return 0
        is_lower = direction_of(metric) == "lower"
        return self.difference.num_lower if is_lower else self.difference.num_higher


@dataclass(frozen=True)
class Cell:
    """One metric at one budget, guidance and training length."""

    metric: str
    num_images: int
    """Chosen images of all classes together."""
    guidance: float
    """Of the samples, except those of variants that set their own."""
    step: int
    figures: tuple[Figure, ...]
    """Best first."""

    @property
    def num_seeds(self) -> int:
        """The most seeds that a variant has."""
        return max(figure.interval.count for figure in self.figures)

    @property
    def num_comparisons(self) -> int:
        """Variants that are compared with the reference."""
        return sum(figure.difference is not None for figure in self.figures)


@dataclass(frozen=True)
class _Axis:
    """The values of one column that tables are made for."""

    name: str
    values: tuple[float, ...]
    alone: frozenset[str]
    """Variants with one other value, such as all images; they are in the table of every value."""

    def holds(self, row: Row, value: float) -> bool:
        """Return whether a row is in the table of a value."""
        return row[self.name] == value or row[VARIANT] in self.alone


def cells(rows: Sequence[Row], config: CompareConfig) -> list[Cell]:
    """Return the tables: for each metric and place, best variant first.

    A variant with one number of images that no other variant has, such as all images, is compared
    at every other number; so is one with a guidance of its own.
    """
    sizes = _axis(rows, "num_images")
    guidances = _axis(rows, "guidance") if config.guidance else _single(rows, "guidance", config)
    steps = sorted({row["step"] for row in rows})
    names = set(itertools.chain.from_iterable(rows))
    metrics = [metric for metric in config.metrics if metric in names]

    found = []
    places = itertools.product(metrics, sizes.values, guidances.values, steps)
    for metric, size, guidance, step in places:
        measured = [row for row in rows if row["step"] == step and metric in row]
        in_both = [
            row for row in measured if sizes.holds(row, size) and guidances.holds(row, guidance)
        ]
        if in_both:
            figures = _figures(metric, in_both, config)
            found.append(Cell(metric, int(size), guidance, step, figures))
    return found


def _axis(rows: Sequence[Row], name: str) -> _Axis:
    """Return the values that several variants have, or that are one of several of a variant."""
    by_value: dict[float, set[str]] = {}
    by_variant: dict[str, set[float]] = {}
    for row in rows:
        by_value.setdefault(row[name], set()).add(row[VARIANT])
        by_variant.setdefault(row[VARIANT], set()).add(row[name])
    several = [values for values in by_variant.values() if len(values) > 1]
    shared = {value for value, variants in by_value.items() if len(variants) > 1}
    compared = shared.union(*several) or set(by_value)
    alone = {name for name, values in by_variant.items() if not values & compared}
    return _Axis(name, tuple(sorted(compared)), frozenset(alone))


def _single(rows: Sequence[Row], name: str, config: CompareConfig) -> _Axis:
    """Return an axis with one value, that of the reference, for all rows together."""
    reference = [row for row in rows if row[VARIANT] == config.against] or list(rows)
    return _Axis(name, (reference[0][name],), frozenset(row[VARIANT] for row in rows))


def _figures(metric: str, rows: Sequence[Row], config: CompareConfig) -> tuple[Figure, ...]:
    values: dict[str, dict[int, float]] = {}
    for row in rows:
        values.setdefault(row[VARIANT], {})[row["seed"]] = row[metric]

    differences: Mapping[str, Difference] = {}
    if config.against in values:
        differences = _differences(values, config.against, config.correction)
    intervals = {name: _interval(metric, list(each.values())) for name, each in values.items()}
    ranks = _ranks(metric, intervals)
    order = sorted(values, key=partial(_order, metric, intervals))
    best_group = _best_group(values, order[0], config.correction)
    figures = []
    for name in order:
        own = tuple(values[name].values())
        difference = differences.get(name)
        figures.append(
            Figure(name, intervals[name], own, ranks[name], difference, best_group[name])
        )
    return tuple(figures)


def _interval(metric: str, values: Sequence[float]) -> Interval:
    """Return the confidence interval of the mean, within the bounds of the metric.

    Student's interval of a share can go beyond 0 or 1; what is cut off holds no possible value.
    """
    found = mean_interval(values)
    low, high = bounds_of(metric)
    if found.count == 1:
        return found
    return replace(found, low=max(low, found.low), high=min(high, found.high))


def _order(metric: str, intervals: Mapping[str, Interval], name: str) -> tuple[float, str]:
    return sign(direction_of(metric)) * intervals[name].mean, name


def _differences(
    values: Mapping[str, Mapping[int, float]], against: str, correction: Correction
) -> dict[str, Difference]:
    others = {name: each for name, each in values.items() if name != against}
    return compare_in_pairs(values[against], others, correction)


def _best_group(
    values: Mapping[str, Mapping[int, float]], best: str, correction: Correction
) -> dict[str, bool | None]:
    """Return by variant whether no test tells it apart from the best; None without a test."""
    group: dict[str, bool | None] = {}
    for name, found in _differences(values, best, correction).items():
        group[name] = not found.is_beyond_noise() if found.can_pass else None
    is_tested = any(each is not None for each in group.values())
    return {best: True if is_tested else None, **group}


def _ranks(metric: str, intervals: Mapping[str, Interval]) -> dict[str, float]:
    from scipy.stats import rankdata

    keys = [_rank_key(metric, interval.mean) for interval in intervals.values()]
    ranks = rankdata(keys, method="average")
    return {name: float(rank) for name, rank in zip(intervals, ranks, strict=True)}


def _rank_key(metric: str, mean: float) -> float:
    """Return a mean as tables show it, with the sign that makes lower ones better."""
    known = find_metric(metric)
    assert known is not None, f"{metric} is checked when a comparison is configured"
    bounded = mean if known.floor is None else max(mean, known.floor)
    return sign(known.direction) * float(f"{bounded:.{SHOWN_DIGITS}g}")


def unmeasured(found: Sequence[Cell], config: CompareConfig) -> tuple[str, ...]:
    """Return the metrics of the configuration that no trial has."""
    measured = {cell.metric for cell in found}
    return tuple(metric for metric in config.metrics if metric not in measured)


def places(found: Sequence[Cell]) -> dict[tuple[int, float], list[Cell]]:
    """Return tables by number of images and guidance, each from the shortest training on."""
    parts: dict[tuple[int, float], list[Cell]] = {}
    for cell in sorted(found, key=lambda cell: (cell.num_images, cell.guidance, cell.step)):
        parts.setdefault((cell.num_images, cell.guidance), []).append(cell)
    return parts


def mean_ranks(found: Sequence[Cell], metric: str) -> dict[str, float]:
    """Return the mean rank of each variant over the cells of one metric, best first.

    Only variants that are in every cell have one.
    """
    of_metric = [cell for cell in found if cell.metric == metric]
    ranks: dict[str, list[float]] = {}
    for cell in of_metric:
        for figure in cell.figures:
            ranks.setdefault(figure.variant, []).append(figure.rank)

    complete = {name: each for name, each in ranks.items() if len(each) == len(of_metric)}
    means = {name: sum(each) / len(each) for name, each in complete.items()}
    return dict(sorted(means.items(), key=lambda item: item[1]))
