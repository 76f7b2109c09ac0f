"""Tables over seeds from the records of trials, and statements from the tables."""

import csv
import io
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.compare.config import PREDICTORS, CompareConfig, direction_of
from jobs.trials.config import VARIANT
from jobs.trials.records import Record
from otcondense.evaluation.comparison import Difference, Interval, compare_with, mean_interval
from otcondense.evaluation.registry import sign

Row = dict[str, Any]
LEAST_VARIANTS = 4
"""Fewest variants of a correlation; fewer say nothing."""


@dataclass(frozen=True)
class Figure:
    """One metric of one variant over the seeds."""

    variant: str
    interval: Interval
    values: tuple[float, ...]
    """By seed."""
    rank: int
    """1 is the best mean of its cell."""
    difference: Difference | None
    """From the variant that all are compared with; None for that variant."""

    @property
    def is_beyond_noise(self) -> bool:
        """Whether it differs from the reference by more than the seeds do."""
        return self.difference is not None and self.difference.is_beyond_noise()

    def is_better(self, metric: str) -> bool:
        """Return whether its mean is better than the reference's."""
        return self.difference is not None and sign(direction_of(metric)) * self.difference.mean < 0


@dataclass(frozen=True)
class Cell:
    """One metric at one budget and training length."""

    metric: str
    num_images: int
    """Chosen images of all classes together."""
    step: int
    figures: tuple[Figure, ...]
    """Best first."""


def result_rows(records: Sequence[Record]) -> list[Row]:
    """Return a row for each measured checkpoint of each trial.

    It holds variant, seed, number of chosen images, step and all metrics.
    """
    rows = []
    for record in records:
        for rung in record.rungs:
            metrics = dict(rung.metrics)
            num_images = int(metrics.pop("num_training"))
            rows.append(
                {
                    VARIANT: record.values[VARIANT],
                    "num_images": num_images,
                    "step": rung.step,
                    "seed": record.values["seed"],
                    "trial": record.key,
                    **metrics,
                }
            )
    return sorted(rows, key=lambda row: (row[VARIANT], row["num_images"], row["step"], row["seed"]))


def rows_as_csv(rows: Sequence[Row]) -> bytes:
    """Return rows as CSV with a column for every name."""
    names = dict.fromkeys(itertools.chain.from_iterable(rows))
    sink = io.StringIO()
    writer = csv.DictWriter(sink, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue().encode()


def cells(rows: Sequence[Row], config: CompareConfig) -> list[Cell]:
    """Return the tables: for each metric, number of images and training length, best variant first.

    A variant with a number of images that no other variant has, such as all images, is compared at
    every other number.
    """
    compared = _compared_sizes(rows)
    alone = [row for row in rows if row["num_images"] not in compared]
    steps = sorted({row["step"] for row in rows})
    names = set(itertools.chain.from_iterable(rows))
    metrics = [metric for metric in config.metrics if metric in names]

    found = []
    for metric, size, step in itertools.product(metrics, compared, steps):
        of_size = [row for row in rows if row["num_images"] == size]
        at_step = [row for row in (*of_size, *alone) if row["step"] == step]
        found.append(_cell(metric, size, step, at_step, config))
    return found


def _compared_sizes(rows: Sequence[Row]) -> list[int]:
    """Return the numbers of images that several variants have; all numbers if there is none."""
    variants: dict[int, set[str]] = {}
    for row in rows:
        variants.setdefault(row["num_images"], set()).add(row[VARIANT])
    shared = [size for size in sorted(variants) if len(variants[size]) > 1]
    return shared or sorted(variants)


def _cell(metric: str, size: int, step: int, rows: Sequence[Row], config: CompareConfig) -> Cell:
    values: dict[str, list[float]] = {}
    for row in rows:
        if metric in row:
            values.setdefault(row[VARIANT], []).append(row[metric])

    differences: dict[str, Difference] = {}
    if config.against in values:
        others = {name: each for name, each in values.items() if name != config.against}
        differences = compare_with(values[config.against], others)

    factor = sign(direction_of(metric))
    intervals = {name: mean_interval(each) for name, each in values.items()}
    order = sorted(values, key=lambda name: (factor * intervals[name].mean, name))
    figures = []
    for rank, name in enumerate(order, start=1):
        difference = differences.get(name)
        figures.append(Figure(name, intervals[name], tuple(values[name]), rank, difference))
    return Cell(metric, size, step, tuple(figures))


def statements(found: Sequence[Cell], config: CompareConfig) -> Iterator[str]:
    """Yield a sentence for each cell: the variants that differ from the reference beyond noise."""
    for cell in found:
        where = f"{cell.metric}, {cell.num_images:,} images, {cell.step:,} steps"
        yield f"{where}: {'; '.join(_clauses(cell, config.against))}."


def _clauses(cell: Cell, against: str) -> Iterator[str]:
    tested = [figure for figure in cell.figures if figure.difference is not None]
    beyond = [figure for figure in tested if figure.is_beyond_noise]
    better = [figure.variant for figure in beyond if figure.is_better(cell.metric)]
    worse = [figure.variant for figure in beyond if not figure.is_better(cell.metric)]
    within = [figure.variant for figure in tested if not figure.is_beyond_noise]

    if better:
        yield f"better than {against}: {', '.join(better)}"
    else:
        yield f"none better than {against}"
    if worse:
        yield f"worse: {', '.join(worse)}"
    if within:
        yield f"within the noise: {', '.join(within)}"


def mean_ranks(found: Sequence[Cell], metric: str) -> dict[str, float]:
    """Return the mean rank of each variant over the cells of one metric, best first.

    Only variants that are in every cell have one.
    """
    of_metric = [cell for cell in found if cell.metric == metric]
    ranks: dict[str, list[int]] = {}
    for cell in of_metric:
        for figure in cell.figures:
            ranks.setdefault(figure.variant, []).append(figure.rank)

    complete = {name: each for name, each in ranks.items() if len(each) == len(of_metric)}
    means = {name: sum(each) / len(each) for name, each in complete.items()}
    return dict(sorted(means.items(), key=lambda item: item[1]))


@dataclass(frozen=True)
class Prediction:
    """How well a metric of the subset itself predicts the order of the variants after training."""

    subset_metric: str
    num_images: int
    step: int
    correlation: float
    """Spearman's, over the means of the variants; 1 if both order the variants in the same way."""
    num_variants: int


def predictions(rows: Sequence[Row], metric: str) -> list[Prediction]:
    """Return how well each metric of the subset itself predicts `metric` after training.

    There is one result for each number of images and training length with enough variants.
    """
    found = []
    for size, step in sorted({(row["num_images"], row["step"]) for row in rows}):
        variants: dict[str, list[Row]] = {}
        for row in rows:
            if (row["num_images"], row["step"]) == (size, step) and metric in row:
                variants.setdefault(row[VARIANT], []).append(row)
        if len(variants) < LEAST_VARIANTS:
            continue
        first_row = next(iter(variants.values()))[0]
        for predictor in sorted(PREDICTORS.keys() & first_row.keys()):
            correlation = _correlation(list(variants.values()), predictor, metric)
            if not math.isnan(correlation):
                found.append(Prediction(predictor, size, step, correlation, len(variants)))
    return found


def _correlation(variants: Sequence[Sequence[Row]], predictor: str, metric: str) -> float:
    from scipy.stats import spearmanr

    before = [_goodness(rows, predictor) for rows in variants]
    after = [_goodness(rows, metric) for rows in variants]
    return float(spearmanr(before, after).statistic)


def _goodness(rows: Sequence[Row], metric: str) -> float:
    """Return the mean of a metric, with the sign that makes larger values better."""
    mean: float = sum(row[metric] for row in rows) / len(rows)
    return -sign(direction_of(metric)) * mean


def summary_rows(found: Sequence[Cell]) -> list[Row]:
    """Return the tables as rows: means, intervals, ranks and differences."""
    rows = []
    for cell in found:
        for figure in cell.figures:
            row: Row = {
                "metric": cell.metric,
                "num_images": cell.num_images,
                "step": cell.step,
                VARIANT: figure.variant,
                "rank": figure.rank,
            }
            row |= {name: _plain(value) for name, value in vars(figure.interval).items()}
            row["difference"] = row["p_value"] = None
            if figure.difference is not None:
                row["difference"] = _plain(figure.difference.mean)
                row["p_value"] = _plain(figure.difference.p_value)
            rows.append(row)
    return rows


def _plain(value: float) -> float | int | None:
    if isinstance(value, int):
        return value
    return None if math.isnan(value) else float(f"{value:.6g}")
