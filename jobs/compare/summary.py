"""From the records of trials to tables over seeds, and to what can be said of them."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.compare.config import CompareConfig, direction_of
from jobs.trials.config import VARIANT
from jobs.trials.records import Record
from otcondense.evaluation.comparison import Difference, Interval, compare_with, mean_interval

Row = dict[str, Any]
LEAST_VARIANTS = 4
"""A correlation of fewer says nothing."""


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
    """From the variant that all are compared with; None for itself."""


@dataclass(frozen=True)
class Cell:
    """One metric at one budget and training length."""

    metric: str
    num_images: int
    """Chosen images, of all classes."""
    step: int
    figures: tuple[Figure, ...]
    """Best first."""


def result_rows(records: Sequence[Record]) -> list[Row]:
    """Return a row for each trial and checkpoint that was measured: variant, seed, chosen images, step and all figures."""
    rows = []
    for record in records:
        for rung in record.rungs:
            metrics = dict(rung.metrics)
            place = {"num_images": int(metrics.pop("num_training")), "step": rung.step}
            rows.append(
                {
                    VARIANT: record.values[VARIANT],
                    **place,
                    "seed": record.values["seed"],
                    "trial": record.key,
                    **metrics,
                }
            )
    return sorted(rows, key=lambda row: (row[VARIANT], row["num_images"], row["step"], row["seed"]))


def rows_as_csv(rows: Sequence[Row]) -> bytes:
    """Return rows as CSV, a column for every name."""
    sink = io.StringIO()
    writer = csv.DictWriter(
        sink, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue().encode()


def cells(rows: Sequence[Row], config: CompareConfig) -> list[Cell]:
    """Return the tables: for each metric, number of images and training length the variants over their seeds, best first.

    Variants that have a number of images of their own, such as all, are shown beside every other number.
    """
    sizes = sorted({row["num_images"] for row in rows})
    compared = [
        size
        for size in sizes
        if len({row[VARIANT] for row in rows if row["num_images"] == size}) > 1
    ] or sizes
    alone = [row for row in rows if row["num_images"] not in compared]
    return [
        _cell(
            metric,
            size,
            step,
            [row for row in rows if row["num_images"] == size and row["step"] == step]
            + _at(alone, step),
            config,
        )
        for metric in config.metrics
        for size in compared
        for step in sorted({row["step"] for row in rows})
        if any(metric in row for row in rows)
    ]


def _at(rows: Sequence[Row], step: int) -> list[Row]:
    return [row for row in rows if row["step"] == step]


def _cell(metric: str, size: int, step: int, rows: Sequence[Row], config: CompareConfig) -> Cell:
    values: dict[str, list[float]] = {}
    for row in rows:
        if metric in row:
            values.setdefault(row[VARIANT], []).append(row[metric])
    reference = values.get(config.against, [])
    others = {name: each for name, each in values.items() if name != config.against}
    differences = compare_with(reference, others) if reference else {}
    sign = 1 if direction_of(metric) == "min" else -1
    intervals = {name: mean_interval(each) for name, each in values.items()}
    order = sorted(values, key=lambda name: (sign * intervals[name].mean, name))
    figures = [
        Figure(name, intervals[name], tuple(values[name]), rank, differences.get(name))
        for rank, name in enumerate(order, start=1)
    ]
    return Cell(metric, size, step, tuple(figures))


def statements(found: Sequence[Cell], config: CompareConfig) -> Iterator[str]:
    """Yield for each cell in words which variants differ from the reference beyond the noise of the seeds."""
    for cell in found:
        tested = [figure for figure in cell.figures if figure.difference is not None]
        small = direction_of(cell.metric) == "min"
        better = [
            each.variant for each in tested if _beyond(each) and (each.difference.mean < 0) == small
        ]  # type: ignore[union-attr]
        worse = [
            each.variant for each in tested if _beyond(each) and (each.difference.mean < 0) != small
        ]  # type: ignore[union-attr]
        open_ = [each.variant for each in tested if not _beyond(each)]
        parts = [
            f"better than {config.against}: {', '.join(better)}"
            if better
            else f"none better than {config.against}"
        ]
        parts += [f"worse: {', '.join(worse)}"] if worse else []
        parts += [f"within the noise: {', '.join(open_)}"] if open_ else []
        yield f"{cell.metric}, {cell.num_images:,} images, {cell.step:,} steps: {'; '.join(parts)}."


def _beyond(figure: Figure) -> bool:
    return figure.difference is not None and figure.difference.is_beyond_noise()


def mean_ranks(found: Sequence[Cell], metric: str) -> dict[str, float]:
    """Return the mean rank of each variant over the cells of one metric, best first; of those that are in every cell."""
    of_metric = [cell for cell in found if cell.metric == metric]
    ranks: dict[str, list[int]] = {}
    for cell in of_metric:
        for figure in cell.figures:
            ranks.setdefault(figure.variant, []).append(figure.rank)
    means = {
        name: sum(each) / len(each) for name, each in ranks.items() if len(each) == len(of_metric)
    }
    return dict(sorted(means.items(), key=lambda each: each[1]))


@dataclass(frozen=True)
class Prediction:
    """How well a figure of the subset itself orders the variants as training does."""

    subset_metric: str
    num_images: int
    step: int
    correlation: float
    """Spearman's, over the means of the variants; 1 where the order is the same, better with better."""
    num_variants: int


def predictions(rows: Sequence[Row], metric: str) -> list[Prediction]:
    """Return for each figure of the subset itself how far it foretells a metric, at each number of images and training length."""
    from scipy.stats import spearmanr

    found = []
    for size, step in sorted({(row["num_images"], row["step"]) for row in rows}):
        own = [
            row
            for row in rows
            if (row["num_images"], row["step"]) == (size, step) and metric in row
        ]
        means = {
            name: [row for row in own if row[VARIANT] == name]
            for name in {row[VARIANT] for row in own}
        }
        if len(means) < LEAST_VARIANTS:
            continue
        for subset_metric in sorted(
            name for name in own[0] if name.startswith("subset_") and direction_of(name) is not None
        ):
            one, two = (
                [_goodness(each, name) for each in means.values()]
                for name in (subset_metric, metric)
            )
            correlation = float(spearmanr(one, two).statistic)
            if not math.isnan(correlation):
                found.append(Prediction(subset_metric, size, step, correlation, len(means)))
    return found


def _goodness(rows: Sequence[Row], metric: str) -> float:
    mean = sum(row[metric] for row in rows) / len(rows)
    return -mean if direction_of(metric) == "min" else mean


def summary_rows(found: Sequence[Cell]) -> list[Row]:
    """Return the tables as rows: means, intervals, ranks and differences."""
    rows = []
    for cell in found:
        for figure in cell.figures:
            interval, difference = figure.interval, figure.difference
            rows.append(
                {
                    "metric": cell.metric,
                    "num_images": cell.num_images,
                    "step": cell.step,
                    VARIANT: figure.variant,
                    "rank": figure.rank,
                    **{name: _plain(value) for name, value in vars(interval).items()},
                    "difference": None if difference is None else _plain(difference.mean),
                    "p_value": None if difference is None else _plain(difference.p_value),
                }
            )
    return rows


def _plain(value: float) -> float | int | None:
    if isinstance(value, int):
        return value
    return None if math.isnan(value) else float(f"{value:.6g}")
